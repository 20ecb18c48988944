//! A record of the log as every room sees it: Kafka's terms, no log behind them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::Topic;

pub type Partition = u32;
pub type Offset = u64;

/// A place in the log. As a position of a reader it names the next record to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    pub topic: Topic,
    pub partition: Partition,
    pub offset: Offset,
}

impl Position {
    pub const fn new(topic: Topic, partition: Partition, offset: Offset) -> Self {
        Self { topic, partition, offset }
    }

    /// The place right behind this one.
    pub const fn next(self) -> Self {
        Self { offset: self.offset + 1, ..self }
    }
}

/// A record that stands on the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub position: Position,
    /// When the log took it, in milliseconds since 1970, never falling within a partition.
    pub timestamp_ms: i64,
    pub key: Option<Bytes>,
    pub headers: Vec<Header>,
    /// `None` is a tombstone.
    pub value: Option<Bytes>,
}

/// A record that is to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    pub topic: Topic,
    /// `None` leaves the choice to the hash of the key (murmur2, as Kafka's clients do).
    pub partition: Option<Partition>,
    pub key: Option<Bytes>,
    pub headers: Vec<Header>,
    pub value: Option<Bytes>,
}

/// A record header; names may repeat and keep their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub name: String,
    pub value: Bytes,
}

impl Record {
    /// What the record takes in memory and on disk, in bytes, without the fixed part.
    pub fn size_bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|header| header.name.len() + header.value.len()).sum();
        headers + self.key.as_ref().map_or(0, Bytes::len) + self.value.as_ref().map_or(0, Bytes::len)
    }
}

impl NewRecord {
    pub fn new(topic: Topic, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self { topic, partition: None, key: Some(key.into()), headers: Vec::new(), value: Some(value.into()) }
    }

    /// In this partition, whatever the key says: a step writes to the partition that it read from.
    #[must_use]
    pub fn in_partition(self, partition: Partition) -> Self {
        Self { partition: Some(partition), ..self }
    }
}
