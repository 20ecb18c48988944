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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use schemas::event::{ActionChange, MailAction};
    use schemas::{Event, MessageId, Topic};

    use super::*;

    fn record(offset: u64, value: Option<Bytes>) -> Record {
        let position = Position::new(Topic::MailActions, 0, offset);
        Record { position, timestamp_ms: 0, key: None, headers: Vec::new(), value }
    }

    #[test]
    fn what_cannot_be_decoded_is_returned_with_its_place_and_the_rest_goes_on() {
        let action = MailAction {
            message_id: MessageId::from_parts(1, [0; 10]),
            index: 0,
            at: 0,
            by: "account-1".to_owned(),
            change: ActionChange::Read { read: true },
        };
        let event = Event::Action(action);
        let value = codec::encode(&event).unwrap();
        let cut = value.slice(..value.len() - 1);
        let records =
            vec![record(4, Some(cut)), record(5, None), record(6, Some(value)), record(7, Some(Bytes::new()))];
        let (facts, undecodable) = decode(records);
        assert_eq!(facts, [Fact { position: Position::new(Topic::MailActions, 0, 6), event }]);
        assert_eq!(undecodable.iter().map(|one| one.position.offset).collect::<Vec<_>>(), [4, 7]);
        assert!(undecodable.iter().all(|one| !one.cause.is_empty()));
    }
}
