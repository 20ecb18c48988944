//! Retention where the log gives up its oldest records by itself: the store is swept, and learns which mail it alone has.

use std::sync::Arc;

use eventlog::Log;
use mailstore::{Retention, Upkeep};
use schemas::record::Partition;
use schemas::{Position, Topic};
use tokio::sync::{Mutex, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::upkeep::{UpkeepError, millis, now_ms};
use crate::config::RetentionSettings;

/// The partitions that this process folds into the store.
pub type Has = watch::Receiver<Vec<(Topic, Partition)>>;

pub struct Sweep {
    log: Arc<dyn Log>,
    store: Arc<dyn Upkeep>,
    retention: RetentionSettings,
    /// Held by whoever rebuilds or removes: not both at once.
    turn: Arc<Mutex<()>>,
    /// Where the store is others' as well.
    has: Option<Has>,
}

impl Sweep {
    pub fn new(log: Arc<dyn Log>, store: Arc<dyn Upkeep>, retention: RetentionSettings, turn: Arc<Mutex<()>>) -> Self {
        Self { log, store, retention, turn, has: None }
    }

    /// Of a store that several processes fold, the one that has the first partition of `mail.raw` removes. Two at once
    /// for a moment, as it changes hands, do no harm.
    #[cfg(feature = "cql")]
    pub fn of_whoever_has(self, has: Has) -> Self {
        Self { has: Some(has), ..self }
    }

    fn is_ours(&self) -> bool {
        self.has.as_ref().is_none_or(|has| has.borrow().contains(&(Topic::MailRaw, 0)))
    }

    pub async fn run(&self, stop: &CancellationToken) {
        let mut ticks = tokio::time::interval(self.retention.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            if !self.is_ours() {
                continue;
            }
            let Ok(_turn) = self.turn.try_lock() else { continue };
            if let Err(error) = self.once().await {
                tracing::warn!(%error, "what is past its retention can't be removed for now");
            }
        }
    }

    async fn once(&self) -> Result<(), UpkeepError> {
        let bounds = self.log.bounds(Topic::MailRaw).await?;
        let starts = bounds.iter().map(|bounds| Position::new(Topic::MailRaw, bounds.partition, bounds.earliest));
        let retention = Retention {
            received_before_ms: self.retention.store_age.map(|age| now_ms().saturating_sub(millis(age))),
            max_bytes: self.retention.store_bytes,
            raw_before: starts.collect(),
        };
        let swept = self.store.sweep(&retention).await?;
        if swept.messages_removed > 0 {
            tracing::info!(messages = swept.messages_removed, "mail was removed");
        }
        Ok(())
    }
}
