//! Every topic but `mail.raw`, the positions of the groups, and what the log remembers of itself, in the shared fjall
//! database. Appends from outside share a sync and are readable behind it; commits are one atomic batch without one.

mod groups;
mod shelf;
mod upkeep;
mod write;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use schemas::record::{Offset, Partition};
use schemas::{NewRecord, Position, Record, Topic};
use tokio::sync::{oneshot, watch};

use super::body;
use super::clean;
use super::fault::Fault;
use super::queue::Queue;
use super::segments::Known;
use super::settings::EmbeddedSettings;
use super::space::Space;
use crate::{Bounds, LogError, Result};
use shelf::Shelf;
use write::Append;

pub(super) use groups::is_name;
pub(super) use write::Epoch;

/// How long a stop waits for the flush: without it the next start reads the same from the journal.
const STOP_LIMIT: Duration = Duration::from_secs(2);
/// Positions and what the log remembers of itself are small.
const MEMTABLE_BYTES: u64 = 1 << 20;

pub(super) struct Facts {
    database: Database,
    shelves: Vec<Shelf>,
    groups: Keyspace,
    meta: Keyspace,
    queue: Queue<Append>,
    /// Who holds it gives out offsets. With it, the epoch of each group.
    writing: Mutex<HashMap<String, Arc<AtomicU64>>>,
    fault: Arc<Fault>,
    space: Arc<Space>,
}

impl Facts {
    /// Recovers every topic and starts the thread that writes appends.
    pub fn open(
        database: Database,
        settings: &EmbeddedSettings,
        fault: Arc<Fault>,
        space: Arc<Space>,
    ) -> Result<(Arc<Self>, JoinHandle<()>)> {
        let small = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let groups = database.keyspace("log.groups", small).map_err(read_fault)?;
        let meta = open_meta(&database)?;
        let mut shelves = Vec::new();
        for topic in Topic::ALL.into_iter().filter(|topic| *topic != Topic::MailRaw) {
            let earliest = |topic, partition| earliest_in(&meta, topic, partition).unwrap_or(0);
            shelves.push(Shelf::open(&database, topic, settings.partitions, earliest)?);
        }
        let facts = Arc::new(Self {
            database,
            shelves,
            groups,
            meta,
            queue: Queue::new(settings.queue_appends, settings.queue_bytes, settings.append_wait),
            writing: Mutex::new(HashMap::new()),
            fault,
            space,
        });
        let writer = Arc::clone(&facts);
        let thread = std::thread::Builder::new().name("log-facts".into()).spawn(move || writer.run());
        let thread = thread.map_err(|error| LogError::Unavailable(format!("its thread can't be started: {error}")))?;
        Ok((facts, thread))
    }

    /// Appends the records, and answers once they are synced and readable.
    pub async fn append(&self, records: Vec<(Partition, NewRecord)>) -> Result<Vec<Position>> {
        let size_bytes = records.iter().map(|(_, record)| body::size_bytes(record)).sum();
        let (answer, answered) = oneshot::channel();
        self.queue.put(Append { records, answer }, size_bytes).await?;
        answered.await.unwrap_or_else(|_| Err(self.fault.error()))
    }

    /// Takes nothing more in: the thread ends when it has written what waits.
    pub fn close(&self) {
        self.queue.close();
    }

    pub fn bounds(&self, topic: Topic) -> Vec<Bounds> {
        self.shelf(topic).map(Shelf::bounds).unwrap_or_default()
    }

    pub fn bounds_of(&self, topic: Topic, partition: Partition) -> Option<Bounds> {
        Some(self.shelf(topic)?.place(partition)?.bounds(partition))
    }

    pub fn changed(&self, topic: Topic) -> Option<watch::Receiver<()>> {
        self.shelf(topic).map(|shelf| shelf.changed.subscribe())
    }

    /// Records from this place on, up to the readable end; none where there are none.
    pub fn read(&self, from: Position, records: usize, bytes: usize) -> Result<Vec<Record>> {
        match self.shelf(from.topic) {
            Some(shelf) => shelf.read(from, records, bytes),
            None => Ok(Vec::new()),
        }
    }

    pub fn offset_at(&self, topic: Topic, partition: Partition, timestamp_ms: i64) -> Result<Offset> {
        match self.shelf(topic) {
            Some(shelf) => shelf.offset_at(partition, timestamp_ms),
            None => Ok(0),
        }
    }

    /// What is known here of a partition of `mail.raw`. A database that did not know its log (`is_known`) can't say
    /// what was given up.
    pub fn known(&self, partition: Partition, is_known: bool) -> Result<Known> {
        let earliest = earliest_in(&self.meta, Topic::MailRaw, partition).unwrap_or(0);
        Ok(Known { earliest: is_known.then_some(earliest), furthest: self.furthest(Topic::MailRaw, partition)? })
    }

    /// What the log remembers of itself under this name.
    pub fn remembered(&self, name: &str) -> Result<Option<String>> {
        let value = self.meta.get(name).map_err(read_fault)?;
        Ok(value.map(|value| String::from_utf8_lossy(&value).into_owned()))
    }

    /// Remembers it durably.
    pub fn remember(&self, name: &str, value: &str) -> Result<()> {
        let written = self.meta.insert(name, value).and_then(|()| self.database.persist(PersistMode::SyncAll));
        written.map_err(|error| self.write_fault(&error))
    }

    /// What was committed without a sync gets one, and what is in memory goes to its tables, in the keyspaces of others
    /// as well, so that the next start has little to do. Blocks.
    pub fn settle_at_stop(&self) {
        if self.fault.check().is_err() {
            return;
        }
        match self.database_folder().map(|folder| clean::settle(&self.database, folder, STOP_LIMIT)) {
            Some(Ok(true)) => {}
            Some(Ok(false)) | None => tracing::info!("the database was not at rest: the next start reads its journal"),
            Some(Err(error)) => tracing::error!(%error, "the database can't be flushed at the stop"),
        }
    }

    /// Every keyspace has its folder in the database's.
    fn database_folder(&self) -> Option<&Path> {
        self.meta.path().parent()?.parent()
    }

    fn shelf(&self, topic: Topic) -> Option<&Shelf> {
        self.shelves.iter().find(|shelf| shelf.topic == topic)
    }

    /// A failed write closes the engine: what the database has kept of it is not known.
    fn write_fault(&self, error: &fjall::Error) -> LogError {
        self.fault.fail(format!("the database failed: {error}"));
        self.fault.error()
    }
}

/// What the log remembers of itself, for who has to know before the rest is opened.
pub(super) fn remembered_in(database: &Database, name: &str) -> Result<Option<String>> {
    let value = open_meta(database)?.get(name).map_err(read_fault)?;
    Ok(value.map(|value| String::from_utf8_lossy(&value).into_owned()))
}

fn open_meta(database: &Database) -> Result<Keyspace> {
    let small = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
    database.keyspace("log.meta", small).map_err(read_fault)
}

fn earliest_key(topic: Topic, partition: Partition) -> String {
    format!("earliest/{}/{partition}", topic.name())
}

fn earliest_in(meta: &Keyspace, topic: Topic, partition: Partition) -> Option<Offset> {
    let value = meta.get(earliest_key(topic, partition)).ok()??;
    value.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// What a failed read of the database means.
fn read_fault(error: fjall::Error) -> LogError {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
            LogError::Unavailable(format!("the database can't be read: {error}"))
        }
        fjall::Error::Poisoned => LogError::Unavailable("the database has closed itself".into()),
        other => LogError::Damaged(format!("the database: {other}")),
    }
}
