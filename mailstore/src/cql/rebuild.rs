//! Generations: new tables are filled beside those that are in use, by one process, which says so by a beat; others
//! keep away from them as long as it goes on. The switch is one write that every process reads.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use schemas::record::{Offset, Partition};
use schemas::{EntryId, MessageId, Position, Topic};

use super::cells::{Cells, Stored};
use super::fold::Delta;
use super::state::{self, State};
use super::tables::{Shared, Tables};
use super::{Inner, schema};
use crate::rebuilt::{carried_row, check_caught_up, nothing_is_built};
use crate::{Counts, Entry, Fact, ListQuery, Result, Store, StoreError};

const BEAT_EVERY: Duration = Duration::from_secs(5);
/// Messages carried over at once.
const CHUNK_MESSAGES: usize = 256;

/// Tables that nobody reads yet.
pub struct Building {
    pub tables: Arc<Tables>,
    held: Weak<()>,
    /// See `state::announce_switch`.
    turns: AtomicI64,
}

/// Another process's beat, and since when it has been the same.
pub struct Heard {
    beat: state::Building,
    since: Instant,
}

/// The tables being built, as a store. Dropped without a switch, they are given up at the next sweep or rebuild.
pub struct RebuiltStore {
    tables: Arc<Tables>,
    _held: Arc<()>,
}

