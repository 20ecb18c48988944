//! One generation of the tables: the rows and their views, as two keyspaces, and what all generations share.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fjall::config::{CompressionPolicy, FilterPolicy, FilterPolicyEntry};
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, Readable, Snapshot};
use schemas::record::{Offset, Partition};
use schemas::{MessageId, Position, Topic};

use super::listed::WrittenOut;
use super::{damaged, failed};
use crate::row::Row;
use crate::{Counts, RawBytes, Result, Totals, encoding, views};

/// Memory that rows take before they are written out; views and bytes have half of it each.
const MEMTABLE_BYTES: u64 = 8 * 1024 * 1024;

/// What every generation uses.
pub struct Shared {
    pub db: Database,
    pub meta: Keyspace,
    /// Bytes that were copied, by message id: out of the log, or in with their message.
    pub bytes: Keyspace,
    pub raw: RawBytes,
    pub written_out: WrittenOut,
}

pub struct Tables {
    pub shared: Arc<Shared>,
    pub generation: u64,
    /// By message id.
    pub rows: Keyspace,
    /// See [`views`].
    pub views: Keyspace,
    ledger: Mutex<Ledger>,
}

/// What the one writer knows by heart. Whoever holds it is the one writer.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub positions: BTreeMap<(Topic, Partition), Offset>,
    pub volume: Volume,
    /// The latest time of receipt folded, by partition.
    pub newest: BTreeMap<Partition, i64>,
    /// Another generation is read now: nothing may be written here any more.
    pub retired: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    pub totals: Totals,
    pub size_bytes: u64,
}

impl Tables {
    /// Opens the tables of a generation, and makes them where they are missing.
    pub fn open(shared: Arc<Shared>, generation: u64) -> Result<Arc<Self>> {
        let rows = shared.db.keyspace(&rows_name(generation), row_options).map_err(failed)?;
        let views = shared.db.keyspace(&views_name(generation), view_options).map_err(failed)?;
        let tables = Self { shared, generation, rows, views, ledger: Mutex::default() };
        let ledger = tables.read_ledger()?;
        *tables.writer() = ledger;
        Ok(Arc::new(tables))
    }

    /// Waits for the other writers. The ledger is changed only after a commit, so one that panicked left it sound.
    pub fn writer(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn snapshot(&self) -> Snapshot {
        self.shared.db.snapshot()
    }

    pub fn row(&self, view: &Snapshot, id: &MessageId) -> Result<Option<Row>> {
        let bytes = view.get(&self.rows, id.as_str()).map_err(failed)?;
        bytes.map(|bytes| encoding::decode(&bytes)).transpose()
    }

    pub fn counts(&self, view: &Snapshot, inbox: &str) -> Result<Counts> {
        let value = view.get(&self.views, views::list_of(views::COUNTS, inbox)).map_err(failed)?;
        value.map_or(Ok(Counts::default()), |value| read_counts(&value))
    }

    pub fn positions(&self) -> Result<Vec<Position>> {
        let read = |(key, value): (fjall::Slice, fjall::Slice)| {
            views::read_position(&key, &value).ok_or_else(|| damaged("a position"))
        };
        let found = self.snapshot().prefix(&self.views, [views::POSITIONS]);
        found.map(|guard| guard.into_inner().map_err(failed).and_then(read)).collect()
    }

    pub fn totals(&self) -> Result<Totals> {
        Ok(self.volume(&self.snapshot())?.totals)
    }

    /// The keys of a view from `from` (included) to `to` (not), as many as asked for.
    pub fn keys(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<fjall::Slice>> {
        let range = (Bound::Included(from), Bound::Excluded(to));
        let found = self.snapshot().range::<&[u8], _>(&self.views, range);
        found.take(limit).map(|guard| guard.key().map_err(failed)).collect()
    }

    pub fn volume(&self, view: &Snapshot) -> Result<Volume> {
        let value = view.get(&self.views, [views::TOTALS]).map_err(failed)?;
        value.map_or(Ok(Volume::default()), |value| read_volume(&value))
    }

    fn read_ledger(&self) -> Result<Ledger> {
        let view = self.snapshot();
        let mut ledger = Ledger { volume: self.volume(&view)?, ..Ledger::default() };
        for place in self.positions()? {
            ledger.positions.insert((place.topic, place.partition), place.offset);
        }
        for guard in view.prefix(&self.views, [views::NEWEST]) {
            let (key, value) = guard.into_inner().map_err(failed)?;
            let (partition, time) = views::read_newest(&key, &value).ok_or_else(|| damaged("a time"))?;
            ledger.newest.insert(partition, time);
        }
        Ok(ledger)
    }
}

impl Ledger {
    /// Whether the fact at this place has been folded.
    pub fn is_behind(&self, place: Position) -> bool {
        self.positions.get(&(place.topic, place.partition)).is_some_and(|next| place.offset < *next)
    }
}

pub fn rows_name(generation: u64) -> String {
    format!("store.rows.{generation}")
}

pub fn views_name(generation: u64) -> String {
    format!("store.views.{generation}")
}

/// The generation that a keyspace of this name belongs to.
pub fn generation_of(name: &str) -> Option<u64> {
    let number = name.strip_prefix("store.rows.").or_else(|| name.strip_prefix("store.views."))?;
    number.parse().ok()
}

pub fn write_counts(counts: Counts) -> Vec<u8> {
    [counts.messages.to_be_bytes(), counts.unread.to_be_bytes()].concat()
}

pub fn read_counts(value: &[u8]) -> Result<Counts> {
    let [messages, unread] = read_numbers(value)?;
    Ok(Counts { messages, unread })
}

pub fn write_volume(volume: Volume) -> Vec<u8> {
    [volume.totals.messages, volume.totals.entries, volume.size_bytes].map(u64::to_be_bytes).concat()
}

fn read_volume(value: &[u8]) -> Result<Volume> {
    let [messages, entries, size_bytes] = read_numbers(value)?;
    Ok(Volume { totals: Totals { messages, entries }, size_bytes })
}

fn read_numbers<const N: usize>(value: &[u8]) -> Result<[u64; N]> {
    let (numbers, rest) = value.as_chunks::<8>();
    let numbers: &[[u8; 8]; N] = numbers.try_into().map_err(|_| damaged("a count"))?;
    if rest.is_empty() { Ok(numbers.map(u64::from_be_bytes)) } else { Err(damaged("a count")) }
}

fn row_options() -> KeyspaceCreateOptions {
    let lz4 = CompressionPolicy::new([CompressionType::None, CompressionType::Lz4]);
    KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES).data_block_compression_policy(lz4)
}

/// Keys without values, read in ranges: no filters.
fn view_options() -> KeyspaceCreateOptions {
    let unfiltered = FilterPolicy::new([FilterPolicyEntry::None]);
    KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES / 2).filter_policy(unfiltered)
}

pub fn bytes_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(MEMTABLE_BYTES / 2)
        .with_kv_separation(Some(KvSeparationOptions::default()))
}
