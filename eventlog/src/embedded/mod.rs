//! The embedded log: `mail.raw` in segment files of its own, every other topic in the shared fjall database. It knows
//! nothing of what the records mean.

mod database;
mod folder;
mod settings;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use fjall::Database;
use schemas::{NewRecord, Position, Record, Topic};

use crate::{Bounds, Log, LogError, LogId, Member, Result, Tail};

pub use database::{DatabaseSettings, open_database};
pub use folder::{DataFolder, FORMAT, FolderError};
pub use settings::EmbeddedSettings;

/// The embedded body of the log.
pub struct EmbeddedLog {
    id: LogId,
}

impl EmbeddedLog {
    /// Opens the log, or makes it: segments in `folder`, everything else in `database`.
    pub fn open(database: Database, folder: &Path, settings: EmbeddedSettings) -> Result<Arc<Self>> {
        let _ = (database, folder, settings.clamped());
        Err(unbuilt())
    }

    /// The record at this place; `None` when there is none, or none any more.
    pub fn read(&self, position: Position) -> Result<Option<Record>> {
        let _ = position;
        Err(unbuilt())
    }

    /// Resolves with the cause when the log has closed itself after a failed write or sync: it has to be reopened.
    pub async fn failed(&self) -> String {
        std::future::pending().await
    }

    /// Which positions of `mail.raw` may go, in whole segments: what is older than `max_age_ms` at `now_ms`, and the
    /// oldest of what is more than `max_bytes`.
    pub fn expired(&self, now_ms: i64, max_age_ms: Option<i64>, max_bytes: Option<u64>) -> Vec<Position> {
        let _ = (now_ms, max_age_ms, max_bytes);
        Vec::new()
    }

    /// Removes the records of a compacted topic that a later one of the same key has replaced: how many.
    pub fn compact(&self, topic: Topic) -> Result<u64> {
        let _ = topic;
        Err(unbuilt())
    }

    /// Stops cleanly: what was appended is written, and the next start is fast. Done by dropping as well.
    pub fn close(&self) {}
}

fn unbuilt() -> LogError {
    LogError::Unavailable("not built yet".into())
}

#[async_trait]
impl Log for EmbeddedLog {
    fn id(&self) -> &LogId {
        &self.id
    }

    async fn append(&self, _records: Vec<NewRecord>) -> Result<Vec<Position>> {
        Err(unbuilt())
    }

    async fn join(&self, _group: &str, _topics: &[Topic]) -> Result<Box<dyn Member>> {
        Err(unbuilt())
    }

    async fn tail(&self, _from: &[Position]) -> Result<Box<dyn Tail>> {
        Err(unbuilt())
    }

    async fn bounds(&self, _topic: Topic) -> Result<Vec<Bounds>> {
        Err(unbuilt())
    }

    async fn offsets_at(&self, _topic: Topic, _timestamp_ms: i64) -> Result<Vec<Position>> {
        Err(unbuilt())
    }

    async fn truncate(&self, _before: &[Position]) -> Result<()> {
        Err(unbuilt())
    }

    async fn committed(&self, _group: &str) -> Result<Vec<Position>> {
        Err(unbuilt())
    }
}
