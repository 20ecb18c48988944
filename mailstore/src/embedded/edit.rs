//! A change of rows as one atomic write: each touched row is loaded once and written once, and its views, the counts
//! and the totals follow from the difference of what it was and what it is.

use std::collections::{BTreeMap, HashMap, HashSet};

use fjall::{OwnedWriteBatch, Readable, Slice, Snapshot};
use schemas::event::MailRaw;
use schemas::{MessageId, Position};

use super::tables::{Ledger, Tables, write_counts, write_volume};
use super::{damaged, failed};
use crate::row::Row;
use crate::views::{self, Views};
use crate::{Counts, Result, encoding};

pub struct Edit<'a> {
    tables: &'a Tables,
    view: Snapshot,
    touched: HashMap<MessageId, Touched>,
    copied_in: HashMap<MessageId, Slice>,
    dropped_bytes: HashSet<MessageId>,
}

struct Touched {
    stored: Option<Slice>,
    before: Views,
    /// `None` removes it.
    row: Option<Row>,
}

impl<'a> Edit<'a> {
    /// The caller holds the tables' writer until [`Edit::commit`].
    pub fn new(tables: &'a Tables) -> Self {
        let view = tables.snapshot();
        Self { tables, view, touched: HashMap::new(), copied_in: HashMap::new(), dropped_bytes: HashSet::new() }
    }

    /// The row as it will be; an empty one for a message that is not known.
    pub fn row(&mut self, id: &MessageId) -> Result<&mut Row> {
        if !self.touched.contains_key(id) {
            let touched = self.load(id)?;
            self.touched.insert(id.clone(), touched);
        }
        let touched = self.touched.get_mut(id).ok_or_else(|| damaged("an edit"))?;
        Ok(touched.row.get_or_insert_default())
    }

    /// Removes the row and the bytes that were copied out.
    pub fn remove(&mut self, id: &MessageId) -> Result<()> {
        self.row(id)?;
        if let Some(touched) = self.touched.get_mut(id) {
            touched.row = None;
        }
        self.remove_bytes(id)
    }

    /// Keeps the bytes with the message. What is there already (tables that are rebuilt share it) is not written again,
    /// and what is gone stays gone.
    pub fn copy_in(&mut self, raw: &MailRaw) -> Result<()> {
        let id = &raw.message_id;
        if !self.row(id)?.gone && !self.view.contains_key(&self.tables.shared.bytes, id.as_str()).map_err(failed)? {
            self.copied_in.insert(id.clone(), Slice::from(raw.content.as_slice()));
        }
        Ok(())
    }

    pub fn remove_bytes(&mut self, id: &MessageId) -> Result<()> {
        if self.view.contains_key(&self.tables.shared.bytes, id.as_str()).map_err(failed)? {
            self.dropped_bytes.insert(id.clone());
        }
        Ok(())
    }

    /// Writes everything and moves the positions, in one batch that waits for no sync.
    pub fn commit(self, ledger: &mut Ledger, positions: &[Position]) -> Result<()> {
        let mut batch = self.tables.shared.db.batch();
        let mut after = ledger.clone();
        let mut inboxes: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
        let changed = self.changed()?;
        for change in &changed {
            self.write(change, &mut batch);
            count(&change.touched.before, -1, &mut after, &mut inboxes);
            count(&change.after, 1, &mut after, &mut inboxes);
            let row = change.touched.row.as_ref();
            if let Some((place, time)) = row.and_then(|row| Some((row.raw_place()?, row.received_at()?))) {
                let newest = after.newest.entry(place.partition).or_insert(time);
                *newest = time.max(*newest);
            }
        }
        for (inbox, delta) in inboxes {
            self.write_counts(inbox, delta, &mut batch)?;
        }
        for place in positions {
            let next = after.positions.entry((place.topic, place.partition)).or_insert(0);
            *next = place.offset.max(*next);
        }
        for (id, bytes) in &self.copied_in {
            batch.insert(&self.tables.shared.bytes, id.as_str(), bytes.clone());
        }
        for id in &self.dropped_bytes {
            batch.remove(&self.tables.shared.bytes, id.as_str());
        }
        self.write_ledger(ledger, &after, &mut batch);
        batch.commit().map_err(failed)?;
        *ledger = after;
        Ok(())
    }

