//! How far the store shows what stands on the log.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use eventlog::{Log, Progress};
use schemas::Position;
use schemas::record::Partition;
use sinks::forward::Shown;
use tokio::time::Instant;

use crate::assemble::projection::TOPICS;

pub struct OnLog {
    pub log: Arc<dyn Log>,
    pub shown: Arc<Progress>,
}

#[async_trait]
impl Shown for OnLog {
    async fn reach(&self, position: Position, limit: Duration) -> bool {
        self.shown.reach(position, limit).await
    }

    async fn caught_up(&self, partition: Partition, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        for topic in TOPICS {
            let Ok(all) = self.log.bounds(topic).await else { return false };
            let Some(bounds) = all.iter().find(|bounds| bounds.partition == partition) else { continue };
            let end = Position::new(topic, partition, bounds.end);
            if !self.shown.reach(end, until.saturating_duration_since(Instant::now())).await {
                return false;
            }
        }
        true
    }
}
