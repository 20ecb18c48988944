//! `rebuild`: the log is folded into new tables beside the old, which are read until the new ones have caught up. What
//! the log has given up is carried over. Nothing is recomputed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use api::http::{OperationError, Operations, RebuildStep};
use async_trait::async_trait;
use eventlog::runner::{BatchLimits, Projection, ProjectionError, project};
use eventlog::{Log, Progress};
use mailstore::{Store, Totals, Upkeep};
use schemas::{Position, Record, Topic};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::places::ends;
use super::projection::{TOPICS, failed};
use super::storing::Gates;

/// How often the caller hears how far it has come.
const REPORT_EVERY: Duration = Duration::from_millis(200);
/// For a removal that is under way to end.
const TURN_LIMIT: Duration = Duration::from_secs(60);

/// For the new tables to have caught up with those that others go on folding into.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(120);

pub struct Rebuild {
    log: Arc<dyn Log>,
    store: Arc<dyn Upkeep>,
    gates: Gates,
    /// Held by who rebuilds: a second one is not kept waiting.
    under_way: Mutex<()>,
}

/// The new tables as the runner sees them.
struct NewTables(Box<dyn Store>);

impl NewTables {
    /// What lies before these positions is folded: they may stand behind places that hold no records.
    async fn pass(&self, end: &[Position]) -> mailstore::Result<()> {
        let at = self.0.positions().await?;
        let is_there = |end: &&Position| {
            at.iter().any(|at| (at.topic, at.partition) == (end.topic, end.partition) && at.offset >= end.offset)
        };
        let ahead: Vec<Position> = end.iter().filter(|end| !is_there(end)).copied().collect();
        if ahead.is_empty() { Ok(()) } else { self.0.apply(Vec::new(), &ahead).await }
    }
}

#[async_trait]
impl Projection for NewTables {
    fn name(&self) -> &'static str {
        "rebuild"
    }

    async fn positions(&self) -> Result<Vec<Position>, ProjectionError> {
        self.0.positions().await.map_err(failed)
    }

    /// What can't be read has its dead letter already.
    async fn apply(&self, records: Vec<Record>, positions: &[Position]) -> Result<(), ProjectionError> {
        let (facts, _) = sinks::store::decode(records);
        self.0.apply(facts, positions).await.map_err(failed)
    }
}

#[async_trait]
impl Operations for Rebuild {
    async fn rebuild(&self, report: &(dyn Fn(RebuildStep) + Send + Sync)) -> Result<Totals, OperationError> {
        let _alone = self.under_way.try_lock().map_err(|_| OperationError::Busy)?;
        let turn = tokio::time::timeout(TURN_LIMIT, self.gates.turn.lock()).await;
        let _turn = turn.map_err(|_| refused("old mail is being removed, and that takes long: try again later"))?;
        let new = Arc::new(NewTables(self.store.rebuild().await.map_err(refused)?));
        let starts = self.starts().await?;
        step(report, "carrying over what is older than the log", 0, 1);
        let carried = self.store.carry_over(&starts).await.map_err(refused)?;
        step(report, "carried over what is older than the log", carried, carried);
        let ends = ends(self.log.as_ref(), &TOPICS).await.map_err(refused)?;
        self.fold(Arc::clone(&new), ends, report).await?;
        // What has come meanwhile: this process applies nothing to the old tables from here on.
        let _closed = self.gates.folding.lock().await;
        let built = self.catch_up_and_switch(new, report).await?;
        tracing::info!(messages = built.messages, entries = built.entries, "the store is rebuilt");
        Ok(built)
    }
}

impl Rebuild {
    pub fn new(log: &Arc<dyn Log>, store: &Arc<dyn Upkeep>, gates: &Gates) -> Self {
        let (log, store, gates) = (Arc::clone(log), Arc::clone(store), gates.clone());
        Self { log, store, gates, under_way: Mutex::new(()) }
    }

    /// Where other processes go on folding into the old tables, the new ones may be behind again at once: then they
    /// are brought up to them once more.
    async fn catch_up_and_switch(
        &self,
        new: Arc<NewTables>,
        report: &(dyn Fn(RebuildStep) + Send + Sync),
    ) -> Result<Totals, OperationError> {
        let deadline = Instant::now() + CATCH_UP_LIMIT;
        loop {
            let at = self.store.positions().await.map_err(refused)?;
            self.fold(Arc::clone(&new), at.clone(), report).await?;
            let refusal = match self.switch().await {
                Ok(built) => return Ok(built),
                Err(refusal) => refusal,
            };
            let has_moved = self.store.positions().await.map_err(refused)? != at;
            if !has_moved || Instant::now() >= deadline {
                return Err(refusal);
            }
        }
    }

    async fn switch(&self) -> Result<Totals, OperationError> {
        let (old, built) = self.store.totals().await.map_err(refused)?;
        let built = built.ok_or_else(|| refused("the new tables are gone"))?;
        if built.entries < old.entries || built.messages < old.messages {
            return Err(refused(format!(
                "the new tables would show {} entries of {} messages, and those in use show {} of {}: they stay",
                built.entries, built.messages, old.entries, old.messages
            )));
        }
        self.store.switch().await.map_err(refused)?;
        Ok(built)
    }

    async fn starts(&self) -> Result<Vec<Position>, OperationError> {
        let bounds = self.log.bounds(Topic::MailRaw).await.map_err(refused)?;
        Ok(bounds.iter().map(|bounds| Position::new(Topic::MailRaw, bounds.partition, bounds.earliest)).collect())
    }

    /// Folds into the new tables up to these positions.
    async fn fold(
        &self,
        new: Arc<NewTables>,
        until: Vec<Position>,
        report: &(dyn Fn(RebuildStep) + Send + Sync),
    ) -> Result<(), OperationError> {
        let progress = Arc::new(Progress::new());
        let total = sum(&until);
        let (log, told) = (Arc::clone(&self.log), Arc::clone(&progress));
        let (folded, end) = (Arc::clone(&new), until.clone());
        let never = CancellationToken::new();
        let folding = project(log, &TOPICS, new, BatchLimits::default(), Some(until), Some(told), never);
        let mut folding = std::pin::pin!(folding);
        let mut ticks = tokio::time::interval(REPORT_EVERY);
        loop {
            tokio::select! {
                ended = &mut folding => {
                    step(report, "folding the log", total, total);
                    ended.map_err(refused)?;
                    return folded.pass(&end).await.map_err(refused);
                }
                _ = ticks.tick() => step(report, "folding the log", sum(&progress.positions()).min(total), total),
            }
        }
    }
}

fn sum(positions: &[Position]) -> u64 {
    positions.iter().map(|position| position.offset).sum()
}

fn step(report: &(dyn Fn(RebuildStep) + Send + Sync), stage: &str, done: u64, total: u64) {
    report(RebuildStep { stage: stage.to_owned(), done, total });
}

fn refused(error: impl std::fmt::Display) -> OperationError {
    OperationError::Failed(error.to_string())
}
