//! The store sink: decodes records and folds them into the store, which keeps the positions. It knows nothing of how
//! the store keeps what it is given.

use std::sync::Arc;

use mailstore::{Fact, StoreError, Upkeep};
use metrics::counter;
use schemas::{Position, Record, codec};

const UNDECODABLE: &str = "postlog_store_sink_undecodable_total";

/// A record that the store could not be given. Whoever runs the sink writes it to `dead.letters`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecodable {
    pub position: Position,
    pub cause: String,
}

/// Folds the `mail.*` topics into a store.
pub struct StoreSink {
    store: Arc<dyn Upkeep>,
}

impl StoreSink {
    pub fn new(store: Arc<dyn Upkeep>) -> Self {
        Self { store }
    }

    /// Where the store stands: the next place to read in each partition it has seen.
    pub async fn positions(&self) -> Result<Vec<Position>, StoreError> {
        self.store.positions().await
    }

    /// Folds the records and moves the positions, both or neither. What can't be decoded is passed over and returned.
    pub async fn apply(&self, records: Vec<Record>, positions: &[Position]) -> Result<Vec<Undecodable>, StoreError> {
        let (facts, undecodable) = decode(records);
        self.store.apply(facts, positions).await?;
        Ok(undecodable)
    }
}

/// Records as facts, and those that aren't any. A tombstone says nothing about mail and is left out.
pub fn decode(records: Vec<Record>) -> (Vec<Fact>, Vec<Undecodable>) {
    let (mut facts, mut undecodable) = (Vec::with_capacity(records.len()), Vec::new());
    for Record { position, value, .. } in records {
        let Some(value) = value else { continue };
        match codec::decode(position.topic, &value) {
            Ok(event) => facts.push(Fact { position, event }),
            Err(error) => undecodable.push(Undecodable { position, cause: error.to_string() }),
        }
    }
    counter!(UNDECODABLE).increment(undecodable.len() as u64);
    (facts, undecodable)
}
