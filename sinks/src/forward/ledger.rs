//! The log, as the engine sees it: what is due comes from it, and what was done goes to it.

use std::time::Duration;

use async_trait::async_trait;
use schemas::event::{ForwardAttempt, ForwardDue};
use schemas::record::{Offset, Partition};
use schemas::{Event, Position, Record, codec};

/// A record of `forward.due`: what is due from now on, or a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueRecord {
    pub partition: Partition,
    pub offset: Offset,
    /// When the log took it, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The record's key.
    pub delivery_id: String,
    /// `None` is a tombstone.
    pub due: Option<ForwardDue>,
}

impl DueRecord {
    /// What a record of `forward.due` says, or why it says nothing: whoever read it writes a dead letter.
    pub fn read(record: &Record) -> Result<Self, String> {
        let key = record.key.as_ref().and_then(|key| std::str::from_utf8(key).ok());
        let delivery_id = key.ok_or("the record has no delivery id as its key")?.to_owned();
        let Position { topic, partition, offset } = record.position;
        let due = match record.value.as_ref().map(|value| codec::decode(topic, value)).transpose() {
            Ok(Some(Event::Due(due))) if due.delivery_id == delivery_id => Some(due),
            Ok(Some(Event::Due(_))) => return Err("the key names another delivery than the value".to_owned()),
            Ok(Some(_)) => return Err(format!("the topic {topic} holds no deliveries that are due")),
            Ok(None) => None,
            Err(error) => return Err(error.to_string()),
        };
        Ok(Self { partition, offset, timestamp_ms: record.timestamp_ms, delivery_id, due })
    }
}

/// All that follows from one attempt. It is appended whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The partition of the message, on `forward.due` and `forward.attempts` alike.
    pub partition: Partition,
    /// The delivery as it was due.
    pub due: ForwardDue,
    /// For `forward.attempts`.
    pub attempt: ForwardAttempt,
    /// For `forward.due`, under the delivery's id.
    pub next: Next,
    /// For `accounts`, by the server itself: the receiver wants nothing any more.
    pub off: Option<SwitchedOff>,
}

/// What stands on `forward.due` after an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The delivery, to be tried again.
    Due(ForwardDue),
    /// A tombstone. `story`: the delivery was given up, and this, with what was due, goes to `dead.letters`.
    Ended { story: Option<String> },
}

/// What an `AccountChange::ForwardSwitched` says that switches the forward off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwitchedOff {
    pub forward: String,
    pub owner: String,
    pub cause: String,
}

/// The log did not take it. The engine asks again until it does, or until it is stopped: then the delivery is made
/// again after the start, under the same id.
#[derive(Debug, thiserror::Error)]
#[error("the log did not record what was delivered: {0}")]
pub struct LedgerError(pub String);

/// Records what was done.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Answers once the log has it: the offset of the record (or tombstone) on `forward.due`.
    async fn record(&self, recorded: &Recorded) -> Result<Offset, LedgerError>;

    /// The attempts of a delivery that stand on the log, oldest first, for the story of one that is given up.
    async fn attempts(&self, partition: Partition, delivery_id: &str) -> Result<Vec<ForwardAttempt>, LedgerError>;
}

/// How far the store shows what stands on the log.
#[async_trait]
pub trait Shown: Send + Sync + 'static {
    /// Waits until the store has folded what lies before the position: `false` when the limit has passed.
    async fn reach(&self, position: Position, limit: Duration) -> bool;

    /// Waits until the store has folded all that the `mail.*` topics of this partition hold at the call: what it
    /// doesn't show then is deleted.
    async fn caught_up(&self, partition: Partition, limit: Duration) -> bool;
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use schemas::{MessageId, Topic};

    use super::*;

    fn due() -> ForwardDue {
        ForwardDue {
            delivery_id: "dlv_1".to_owned(),
            forward: "hook".to_owned(),
            message_id: MessageId::from_parts(1, [0; 10]),
            index: 0,
            routed_offset: 4,
            arrived_at: 1,
            next_at: 0,
            attempts: 0,
            origin: String::new(),
        }
    }

    fn record(key: Option<&'static str>, value: Option<Bytes>) -> Record {
        let position = Position::new(Topic::ForwardDue, 3, 9);
        Record { position, timestamp_ms: 5, key: key.map(Bytes::from), headers: Vec::new(), value }
    }

    fn encoded() -> Bytes {
        codec::encode(&Event::Due(due())).unwrap()
    }

    #[test]
    fn a_record_says_what_is_due_and_a_tombstone_what_has_ended() {
        let read = |value| DueRecord::read(&record(Some("dlv_1"), value)).unwrap();
        let expected =
            DueRecord { partition: 3, offset: 9, timestamp_ms: 5, delivery_id: "dlv_1".to_owned(), due: Some(due()) };
        assert_eq!(read(Some(encoded())), expected);
        assert_eq!(read(None), DueRecord { due: None, ..expected });
    }

    #[test]
    fn what_is_no_delivery_is_told_with_its_cause() {
        let cut = encoded().slice(..encoded().len() - 1);
        for (key, value) in [
            (None, Some(encoded())),
            (None, None),
            (Some("dlv_2"), Some(encoded())),
            (Some("dlv_1"), Some(cut)),
            (Some("dlv_1"), Some(Bytes::new())),
        ] {
            assert!(!DueRecord::read(&record(key, value)).unwrap_err().is_empty());
        }
    }
}
