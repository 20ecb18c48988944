//! Giving records up: what lies before a position, and what a later record of the same key has replaced. In bounded
//! batches, so that nobody else waits long.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use fjall::PersistMode;
use schemas::record::{Offset, Partition};
use schemas::topic::Kept;
use schemas::{Position, Topic};

use super::shelf::{self, Shelf};
use super::{Facts, earliest_key, read_fault};
use crate::{LogError, Result};

const REMOVED_AT_ONCE: usize = 1024;
const COMPACTED_RECORDS: usize = 256;
const COMPACTED_BYTES: usize = 4 << 20;

impl Facts {
    /// Remembers that everything before this offset is given up.
    fn set_earliest(&self, topic: Topic, partition: Partition, before: Offset) -> Result<()> {
        let written = self.meta.insert(earliest_key(topic, partition), before.to_be_bytes());
        written.map_err(|error| self.write_fault(&error))
    }

    /// The same of `mail.raw`, durably: its segments go next, and a start asks for those that should be there.
    pub fn give_up_raw(&self, partition: Partition, before: Offset) -> Result<()> {
        self.set_earliest(Topic::MailRaw, partition, before)?;
        self.database.persist(PersistMode::SyncAll).map_err(|error| self.write_fault(&error))
    }

    /// Gives up what lies before this offset. Blocks.
    pub fn truncate(&self, topic: Topic, partition: Partition, before: Offset) -> Result<()> {
        let Some(shelf) = self.shelf(topic) else { return Ok(()) };
        let Some(place) = shelf.place(partition) else { return Ok(()) };
        let from = place.earliest.load(Ordering::Acquire);
        if before <= from {
            return Ok(());
        }
        self.set_earliest(topic, partition, before)?;
        place.earliest.store(before, Ordering::Release);
        // From the start: an earlier truncation may have been cut short.
        let mut at = shelf.first_offset(partition)?.unwrap_or(before);
        while at < before {
            at = self.remove_some(shelf, partition, at, before)?;
        }
        Ok(())
    }

    /// Removes some records from `at` on, and says where to go on.
    fn remove_some(&self, shelf: &Shelf, partition: Partition, at: Offset, before: Offset) -> Result<Offset> {
        self.fault.check()?;
        let mut batch = self.database.batch();
        let mut next = before;
        for guard in shelf.keyspace.range(shelf::key(partition, at)..shelf::key(partition, before)) {
            let key = guard.key().map_err(read_fault)?;
            if batch.len() >= REMOVED_AT_ONCE {
                next = shelf::offset_of(&key).unwrap_or(before);
                break;
            }
            batch.remove(&shelf.keyspace, key);
        }
        batch.commit().map_err(|error| self.write_fault(&error))?;
        Ok(next)
    }

    /// Removes the records that a later one of the same key has replaced, and tombstones from before `ended_before_ms`:
    /// how many. Blocks.
    pub fn compact(&self, topic: Topic, ended_before_ms: i64) -> Result<u64> {
        if topic.kept() != Kept::Compacted {
            return Err(LogError::Refused(format!("{topic} is not compacted")));
        }
        let Some(shelf) = self.shelf(topic) else { return Ok(0) };
        let mut removed = 0;
        for (partition, place) in (0..).zip(&shelf.places) {
            removed += self.compact_partition(shelf, partition, place.bounds(partition).end, ended_before_ms)?;
        }
        Ok(removed)
    }

    fn compact_partition(&self, shelf: &Shelf, partition: Partition, end: Offset, ended_before_ms: i64) -> Result<u64> {
        // With the place of a key's last record, and whether it is a tombstone that everybody has had time to read.
        let mut newest: HashMap<bytes::Bytes, (Offset, bool)> = HashMap::new();
        let mut replaced = Vec::new();
        let mut at = shelf.place(partition).map_or(end, |place| place.earliest.load(Ordering::Acquire));
        while at < end {
            let records = shelf.read(Position::new(shelf.topic, partition, at), COMPACTED_RECORDS, COMPACTED_BYTES)?;
            let Some(last) = records.last() else { break };
            at = last.position.offset + 1;
            for record in records {
                // A copy: the record's own key would keep all of its bytes alive.
                let Some(key) = record.key.map(|key| bytes::Bytes::copy_from_slice(&key)) else { continue };
                let is_over = record.value.is_none() && record.timestamp_ms < ended_before_ms;
                replaced.extend(newest.insert(key, (record.position.offset, is_over)).map(|(offset, _)| offset));
            }
        }
        // Tombstones come last, so that what they end is never there without them; and the last record of all stays, since
        // the end of the partition is read from it.
        let is_last = |offset: Offset| offset + 1 == end;
        let over = newest.into_values().filter(|(offset, is_over)| *is_over && !is_last(*offset));
        replaced.extend(over.map(|(offset, _)| offset));
        for offsets in replaced.chunks(REMOVED_AT_ONCE) {
            self.fault.check()?;
            let mut batch = self.database.batch();
            for &offset in offsets {
                batch.remove(&shelf.keyspace, shelf::key(partition, offset));
            }
            batch.commit().map_err(|error| self.write_fault(&error))?;
        }
        Ok(replaced.len() as u64)
    }
}

impl Shelf {
    fn first_offset(&self, partition: Partition) -> Result<Option<Offset>> {
        let first = self.keyspace.range(shelf::key(partition, 0)..=shelf::key(partition, Offset::MAX)).next();
        let key = first.map(fjall::Guard::key).transpose().map_err(read_fault)?;
        Ok(key.and_then(|key| shelf::offset_of(&key)))
    }
}