    fn load(&self, id: &MessageId) -> Result<Touched> {
        let stored = self.view.get(&self.tables.rows, id.as_str()).map_err(failed)?;
        let row = stored.as_ref().map(|bytes| encoding::decode(bytes)).transpose()?;
        let before = row.as_ref().map_or_else(Views::default, |row| Views::of(id, row));
        Ok(Touched { stored, before, row })
    }

    fn changed(&self) -> Result<Vec<Change<'_>>> {
        let mut changed = Vec::with_capacity(self.touched.len());
        for (id, touched) in &self.touched {
            let encoded = touched.row.as_ref().map(encoding::encode).transpose()?;
            if encoded.as_deref() != touched.stored.as_deref() {
                let after = touched.row.as_ref().map_or_else(Views::default, |row| Views::of(id, row));
                changed.push(Change { id, touched, encoded, after });
            }
        }
        Ok(changed)
    }

    fn write(&self, change: &Change<'_>, batch: &mut OwnedWriteBatch) {
        match &change.encoded {
            Some(row) => batch.insert(&self.tables.rows, change.id.as_str(), row.as_slice()),
            None => batch.remove(&self.tables.rows, change.id.as_str()),
        }
        let (before, after) = (&change.touched.before.keys, &change.after.keys);
        for key in before.iter().filter(|key| after.binary_search(key).is_err()) {
            batch.remove(&self.tables.views, key.as_slice());
        }
        for key in after.iter().filter(|key| before.binary_search(key).is_err()) {
            batch.insert(&self.tables.views, key.as_slice(), [].as_slice());
        }
    }

    fn write_counts(&self, inbox: &str, (messages, unread): (i64, i64), batch: &mut OwnedWriteBatch) -> Result<()> {
        if (messages, unread) == (0, 0) {
            return Ok(());
        }
        let counts = self.tables.counts(&self.view, inbox)?;
        let counts = Counts {
            messages: counts.messages.saturating_add_signed(messages),
            unread: counts.unread.saturating_add_signed(unread),
        };
        let key = views::list_of(views::COUNTS, inbox);
        if counts.messages == 0 {
            batch.remove(&self.tables.views, key);
        } else {
            batch.insert(&self.tables.views, key, write_counts(counts));
        }
        Ok(())
    }

    fn write_ledger(&self, before: &Ledger, after: &Ledger, batch: &mut OwnedWriteBatch) {
        let table = &self.tables.views;
        if before.volume != after.volume {
            batch.insert(table, [views::TOTALS], write_volume(after.volume));
        }
        for (partition, time) in &after.newest {
            if before.newest.get(partition) != Some(time) {
                batch.insert(table, views::newest(*partition), time.to_be_bytes());
            }
        }
        for ((topic, partition), offset) in &after.positions {
            if before.positions.get(&(*topic, *partition)) != Some(offset) {
                batch.insert(table, views::position(*topic, *partition), offset.to_be_bytes());
            }
        }
    }
}

struct Change<'a> {
    id: &'a MessageId,
    touched: &'a Touched,
    encoded: Option<Vec<u8>>,
    after: Views,
}

fn count<'a>(views: &'a Views, sign: i64, ledger: &mut Ledger, inboxes: &mut BTreeMap<&'a str, (i64, i64)>) {
    for counted in &views.counted {
        let (messages, unread) = inboxes.entry(&counted.inbox).or_default();
        *messages += sign;
        *unread += sign * i64::from(counted.unread);
    }
    let volume = &mut ledger.volume;
    let entries = i64::try_from(views.counted.len()).unwrap_or(i64::MAX);
    volume.totals.entries = volume.totals.entries.saturating_add_signed(sign * entries);
    if entries > 0 {
        volume.totals.messages = volume.totals.messages.saturating_add_signed(sign);
        let size = i64::try_from(views.size_bytes).unwrap_or(i64::MAX);
        volume.size_bytes = volume.size_bytes.saturating_add_signed(sign * size);
    }
}
