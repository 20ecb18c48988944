//! What a replay is asked for, and what it answers: the words between the operator's route and whoever does it.

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;

use super::doors::{OperationError, RebuildStep};

/// Which mail is computed again, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// Mail that arrived at this time or later, in milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// Mail that arrived at this time or before.
    pub until_ms: Option<i64>,
    /// Mail in this inbox, in its one spelling.
    pub inbox: Option<String>,
    pub model: AskedModel,
    /// Nothing is written: only what would be is told.
    pub dry_run: bool,
    /// Mails a second; without one, as fast as one core goes.
    pub rate: Option<u32>,
}

/// The model that scores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AskedModel {
    /// Those in force: the one for all, and those of accounts.
    #[default]
    InForce,
    /// This one for all mail: a version that stands on `spam.models`, or `starter`.
    Version(String),
    /// This one for all mail: a model's file.
    File(Bytes),
}

/// What scores have become. A bucket is a tenth of the scores from 0.0 to 1.0.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScoreReport {
    /// The replay, as every record of it is marked.
    pub replay: String,
    pub model_version: String,
    pub dry_run: bool,
    pub scored: u64,
    /// Mail that the same replay had scored before it was cut off.
    pub resumed: u64,
    /// Mail whose bytes came from the store, since the log has given them up or one inbox was asked for.
    pub from_store: u64,
    pub before: [u64; BUCKETS],
    pub after: [u64; BUCKETS],
    /// Mail whose score was 0.5 or less, and is more now; and the other way.
    pub became_spam: u64,
    pub became_ham: u64,
    pub corrections: Agreement,
}

pub const BUCKETS: usize = 10;

/// How many scores say what people have said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Agreement {
    pub corrected: u64,
    pub agreed_before: u64,
    pub agree_now: u64,
}

/// What inboxes have become.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteReport {
    pub replay: String,
    pub dry_run: bool,
    pub looked_at: u64,
    /// Mail that is in other inboxes now.
    pub moved: u64,
    /// Mail that the same replay had looked at before it was cut off.
    pub resumed: u64,
    /// The inboxes that mail has come to, and those that it has left; the first of each by name.
    pub came_to: Vec<(String, u64)>,
    pub left: Vec<(String, u64)>,
}

/// Tells how far it has come; `false` when nobody listens any more, and it ends.
pub type Report<'a> = dyn Fn(RebuildStep) -> bool + Send + Sync + 'a;

/// Whoever computes again. What it writes is marked as a replay's, so that nobody is told of it.
#[async_trait]
pub trait Replays: Send + Sync + 'static {
    async fn score(&self, ask: Ask, report: &Report<'_>) -> Result<ScoreReport, OperationError>;

    async fn route(&self, ask: Ask, report: &Report<'_>) -> Result<RouteReport, OperationError>;
}
