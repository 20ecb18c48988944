//! The runner: the one owner of positions. It reads, has a stage or a projection handle what it read, and commits. It
//! knows nothing of what the records mean; nothing else commits, retries or parks.

mod backoff;
mod batch;
mod dead;
mod group;
mod lag;
mod markers;
mod project;
mod share;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use schemas::{NewRecord, Position, Record};

pub use backoff::Backoff;
pub use dead::{DEAD_LETTER_CAUSE_CHARS, DEAD_LETTER_VALUE_BYTES, dead_letter};
pub use group::run_group;
pub use markers::DEATHS_BEFORE_GIVING_UP;
pub use project::{ProjectError, project};
pub use share::{Share, project_shared};

use crate::{Limits, Result};

/// Events to events. Committed together: the outputs of a batch and the position behind it.
#[async_trait]
pub trait Stage: Send + Sync + 'static {
    /// For logs and dead letters.
    fn name(&self) -> &'static str;

    /// Called before each batch: brings what the stage looks things up in to where it has to be.
    async fn prepare(&self) -> Result<()> {
        Ok(())
    }

    /// What follows from the record. Pure, and called from several threads at once.
    fn process(&self, record: &Record) -> std::result::Result<Vec<NewRecord>, Poison>;

    /// What can still be said of a record that can't be processed.
    fn give_up(&self, record: &Record, cause: &str) -> Vec<NewRecord>;
}

/// Why a record can't be processed, now or later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poison(pub String);

/// Events to state that knows its own position.
#[async_trait]
pub trait Projection: Send + Sync + 'static {
    /// For logs.
    fn name(&self) -> &'static str;

    /// Where the state stands; partitions that it has never seen are left out, and begin at the earliest record.
    async fn positions(&self) -> std::result::Result<Vec<Position>, ProjectionError>;

    /// Applies the records and moves to the positions, both or neither.
    async fn apply(&self, records: Vec<Record>, positions: &[Position]) -> std::result::Result<(), ProjectionError>;
}

/// Named for what the runner does next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProjectionError {
    /// The same call may succeed later: it is made again.
    #[error("{0}")]
    Later(String),
    /// Going on would lose or mix something.
    #[error("{0}")]
    Stop(String),
}

/// How much is handled at once. A lone record is handled at once, too; batches grow only when more is waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    pub records: usize,
    /// At least one record comes, however big it is.
    pub bytes: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { records: 256, bytes: 8 << 20 }
    }
}

impl BatchLimits {
    const fn poll(self) -> Limits {
        Limits { records: self.records, bytes: self.bytes, wait: POLL_WAIT }
    }
}

/// How a group is run.
#[derive(Clone, Debug)]
pub struct RunSettings {
    pub limits: BatchLimits,
    /// Blocking threads that process one batch.
    pub workers: usize,
    /// The folder for the markers of records that are being processed after an unclean stop; without one, a record
    /// that kills the process is tried for ever.
    pub markers: Option<PathBuf>,
}

impl Default for RunSettings {
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        Self { limits: BatchLimits::default(), workers, markers: None }
    }
}

/// How long a poll waits: new records wake it at once, so this only bounds how long it sleeps for nothing.
const POLL_WAIT: Duration = Duration::from_secs(1);
