//! Both halves of the log as one, for whoever holds a part of it: the log object, members and tails.

use std::sync::Arc;

use schemas::record::{Offset, Partition};
use schemas::topic::Partitions;
use schemas::{NewRecord, Position, Record, Topic};
use tokio::sync::watch;

use super::body;
use super::facts::Facts;
use super::fault::Fault;
use super::segments::Segments;
use super::settings::EmbeddedSettings;
use crate::{Bounds, LogError, Result, partition};

pub(super) struct Core {
    pub segments: Arc<Segments>,
    pub facts: Arc<Facts>,
    pub fault: Arc<Fault>,
    pub settings: EmbeddedSettings,
}

impl Core {
    pub fn bounds(&self, topic: Topic) -> Vec<Bounds> {
        match topic {
            Topic::MailRaw => self.segments.bounds(),
            _ => self.facts.bounds(topic),
        }
    }

    pub fn bounds_of(&self, topic: Topic, partition: Partition) -> Option<Bounds> {
        match topic {
            Topic::MailRaw => self.segments.bounds_of(partition),
            _ => self.facts.bounds_of(topic, partition),
        }
    }

    /// Whether this is a place to read from: `true` when there is something.
    pub fn check(&self, position: Position) -> Result<bool> {
        let bounds = self.bounds_of(position.topic, position.partition).ok_or_else(|| no_partition(position))?;
        if (bounds.earliest..=bounds.end).contains(&position.offset) {
            return Ok(position.offset < bounds.end);
        }
        Err(LogError::OutOfRange { position, earliest: bounds.earliest, end: bounds.end })
    }

    pub fn changed(&self, topic: Topic) -> Option<watch::Receiver<()>> {
        match topic {
            Topic::MailRaw => Some(self.segments.changed.subscribe()),
            _ => self.facts.changed(topic),
        }
    }

    /// Blocks, as long as the disk takes.
    pub fn read(&self, from: Position, records: usize, bytes: usize) -> Result<Vec<Record>> {
        match from.topic {
            Topic::MailRaw => self.segments.read(from, records, bytes),
            _ => self.facts.read(from, records, bytes),
        }
    }

    /// Blocks, as long as the disk takes.
    pub fn offset_at(&self, topic: Topic, partition: Partition, timestamp_ms: i64) -> Result<Offset> {
        match topic {
            Topic::MailRaw => self.segments.offset_at(partition, timestamp_ms),
            _ => self.facts.offset_at(topic, partition, timestamp_ms),
        }
    }

    /// Blocks, as long as the disk takes.
    pub fn truncate(&self, before: Position) -> Result<()> {
        let Position { topic, partition, offset } = before;
        let bounds = self.bounds_of(topic, partition).ok_or_else(|| no_partition(before))?;
        if offset > bounds.end {
            return Err(LogError::OutOfRange { position: before, earliest: bounds.earliest, end: bounds.end });
        }
        if offset <= bounds.earliest {
            return Ok(());
        }
        if topic != Topic::MailRaw {
            return self.facts.truncate(topic, partition, offset);
        }
        self.facts.give_up_raw(partition, offset)?;
        self.segments.truncate(partition, offset)
    }

    /// Each record with the partition that it goes to; an error when one can't be taken, and then none is.
    pub fn place(&self, records: Vec<NewRecord>) -> Result<Vec<(Partition, NewRecord)>> {
        records.into_iter().map(|record| self.place_one(record)).collect()
    }

    fn place_one(&self, record: NewRecord) -> Result<(Partition, NewRecord)> {
        let (size_bytes, limit_bytes) = (body::size_bytes(&record), self.settings.max_record_bytes);
        if size_bytes > limit_bytes {
            return Err(LogError::TooLarge { size_bytes, limit_bytes });
        }
        let count = self.partitions(record.topic);
        let chosen = match (record.partition, &record.key) {
            (Some(partition), _) if partition < count => partition,
            (Some(partition), _) => return Err(no_partition(Position::new(record.topic, partition, 0))),
            (None, Some(key)) => partition::of_key(key, count),
            (None, None) => partition::any(count),
        };
        Ok((chosen, record))
    }

    pub fn partitions(&self, topic: Topic) -> Partition {
        match topic.partitions() {
            Partitions::Many => self.settings.partitions,
            Partitions::One => 1,
        }
    }
}

pub(super) fn no_partition(position: Position) -> LogError {
    LogError::Refused(format!("there is no partition {} of {}", position.partition, position.topic))
}
