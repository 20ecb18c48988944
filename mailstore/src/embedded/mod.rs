//! The embedded body of the store: keyspaces of the one fjall database that log and store share. Data and positions
//! go into one batch, without a sync: what a crash takes back is folded again. It owns the keyspaces whose names
//! begin with `store.`, and no others.

mod apply;
mod dump;
mod edit;
mod list;
mod listed;
mod needed;
mod rebuild;
#[cfg(test)]
mod suite;
mod sweep;
mod tables;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use fjall::{Database, KeyspaceCreateOptions};
use schemas::{EntryId, MessageId, Position};

use self::listed::WrittenOut;
use self::rebuild::Building;
use self::tables::{Shared, Tables};
use crate::{
    Counts, Entry, Fact, ListQuery, Listed, RawBytes, Result, Retention, Store, StoreError, Swept, Totals, Upkeep,
};

const FORMAT: u64 = 1;
const FORMAT_KEY: &str = "format";
const LOG_KEY: &str = "log";
const GENERATION_KEY: &str = "generation";
/// Whether bytes were copied in from the first message on; not there in stores that hold them by reference.
const COPIED_IN_KEY: &str = "copied_in";

/// Up to here a list is read where it was asked for; a longer one goes to a thread that may block.
const INLINE_LIMIT: usize = 100;

/// The database says by no signal that it has written out its memory.
const SETTLE_POLL: Duration = Duration::from_millis(5);

/// See the module.
pub struct EmbeddedStore {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    current: ArcSwap<Tables>,
    building: Mutex<Option<Building>>,
}

impl EmbeddedStore {
    /// Opens the store, or makes an empty one for this log. What an interrupted rebuild left is dropped.
    pub fn open(db: Database, log_id: &str, raw: RawBytes) -> Result<Arc<Self>> {
        let meta = db.keyspace("store.meta", KeyspaceCreateOptions::default).map_err(failed)?;
        let text = |key| -> Result<Option<String>> {
            let value = meta.get(key).map_err(failed)?;
            value.map(|value| String::from_utf8(value.to_vec()).map_err(|_| damaged(key))).transpose()
        };
        let number = |key| -> Result<Option<u64>> {
            text(key)?.map(|value| value.parse().map_err(|_| damaged(key))).transpose()
        };
        if let Some(format) = number(FORMAT_KEY)?
            && format > FORMAT
        {
            let cause = format!("its format {format} is newer than this program's, {FORMAT}");
            return Err(StoreError::Damaged(cause));
        }
        match text(LOG_KEY)? {
            Some(stored) if stored != log_id => {
                return Err(StoreError::OtherLog { stored, given: log_id.to_owned() });
            }
            Some(_) => {}
            None => {
                if matches!(raw, RawBytes::CopiedIn) {
                    meta.insert(COPIED_IN_KEY, "1").map_err(failed)?;
                }
                meta.insert(FORMAT_KEY, FORMAT.to_string()).map_err(failed)?;
                meta.insert(GENERATION_KEY, "1").map_err(failed)?;
                meta.insert(LOG_KEY, log_id).map_err(failed)?;
            }
        }
        if text(COPIED_IN_KEY)?.is_some() != matches!(raw, RawBytes::CopiedIn) {
            return Err(StoreError::Damaged("it has its bytes elsewhere than where they are looked for".to_owned()));
        }
        let generation = number(GENERATION_KEY)?.ok_or_else(|| damaged(GENERATION_KEY))?;
        let bytes = db.keyspace("store.bytes", tables::bytes_options).map_err(failed)?;
        let shared = Arc::new(Shared { db, meta, bytes, raw, written_out: WrittenOut::new() });
        rebuild::drop_all_but(&shared, generation)?;
        let current = ArcSwap::new(Tables::open(Arc::clone(&shared), generation)?);
        Ok(Arc::new(Self { inner: Arc::new(Inner { shared, current, building: Mutex::new(None) }) }))
    }

