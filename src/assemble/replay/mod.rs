//! Replay: what stands on the log is computed again with the models and tables of now, and appended as new facts under
//! the replay's mark. The store follows them; nobody is told, and where people have put their mail it stays.
//!
//! A replay has no memory of its own. Its mark is made of what was asked for and of what it computes with, and how far
//! it came stands on the log: the records under its mark. So one that was cut off goes on when it is asked for again,
//! on whatever node, and one whose facts another replay has overwritten since begins anew.

mod kept;
mod mail;
mod marks;
mod models;
mod pace;
mod report;
mod route;
mod routed;
mod score;

use std::sync::Arc;

use accounts::Table;
use api::http::OperationError;
use api::http::RebuildStep;
use api::http::replay::{Ask, Replays, Report, RouteReport, ScoreReport};
use async_trait::async_trait;
use eventlog::{Follower, Log};
use mailstore::Upkeep;
use processors::spam::Models;
use schemas::{Event, NewRecord, codec};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

pub struct Replay {
    log: Arc<dyn Log>,
    store: Arc<dyn Upkeep>,
    accounts: Arc<Follower<Table>>,
    pub models: Arc<Follower<Models>>,
    stop: CancellationToken,
    /// Held by who replays: a second one is not kept waiting.
    under_way: Mutex<()>,
}

#[async_trait]
impl Replays for Replay {
    async fn score(&self, ask: Ask, report: &Report<'_>) -> Result<ScoreReport, OperationError> {
        let _alone = self.under_way.try_lock().map_err(|_| OperationError::Busy)?;
        score::score(self, &ask, report).await
    }

    async fn route(&self, ask: Ask, report: &Report<'_>) -> Result<RouteReport, OperationError> {
        let _alone = self.under_way.try_lock().map_err(|_| OperationError::Busy)?;
        route::route(self, &ask, report).await
    }
}

impl Replay {
    pub fn new(
        log: &Arc<dyn Log>,
        store: Arc<dyn Upkeep>,
        accounts: &Arc<Follower<Table>>,
        models: Arc<Follower<Models>>,
        stop: CancellationToken,
    ) -> Self {
        let (log, accounts) = (Arc::clone(log), Arc::clone(accounts));
        Self { log, store, accounts, models, stop, under_way: Mutex::new(()) }
    }

    /// Tells how far it has come, and whether to go on.
    fn tell(&self, report: &Report<'_>, stage: &str, done: u64, total: u64) -> Result<(), OperationError> {
        let is_wanted = report(RebuildStep { stage: stage.to_owned(), done, total });
        if is_wanted && !self.stop.is_cancelled() {
            return Ok(());
        }
        Err(failed("it was cut off: ask for the same again, and it goes on"))
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<(), OperationError> {
        if !records.is_empty() {
            self.log.append(records).await.map_err(failed)?;
        }
        Ok(())
    }
}

/// The record of a fact about a message, in the message's partition.
fn record(id: &str, partition: u32, event: &Event) -> Result<NewRecord, OperationError> {
    let value = codec::encode(event).map_err(failed)?;
    Ok(NewRecord::new(event.topic(), id.to_owned(), value).in_partition(partition))
}

fn failed(error: impl std::fmt::Display) -> OperationError {
    OperationError::Failed(error.to_string())
}
