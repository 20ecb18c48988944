//! Retention where the log gives up its oldest records by itself: the store is swept, and learns which mail it alone has.

use std::sync::Arc;

use eventlog::Log;
use mailstore::{Retention, Upkeep};
use schemas::{Position, Topic};
use tokio::sync::Mutex;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::upkeep::{UpkeepError, millis, now_ms};
use crate::config::RetentionSettings;

pub struct Sweep {
    pub log: Arc<dyn Log>,
    pub store: Arc<dyn Upkeep>,
    pub retention: RetentionSettings,
    /// Held by whoever rebuilds or removes: not both at once.
    pub turn: Arc<Mutex<()>>,
}

impl Sweep {
    pub async fn run(&self, stop: &CancellationToken) {
        let mut ticks = tokio::time::interval(self.retention.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
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
