//! The store sink as a projection of the runner. While a rebuild hands over, the gate is held and nothing is applied.

use std::sync::Arc;

use async_trait::async_trait;
use eventlog::runner::{Projection, ProjectionError, dead_letter};
use eventlog::{Follower, Log};
use mailstore::StoreError;
use schemas::{Position, Record, Standing, Topic};
use sinks::store::StoreSink;
use tokio::sync::Mutex;

/// What the store is folded from.
pub const TOPICS: [Topic; 5] =
    [Topic::MailRaw, Topic::MailParsed, Topic::MailScored, Topic::MailRouted, Topic::MailActions];
const NAME: &str = "store";

pub struct StoreProjection {
    pub log: Arc<dyn Log>,
    pub sink: StoreSink,
    pub gate: Arc<Mutex<()>>,
    pub schemas: Arc<Follower<Standing>>,
}

#[async_trait]
impl Projection for StoreProjection {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn positions(&self) -> Result<Vec<Position>, ProjectionError> {
        self.sink.positions().await.map_err(failed)
    }

    async fn apply(&self, records: Vec<Record>, positions: &[Position]) -> Result<(), ProjectionError> {
        let _open = self.gate.lock().await;
        self.schemas.catch_up().await.map_err(|error| ProjectionError::Later(error.to_string()))?;
        let undecodable = self.sink.apply(records.clone(), positions).await.map_err(failed)?;
        // Mail itself has its letter from the processors.
        let letters = undecodable.iter().filter(|one| one.position.topic != Topic::MailRaw).filter_map(|one| {
            let record = records.iter().find(|record| record.position == one.position)?;
            dead_letter(NAME, record, &one.cause)
        });
        let letters: Vec<_> = letters.collect();
        if letters.is_empty() {
            return Ok(());
        }
        // The store has moved on: a letter that can't be written now is only missed.
        if let Err(error) = self.log.append(letters).await {
            tracing::error!(%error, "a dead letter of the store can't be written");
        }
        Ok(())
    }
}

/// What the runner does about it.
pub fn failed(error: StoreError) -> ProjectionError {
    let cause = error.to_string();
    if error.is_transient() { ProjectionError::Later(cause) } else { ProjectionError::Stop(cause) }
}
