//! The one reader of `mail.routed`: from now on, record by record, each told once the store shows it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use accounts::Table;
use eventlog::runner::Backoff;
use eventlog::{Follower, Limits, Log, LogError, Progress};
use ingest::Unanswered;
use mailstore::Upkeep;
use schemas::{Position, Record, Topic};
use sinks::websocket::{Hub, Rendered};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::super::places::ends;
use super::tellable::Plan;

/// What is told in one go; all of it waits for the last answer among it.
const BATCH: Limits = Limits { records: 256, bytes: 1 << 20, wait: Duration::from_secs(1) };
/// Those who are given what they missed, at a time: each reads the log and the store for itself.
const MAX_CATCHING_UP: usize = 8;
/// For the sockets to be closed when the server stops.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

pub struct Feed {
    pub log: Arc<dyn Log>,
    pub store: Arc<dyn Upkeep>,
    pub accounts: Arc<Follower<Table>>,
    /// How far the store shows what is on the log.
    pub shown: Arc<Progress>,
    pub hub: Arc<Hub>,
    pub unanswered: Arc<Unanswered>,
    pub stop: CancellationToken,
    pub(super) catching_up: Semaphore,
}

impl Feed {
    /// It begins at the end that the log has now.
    pub async fn new(
        log: Arc<dyn Log>,
        store: Arc<dyn Upkeep>,
        accounts: Arc<Follower<Table>>,
        shown: Arc<Progress>,
        unanswered: Arc<Unanswered>,
        stop: CancellationToken,
    ) -> eventlog::Result<Arc<Self>> {
        let hub = Hub::new(sinks::websocket::Limits::default());
        hub.begin(ends(log.as_ref(), &[Topic::MailRouted]).await?);
        let catching_up = Semaphore::new(MAX_CATCHING_UP);
        Ok(Arc::new(Self { log, store, accounts, shown, hub, unanswered, stop, catching_up }))
    }

    /// Until the server stops; then until nobody listens any more.
    pub async fn run(self: Arc<Self>) -> eventlog::Result<()> {
        let mut backoff = Backoff::default();
        while let Some(followed) = self.stop.run_until_cancelled(self.follow(&mut backoff)).await {
            let Err(error) = followed;
            if !error.is_transient() {
                return Err(error);
            }
            tracing::warn!(%error, "what comes can't be told to websockets for now");
            if self.stop.run_until_cancelled(backoff.wait()).await.is_none() {
                break;
            }
        }
        if !self.hub.emptied(CLOSE_LIMIT).await {
            tracing::warn!("websockets were cut off at the shutdown");
        }
        Ok(())
    }

    async fn follow(&self, backoff: &mut Backoff) -> Result<Infallible, LogError> {
        let mut tail = self.log.tail(&self.hub.positions()).await?;
        loop {
            let records = tail.poll(&BATCH).await?;
            backoff.reset();
            self.tell(&records).await?;
        }
    }

    async fn tell(&self, records: &[Record]) -> eventlog::Result<()> {
        let plans: Vec<Plan> = records.iter().map(|record| self.plan(record)).collect();
        let is_wanted = |plan: &Plan| plan.told().any(|told| self.hub.wants(told));
        let wanted: Vec<bool> = plans.iter().map(is_wanted).collect();
        let waited: Vec<&Plan> =
            plans.iter().zip(&wanted).filter_map(|(plan, &wanted)| wanted.then_some(plan)).collect();
        self.until_tellable(&waited).await?;
        for (plan, wanted) in plans.iter().zip(wanted) {
            self.publish(plan, wanted).await?;
        }
        Ok(())
    }

    /// `tellable`: it may be told already.
    async fn publish(&self, plan: &Plan, mut tellable: bool) -> eventlog::Result<()> {
        loop {
            let rendered = if tellable {
                self.rendered(plan, |told| self.hub.wants(told)).await?
            } else {
                vec![Rendered::Not; plan.entries.len()]
            };
            let entries: Vec<_> = plan.told().cloned().zip(rendered).collect();
            if self.hub.publish(plan.position, &entries) {
                return Ok(());
            }
            // Somebody has come who wants it.
            self.until_tellable(&[plan]).await?;
            tellable = true;
        }
    }
}

/// Where these positions stand in a partition.
pub(super) fn place(positions: &[Position], partition: u32) -> u64 {
    positions.iter().find(|position| position.partition == partition).map_or(0, |position| position.offset)
}
