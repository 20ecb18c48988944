//! The store on CQL: Scylla or Cassandra, for whoever outgrows one machine. Any number of processes write and read
//! it. Every write has the time of its place on the log, so that repeats, and writers that were frozen, change
//! nothing; see the decision on the data model. The bytes of mail are kept in it: it needs no log to be read.

mod bucket;
mod cells;
mod client;
mod content;
mod dump;
mod fold;
mod listing;
mod read;
mod rebuild;
mod schema;
mod settings;
mod state;
mod statements;
mod sweep;
mod tables;
mod walk;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::bytes::Bytes;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use schemas::{EntryId, MessageId, Position};

use self::client::Client;
use self::rebuild::{Building, Heard};
pub use self::settings::CqlSettings;
use self::state::State;
use self::statements::SharedStatements;
use self::tables::{Shared, Tables};
use crate::{Counts, Entry, Fact, ListQuery, Result, Retention, Store, StoreError, Swept, Totals, Upkeep};

/// Readers look this often which tables are in use.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const FIRST_GENERATION: i64 = 1;

/// See the module.
pub struct CqlStore {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    current: ArcSwap<Tables>,
    looked_at: Mutex<Instant>,
    building: Mutex<Option<Arc<Building>>>,
    heard: Mutex<Option<Heard>>,
    /// Held by whoever makes or drops tables.
    upkeep: tokio::sync::Mutex<()>,
}

/// Takes the steps that the tables of a keyspace lack, and says which they were.
pub async fn migrate(settings: &CqlSettings) -> Result<Vec<String>> {
    settings.check()?;
    schema::migrate(&Client::connect(settings).await?, settings).await
}

impl CqlStore {
    /// Opens the store, or makes an empty one for this log. `writer` numbers are drawn: each opening is a new writer.
    pub async fn open(settings: &CqlSettings, log_id: &str) -> Result<Arc<Self>> {
        settings.check()?;
        let client = Client::connect(settings).await?;
        if settings.migrate {
            for step in schema::migrate(&client, settings).await? {
                tracing::info!(step, keyspace = settings.keyspace, "the tables of the store were brought up to date");
            }
        }
        schema::check(&client, settings).await?;
        let statements = SharedStatements::prepare(&client, &settings.keyspace).await?;
        let keyspace = settings.keyspace.clone();
        let writer = i64::from_be_bytes(drawn());
        let CqlSettings { bucket_rows, abandoned_after, .. } = *settings;
        let shared = Arc::new(Shared { client, keyspace, statements, writer, bucket_rows, abandoned_after });
        let generation = claimed(&shared, log_id).await?;
        let current = ArcSwap::new(Tables::open(Arc::clone(&shared), generation).await?);
        let inner = Inner {
            shared,
            current,
            looked_at: Mutex::new(Instant::now()),
            building: Mutex::default(),
            heard: Mutex::default(),
            upkeep: tokio::sync::Mutex::default(),
        };
        Ok(Arc::new(Self { inner: Arc::new(inner) }))
    }
}

/// The generation in use of a store that is this log's.
async fn claimed(shared: &Shared, log_id: &str) -> Result<i64> {
    if State::read(shared).await?.log_id.is_none() {
        state::claim(shared, log_id).await?;
    }
    let state = State::read(shared).await?;
    let stored = state.log_id.unwrap_or_default();
    if stored != log_id {
        return Err(StoreError::OtherLog { stored, given: log_id.to_owned() });
    }
    if let Some(generation) = state.generation {
        return Ok(generation);
    }
    schema::create_generation(&shared.client, &shared.keyspace, FIRST_GENERATION).await?;
    state::use_generation(shared, FIRST_GENERATION).await?;
    Ok(FIRST_GENERATION)
}

/// What no other opening draws: from the seeds of the standard library's hash maps.
fn drawn() -> [u8; 8] {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one((std::process::id(), Instant::now())).to_be_bytes()
}

