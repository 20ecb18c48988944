//! One topic in the database: a keyspace of its own, so that its records, which come in rising order of key, are
//! flushed into tables that follow one another, and compaction moves them instead of writing them again.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use bytes::Bytes;
use fjall::config::{BlockSizePolicy, CompressionPolicy, FilterPolicy};
use fjall::{AbstractTree, CompressionType, Database, Keyspace, KeyspaceCreateOptions};
use schemas::record::{Offset, Partition};
use schemas::topic::Partitions;
use schemas::{Position, Record, Topic};
use tokio::sync::watch;

use super::read_fault;
use crate::embedded::body;
use crate::{Bounds, LogError, Result};

/// Records are read in runs: large blocks compress better and need a smaller index.
const BLOCK_BYTES: u32 = 16 << 10;
/// What waits in memory to be flushed: for the topic that grows by kilobytes with every mail, and for the others. Up
/// to four times as much may be on its way to the disk.
const LARGE_MEMTABLE_BYTES: u64 = 4 << 20;
const SMALL_MEMTABLE_BYTES: u64 = 2 << 20;

pub(super) struct Shelf {
    pub topic: Topic,
    pub keyspace: Keyspace,
    pub places: Vec<Place>,
    /// Told after each change.
    pub changed: watch::Sender<()>,
}

/// One partition. Only who holds the writer's lock moves the end.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub earliest: AtomicU64,
    /// What is before it may be read.
    pub end: AtomicU64,
    pub last_ms: AtomicI64,
}

/// Keys sort by partition, then by offset.
pub(super) fn key(partition: Partition, offset: Offset) -> Vec<u8> {
    let mut key = Vec::with_capacity(12);
    key.extend_from_slice(&partition.to_be_bytes());
    key.extend_from_slice(&offset.to_be_bytes());
    key
}

pub(super) fn offset_of(key: &[u8]) -> Option<Offset> {
    key.get(4..).and_then(<[u8]>::first_chunk).map(|bytes| u64::from_be_bytes(*bytes))
}

impl Shelf {
    pub fn open(
        database: &Database,
        topic: Topic,
        partitions: Partition,
        earliest: impl Fn(Topic, Partition) -> Offset,
    ) -> Result<Self> {
        let keyspace = database.keyspace(&format!("log.{}", topic.name()), || options(topic)).map_err(read_fault)?;
        let count = match topic.partitions() {
            Partitions::Many => partitions,
            Partitions::One => 1,
        };
        let mut shelf = Self { topic, keyspace, places: Vec::new(), changed: watch::Sender::new(()) };
        for partition in 0..count {
            let place = shelf.recover(partition, earliest(topic, partition))?;
            shelf.places.push(place);
        }
        Ok(shelf)
    }

    fn recover(&self, partition: Partition, earliest: Offset) -> Result<Place> {
        let last = self.keyspace.range(key(partition, 0)..=key(partition, Offset::MAX)).next_back();
        let (end, last_ms) = match last.map(fjall::Guard::into_inner).transpose().map_err(read_fault)? {
            Some((key, value)) => {
                let offset = offset_of(&key).ok_or_else(|| self.no_record(&key))?;
                (offset + 1, body::timestamp_ms(&value).unwrap_or(0))
            }
            None => (0, 0),
        };
        let end = end.max(earliest);
        Ok(Place { earliest: AtomicU64::new(earliest), end: AtomicU64::new(end), last_ms: AtomicI64::new(last_ms) })
    }

    /// The database's own thread closes a full memtable when it gets round to it; under a flood it doesn't, and the
    /// memtable would grow as far as memory goes.
    pub fn close_large_memtable(&self) -> fjall::Result<()> {
        if self.keyspace.tree.active_memtable().size() > 2 * memtable_bytes(self.topic) {
            self.keyspace.rotate_memtable()?;
        }
        Ok(())
    }

    pub fn place(&self, partition: Partition) -> Option<&Place> {
        self.places.get(usize::try_from(partition).ok()?)
    }

    pub fn bounds(&self) -> Vec<Bounds> {
        (0..).zip(&self.places).map(|(partition, place)| place.bounds(partition)).collect()
    }

    /// Records from this place on, up to the readable end; none where there are none.
    pub fn read(&self, from: Position, records: usize, bytes: usize) -> Result<Vec<Record>> {
        let Some(bounds) = self.place(from.partition).map(|place| place.bounds(from.partition)) else {
            return Ok(Vec::new());
        };
        if from.offset < bounds.earliest || from.offset >= bounds.end {
            return Ok(Vec::new());
        }
        let mut read = Vec::new();
        let mut left = bytes;
        for guard in self.keyspace.range(key(from.partition, from.offset)..key(from.partition, bounds.end)) {
            let (key, value) = guard.into_inner().map_err(read_fault)?;
            if !read.is_empty() && value.len() > left {
                break;
            }
            left = left.saturating_sub(value.len());
            read.push(self.record(from.partition, &key, &value)?);
            if read.len() >= records.max(1) {
                break;
            }
        }
        Ok(read)
    }

    /// The first offset with this time or a later one. Times never fall, so it is searched for by halves.
    pub fn offset_at(&self, partition: Partition, timestamp_ms: i64) -> Result<Offset> {
        let Some(bounds) = self.place(partition).map(|place| place.bounds(partition)) else { return Ok(0) };
        let (mut low, mut high) = (bounds.earliest, bounds.end);
        while low < high {
            let middle = low + (high - low) / 2;
            let next = self.keyspace.range(key(partition, middle)..key(partition, bounds.end)).next();
            let Some((key, value)) = next.map(fjall::Guard::into_inner).transpose().map_err(read_fault)? else {
                high = middle;
                continue;
            };
            if body::timestamp_ms(&value).is_some_and(|time| time >= timestamp_ms) {
                high = middle;
            } else {
                low = offset_of(&key).ok_or_else(|| self.no_record(&key))? + 1;
            }
        }
        // Behind a gap: the record itself, not the gap before it.
        let found = self.read(Position::new(self.topic, partition, low), 1, 0)?;
        Ok(found.first().map_or(bounds.end, |record| record.position.offset))
    }

    pub fn record(&self, partition: Partition, key: &[u8], value: &[u8]) -> Result<Record> {
        let offset = offset_of(key).ok_or_else(|| self.no_record(key))?;
        let position = Position::new(self.topic, partition, offset);
        body::decode(position, Bytes::copy_from_slice(value)).ok_or_else(|| self.no_record(key))
    }

    fn no_record(&self, key: &[u8]) -> LogError {
        LogError::Damaged(format!("what stands in {} under the key {key:02x?} is no record", self.topic))
    }
}

impl Place {
    pub fn bounds(&self, partition: Partition) -> Bounds {
        let end = self.end.load(Ordering::Acquire);
        Bounds { partition, earliest: self.earliest.load(Ordering::Acquire).min(end), end }
    }
}

fn memtable_bytes(topic: Topic) -> u64 {
    match topic {
        Topic::MailParsed => LARGE_MEMTABLE_BYTES,
        _ => SMALL_MEMTABLE_BYTES,
    }
}

fn options(topic: Topic) -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(memtable_bytes(topic))
        .data_block_size_policy(BlockSizePolicy::all(BLOCK_BYTES))
        .data_block_compression_policy(CompressionPolicy::all(CompressionType::Lz4))
        // Nobody asks for a record that may not be there: no filters.
        .filter_policy(FilterPolicy::disabled())
        .expect_point_read_hits(true)
}
