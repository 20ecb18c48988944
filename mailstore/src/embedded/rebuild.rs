//! Generations: new tables are built beside those that are read, and take their place in one step.

use std::sync::{Arc, PoisonError, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use fjall::PersistMode;
use schemas::record::{Offset, Partition};
use schemas::{EntryId, MessageId, Position, Topic};

use super::edit::Edit;
use super::tables::{self, Ledger, Shared, Tables};
use super::{GENERATION_KEY, Inner, blocking, failed, read};
use crate::row::Row;
use crate::{Counts, Entry, Fact, ListQuery, Result, Store, StoreError, encoding, views};

/// Rows carried over in one batch.
const BATCH_ROWS: usize = 256;

/// Tables that nobody reads yet.
pub struct Building {
    pub tables: Arc<Tables>,
    held: Weak<()>,
}

impl Building {
    /// Whether somebody still folds into them.
    pub fn is_held(&self) -> bool {
        self.held.strong_count() > 0
    }
}

/// The tables being built, as a store. Dropped without a switch, they are given up at the next sweep or rebuild.
pub struct RebuiltStore {
    tables: Arc<Tables>,
    _held: Arc<()>,
}

impl Inner {
    pub fn rebuild(&self) -> Result<RebuiltStore> {
        let mut building = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        if building.as_ref().is_some_and(Building::is_held) {
            return Err(StoreError::Unavailable("a rebuild is under way".to_owned()));
        }
        *building = None;
        let current = self.current.load().generation;
        drop_all_but(&self.shared, current)?;
        let tables = Tables::open(Arc::clone(&self.shared), current + 1)?;
        let held = Arc::new(());
        *building = Some(Building { tables: Arc::clone(&tables), held: Arc::downgrade(&held) });
        Ok(RebuiltStore { tables, _held: held })
    }

    pub fn carry_over(&self, raw_before: &[Position]) -> Result<u64> {
        let next = {
            let building = self.building.lock().unwrap_or_else(PoisonError::into_inner);
            building.as_ref().map(|building| Arc::clone(&building.tables)).ok_or_else(nothing_is_built)?
        };
        let starts: Vec<(Partition, Offset)> = raw_before
            .iter()
            .filter(|place| place.topic == Topic::MailRaw)
            .map(|place| (place.partition, place.offset))
            .collect();
        let mut carried = 0;
        let mut rows = self.current.load_full().rows.iter();
        loop {
            let mut ledger = next.writer();
            let mut edit = Edit::new(&next);
            let mut looked_at = 0;
            for guard in rows.by_ref().take(BATCH_ROWS) {
                let (key, value) = guard.into_inner().map_err(failed)?;
                looked_at += 1;
                let id = views::read_id(&key).ok_or_else(|| super::damaged("a row's key"))?;
                if let Some(row) = carried_row(encoding::decode(&value)?, &starts) {
                    carried += u64::from(row.shown().next().is_some());
                    let is_gone = row.gone;
                    edit.row(&id)?.merge(row);
                    if is_gone {
                        // Where they were copied in, the fold may have brought them again.
                        edit.remove_bytes(&id)?;
                    }
                }
            }
            // What lies before the log's start is what was carried over: it is as good as folded.
            edit.commit(&mut ledger, raw_before)?;
            if looked_at < BATCH_ROWS {
                return Ok(carried);
            }
        }
    }

    /// Refused while the new tables stand behind the old ones: no fact may be missed by a fold that goes on where the
    /// old tables stood. A partition in which they have no position held nothing to fold, and takes the old one's.
    pub fn switch(&self) -> Result<()> {
        let mut building = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        let next = building.as_ref().map(|building| Arc::clone(&building.tables)).ok_or_else(nothing_is_built)?;
        let previous = self.current.load_full();
        {
            let mut ledger = previous.writer();
            let mut next_ledger = next.writer();
            let empty = check_caught_up(&ledger, &next_ledger)?;
            Edit::new(&next).commit(&mut next_ledger, &empty)?;
            drop(next_ledger);
            self.shared.meta.insert(GENERATION_KEY, next.generation.to_string()).map_err(failed)?;
            // Durable before anything is dropped.
            self.shared.db.persist(PersistMode::SyncAll).map_err(failed)?;
            self.current.store(next);
            ledger.retired = true;
        }
        *building = None;
        drop_all_but(&self.shared, self.current.load().generation)
    }
}

/// Drops the tables of every other generation. Who still reads them reads on until it lets go of them.
pub fn drop_all_but(shared: &Shared, generation: u64) -> Result<()> {
    for name in shared.db.list_keyspace_names() {
        if tables::generation_of(&name).is_some_and(|other| other != generation) {
            let keyspace = shared.db.keyspace(&name, fjall::KeyspaceCreateOptions::default).map_err(failed)?;
            shared.db.delete_keyspace(keyspace).map_err(failed)?;
        }
    }
    Ok(())
}

/// Of a message that the log has given up, everything; of the others what no log tells: what the sweep removed.
fn carried_row(row: Row, starts: &[(Partition, Offset)]) -> Option<Row> {
    let place = row.raw_place()?;
    let given_up = starts.iter().any(|(start_of, start)| *start_of == place.partition && place.offset < *start);
    if given_up {
        return (!row.gone).then_some(row);
    }
    if row.swept.is_empty() && !row.gone {
        return None;
    }
    Some(Row {
        partition: row.partition,
        raw_offset: Some(place.offset),
        swept: row.swept,
        gone: row.gone,
        ..Row::default()
    })
}

/// The old positions of the partitions in which the new tables have none.
fn check_caught_up(previous: &Ledger, next: &Ledger) -> Result<Vec<Position>> {
    if next.positions.is_empty() && !previous.positions.is_empty() {
        return Err(StoreError::Unavailable("nothing is folded into the rebuilt tables".to_owned()));
    }
    let mut empty = Vec::new();
    for ((topic, partition), offset) in &previous.positions {
        match next.positions.get(&(*topic, *partition)) {
            Some(reached) if reached < offset => {
                let cause =
                    format!("the rebuilt tables stand at {reached} of {topic}/{partition}, those in use at {offset}");
                return Err(StoreError::Unavailable(cause));
            }
            Some(_) => {}
            None => empty.push(Position::new(*topic, *partition, *offset)),
        }
    }
    Ok(empty)
}

fn nothing_is_built() -> StoreError {
    StoreError::Unavailable("no rebuild is under way".to_owned())
}

#[async_trait]
impl Store for RebuiltStore {
    async fn positions(&self) -> Result<Vec<Position>> {
        self.tables.positions()
    }

    async fn apply(&self, facts: Vec<Fact>, positions: &[Position]) -> Result<()> {
        let (tables, positions) = (Arc::clone(&self.tables), positions.to_vec());
        blocking(move || {
            let mut ledger = tables.writer();
            tables.apply(&mut ledger, facts, &positions)
        })
        .await
    }

    async fn list(&self, query: &ListQuery) -> Result<Vec<Entry>> {
        let (tables, query) = (Arc::clone(&self.tables), query.clone());
        read(query.limit, move || tables.list(&query)).await
    }

    async fn entry(&self, id: &EntryId) -> Result<Option<Entry>> {
        self.tables.entry(id)
    }

    async fn counts(&self, inbox: &str) -> Result<Counts> {
        self.tables.counts(&self.tables.snapshot(), inbox)
    }

    async fn raw(&self, id: &MessageId) -> Result<Option<Bytes>> {
        let (tables, id) = (Arc::clone(&self.tables), id.clone());
        blocking(move || tables.raw(&id)).await
    }
}