impl Inner {
    /// The tables in use, as far as this process knows.
    async fn current(&self) -> Result<Arc<Tables>> {
        let is_due = {
            let mut looked_at = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
            let is_due = looked_at.elapsed() > LOOK_EVERY;
            if is_due {
                *looked_at = Instant::now();
            }
            is_due
        };
        if is_due { self.refreshed().await } else { Ok(self.current.load_full()) }
    }

    /// The tables in use.
    async fn refreshed(&self) -> Result<Arc<Tables>> {
        self.tables_of(&State::read(&self.shared).await?).await
    }

    async fn tables_of(&self, state: &State) -> Result<Arc<Tables>> {
        let current = self.current.load_full();
        let generation = state.generation.unwrap_or(FIRST_GENERATION);
        if generation == current.generation {
            return Ok(current);
        }
        let tables = Tables::open(Arc::clone(&self.shared), generation).await?;
        self.current.store(Arc::clone(&tables));
        Ok(tables)
    }

    async fn apply(&self, facts: Vec<Fact>, positions: &[Position]) -> Result<()> {
        let before = State::read(&self.shared).await?;
        if before.closing.is_some() {
            return Err(StoreError::Unavailable("the tables are being replaced".to_owned()));
        }
        self.tables_of(&before).await?.apply(facts, positions).await?;
        let after = State::read(&self.shared).await?;
        if after.closing.is_some() || after.generation != before.generation {
            return Err(StoreError::Replaced("what was folded is folded again".to_owned()));
        }
        Ok(())
    }

    /// Reads, and once more from the new tables where the old ones were replaced.
    async fn reading<T, F>(&self, read: impl Fn(Arc<Tables>) -> F + Send) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send,
    {
        match read(self.current().await?).await {
            Err(StoreError::Replaced(_)) => read(self.refreshed().await?).await,
            outcome => outcome,
        }
    }
}

#[async_trait]
impl Store for CqlStore {
    async fn positions(&self) -> Result<Vec<Position>> {
        self.inner.refreshed().await?.positions().await
    }

    async fn apply(&self, facts: Vec<Fact>, positions: &[Position]) -> Result<()> {
        self.inner.apply(facts, positions).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Vec<Entry>> {
        self.inner.reading(|tables| async move { tables.list(query).await }).await
    }

    async fn entry(&self, id: &EntryId) -> Result<Option<Entry>> {
        self.inner.reading(|tables| async move { tables.entry(id).await }).await
    }

    async fn counts(&self, inbox: &str) -> Result<Counts> {
        self.inner.reading(|tables| async move { tables.counts(inbox).await }).await
    }

    async fn raw(&self, id: &MessageId) -> Result<Option<Bytes>> {
        self.inner.reading(|tables| async move { tables.raw(id).await }).await
    }
}

#[async_trait]
impl Upkeep for CqlStore {
    async fn sweep(&self, retention: &Retention) -> Result<Swept> {
        let _one = self.inner.upkeep.lock().await;
        self.inner.give_up_abandoned("a rebuild is under way; sweep after it").await?;
        self.inner.refreshed().await?.sweep(retention).await
    }

    async fn dump(&self, line: &mut (dyn FnMut(String) -> std::io::Result<()> + Send)) -> Result<()> {
        self.inner.refreshed().await?.dump(line).await
    }

    async fn rebuild(&self) -> Result<Box<dyn Store>> {
        Ok(Box::new(self.inner.rebuild().await?))
    }

    async fn carry_over(&self, raw_before: &[Position]) -> Result<u64> {
        self.inner.carry_over(raw_before).await
    }

    async fn switch(&self) -> Result<()> {
        self.inner.switch().await
    }

    async fn totals(&self) -> Result<(Totals, Option<Totals>)> {
        let next = match self.inner.building() {
            Some(building) => Some(building.tables.totals().await?),
            None => None,
        };
        Ok((self.inner.refreshed().await?.totals().await?, next))
    }
}