    /// Writes out what is in memory, so that the next opening has little to replay. For a clean stop; waits no longer
    /// than the limit, and nothing is lost when that is too short.
    pub async fn settle(&self, limit: Duration) -> Result<()> {
        let tables = self.current();
        let keyspaces = [tables.rows.clone(), tables.views.clone(), tables.shared.bytes.clone()];
        for keyspace in &keyspaces {
            keyspace.rotate_memtable().map_err(failed)?;
        }
        let written = async {
            while keyspaces.iter().any(|keyspace| keyspace.sealed_memtable_count() > 0) {
                tokio::time::sleep(SETTLE_POLL).await;
            }
        };
        let _ = tokio::time::timeout(limit, written).await;
        Ok(())
    }

    fn current(&self) -> Arc<Tables> {
        self.inner.current.load_full()
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn positions(&self) -> Result<Vec<Position>> {
        self.current().positions()
    }

    async fn apply(&self, facts: Vec<Fact>, positions: &[Position]) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        let positions = positions.to_vec();
        blocking(move || inner.apply(facts, &positions)).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Vec<Entry>> {
        let (tables, query) = (self.current(), query.clone());
        read(query.limit, move || tables.list(&query)).await
    }

    async fn listed(&self, query: &ListQuery) -> Result<Vec<Arc<Listed>>> {
        let (tables, query) = (self.current(), query.clone());
        read(query.limit, move || tables.listed(&query)).await
    }

    async fn entry(&self, id: &EntryId) -> Result<Option<Entry>> {
        self.current().entry(id)
    }

    async fn counts(&self, inbox: &str) -> Result<Counts> {
        let tables = self.current();
        tables.counts(&tables.snapshot(), inbox)
    }

    async fn raw(&self, id: &MessageId) -> Result<Option<Bytes>> {
        let (tables, id) = (self.current(), id.clone());
        blocking(move || tables.raw(&id)).await
    }
}

#[async_trait]
impl Upkeep for EmbeddedStore {
    async fn sweep(&self, retention: &Retention) -> Result<Swept> {
        let (inner, retention) = (Arc::clone(&self.inner), retention.clone());
        blocking(move || inner.sweep(&retention)).await
    }

    async fn dump(&self, line: &mut (dyn FnMut(String) -> std::io::Result<()> + Send)) -> Result<()> {
        dump::dump(self.current(), line).await
    }

    async fn rebuild(&self) -> Result<Box<dyn Store>> {
        let inner = Arc::clone(&self.inner);
        blocking(move || Ok(Box::new(inner.rebuild()?) as Box<dyn Store>)).await
    }

    async fn carry_over(&self, raw_before: &[Position]) -> Result<u64> {
        let (inner, raw_before) = (Arc::clone(&self.inner), raw_before.to_vec());
        blocking(move || inner.carry_over(&raw_before)).await
    }

    async fn switch(&self) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.switch()).await
    }

    async fn totals(&self) -> Result<(Totals, Option<Totals>)> {
        let building = self.inner.building.lock().unwrap_or_else(PoisonError::into_inner);
        let next = building.as_ref().map(|building| building.tables.totals()).transpose()?;
        Ok((self.current().totals()?, next))
    }
}

/// Reads a list that is no longer than this.
async fn read<T: Send + 'static>(limit: usize, list: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    if limit <= INLINE_LIMIT { list() } else { blocking(list).await }
}

/// For what may wait for the disk or for another writer.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(StoreError::Unavailable(format!("the work was broken off: {error}"))),
    }
}

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(format!("{what} can't be read"))
}

fn failed(error: fjall::Error) -> StoreError {
    match error {
        fjall::Error::Io(error) => StoreError::Unavailable(error.to_string()),
        fjall::Error::KeyspaceDeleted => StoreError::Unavailable("the tables were replaced".to_owned()),
        fjall::Error::Poisoned => StoreError::Damaged("an earlier write failed; it must be opened again".to_owned()),
        other => StoreError::Damaged(other.to_string()),
    }
}