impl Inner {
    pub async fn rebuild(&self) -> Result<RebuiltStore> {
        let _one = self.upkeep.lock().await;
        self.give_up_abandoned("a rebuild is under way").await?;
        let shared = &self.shared;
        let current = self.refreshed().await?;
        let known = schema::generations(&shared.client, &shared.keyspace).await?;
        // The number of tables that were given up says that they are: it is not used again.
        let ended = State::read(shared).await?.ended;
        let generation = known.into_iter().chain(ended).fold(current.generation, i64::max) + 1;
        let mine = state::Building { generation, writer: shared.writer, beat: 0 };
        state::beat(shared, &mine).await?;
        if State::read(shared).await?.building.as_ref() != Some(&mine) {
            return Err(StoreError::Unavailable("another process has begun a rebuild".to_owned()));
        }
        schema::create_generation(&shared.client, &shared.keyspace, generation).await?;
        let tables = Tables::open(Arc::clone(shared), generation).await?;
        let held = Arc::new(());
        let building = Building { tables: Arc::clone(&tables), held: Arc::downgrade(&held), turns: AtomicI64::new(0) };
        tokio::spawn(go_on_beating(Arc::clone(shared), mine, Weak::clone(&building.held)));
        *self.building.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(building));
        Ok(RebuiltStore { tables, _held: held })
    }

    pub async fn carry_over(&self, raw_before: &[Position]) -> Result<u64> {
        let next = self.building().ok_or_else(nothing_is_built)?;
        let current = self.refreshed().await?;
        let rows = current.client().stream::<Cells>(&current.statements.scan_messages, &[]).await?;
        let mut chunks = pin!(rows.try_chunks(CHUNK_MESSAGES));
        let mut carried = 0;
        while let Some(chunk) = chunks.next().await {
            let mut deltas = Vec::new();
            for cells in chunk.map_err(|error| error.1)? {
                let (id, stored) = Stored::read(cells)?;
                if let Some(row) = carried_row(stored.row, raw_before) {
                    carried += u64::from(row.shown().next().is_some());
                    deltas.push((id, Delta { row, content: None }));
                }
            }
            next.tables.fold(deltas).await?;
        }
        // What lies before the log's start is what was carried over: it is as good as folded.
        next.tables.move_to(raw_before).await?;
        Ok(carried)
    }

    /// Refused while the new tables stand behind the old ones. The switch is announced before it looks where the old
    /// ones stand, and every fold looks for an announcement after it has moved them: so either it sees the fold, or
    /// the fold sees it and is made again in the new tables.
    pub async fn switch(&self) -> Result<()> {
        let _one = self.upkeep.lock().await;
        let next = self.building().ok_or_else(nothing_is_built)?;
        let (shared, generation) = (&self.shared, next.tables.generation);
        let turn = || next.turns.fetch_add(1, Ordering::Relaxed) + 1;
        state::announce_switch(shared, generation, turn()).await?;
        let outcome = self.switch_announced(&next).await;
        state::withdraw_switch(shared, generation, turn()).await?;
        let previous = outcome?;
        *self.building.lock().unwrap_or_else(PoisonError::into_inner) = None;
        state::end_building(shared, generation).await?;
        schema::drop_generation(&shared.client, &shared.keyspace, previous).await
    }

    async fn switch_announced(&self, next: &Building) -> Result<i64> {
        let shared = &self.shared;
        self.check_mine(next).await?;
        let previous = self.refreshed().await?;
        let empty =
            check_caught_up(&by_partition(previous.positions().await?), &by_partition(next.tables.positions().await?))?;
        next.tables.move_to(&empty).await?;
        state::use_generation(shared, next.tables.generation).await?;
        // Whoever took this process for dead meanwhile has decided which tables are in use, and drops the others.
        self.check_mine(next).await?;
        self.current.store(Arc::clone(&next.tables));
        Ok(previous.generation)
    }

    async fn check_mine(&self, next: &Building) -> Result<()> {
        let is_mine = |building: &state::Building| {
            building.generation == next.tables.generation && building.writer == self.shared.writer
        };
        match State::read(&self.shared).await?.building {
            Some(building) if is_mine(&building) => Ok(()),
            _ => Err(StoreError::Unavailable("the new tables were given up meanwhile".to_owned())),
        }
    }

    /// Drops tables that nobody fills any more. While somebody does, the cause says what it is refused for.
    pub async fn give_up_abandoned(&self, cause: &str) -> Result<()> {
        let refused = || Err(StoreError::Unavailable(cause.to_owned()));
        let shared = &self.shared;
        let state = State::read(shared).await?;
        if let Some(building) = &state.building {
            let mine = self.building();
            let is_held =
                mine.is_some_and(|mine| mine.tables.generation == building.generation && mine.held.strong_count() > 0);
            if is_held || (building.writer != shared.writer && !self.is_silent(building)) {
                return refused();
            }
            self.end_abandoned(building.generation).await?;
            *self.building.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        let current = self.refreshed().await?.generation;
        for generation in schema::generations(&shared.client, &shared.keyspace).await? {
            if generation != current {
                schema::drop_generation(&shared.client, &shared.keyspace, generation).await?;
            }
        }
        Ok(())
    }

    /// Whoever was to switch to these tables may have died between its announcement and its end, and nobody would fold
    /// again; or it stands still there, and goes on some day. First it builds nothing any more, which it asks about
    /// after its switch; then the switch comes too late, unless it has been made; and only then may others fold.
    async fn end_abandoned(&self, generation: i64) -> Result<()> {
        let shared = &self.shared;
        state::end_building(shared, generation).await?;
        let in_use = self.refreshed().await?.generation;
        if in_use != generation {
            state::keep_generation(shared, in_use, generation).await?;
        }
        state::withdraw_switch(shared, generation, i64::MAX).await
    }

    fn is_silent(&self, beat: &state::Building) -> bool {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        match heard.as_ref() {
            Some(known) if known.beat == *beat => known.since.elapsed() > self.shared.abandoned_after,
            _ => {
                *heard = Some(Heard { beat: beat.clone(), since: Instant::now() });
                false
            }
        }
    }

    pub fn building(&self) -> Option<Arc<Building>> {
        self.building.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// As long as somebody holds the new tables.
async fn go_on_beating(shared: Arc<Shared>, mut building: state::Building, held: Weak<()>) {
    while held.strong_count() > 0 {
        tokio::time::sleep(BEAT_EVERY).await;
        building.beat += 1;
        if held.strong_count() > 0
            && let Err(error) = state::beat(&shared, &building).await
        {
            tracing::warn!(%error, "the beat of a rebuild was not written");
        }
    }
}

fn by_partition(positions: Vec<Position>) -> BTreeMap<(Topic, Partition), Offset> {
    positions.into_iter().map(|place| ((place.topic, place.partition), place.offset)).collect()
}

#[async_trait]
impl Store for RebuiltStore {
    async fn positions(&self) -> Result<Vec<Position>> {
        self.tables.positions().await
    }

    async fn apply(&self, facts: Vec<Fact>, positions: &[Position]) -> Result<()> {
        self.tables.apply(facts, positions).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Vec<Entry>> {
        self.tables.list(query).await
    }

    async fn entry(&self, id: &EntryId) -> Result<Option<Entry>> {
        self.tables.entry(id).await
    }

    async fn counts(&self, inbox: &str) -> Result<Counts> {
        self.tables.counts(inbox).await
    }

    async fn raw(&self, id: &MessageId) -> Result<Option<Bytes>> {
        self.tables.raw(id).await
    }
}
