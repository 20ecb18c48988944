//! Reading: lists, entries and bytes, each from one snapshot.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use fjall::{Readable, Snapshot};
use schemas::{EntryId, MessageId};

use super::tables::Tables;
use super::{damaged, failed};
use crate::{Entry, ListQuery, Listed, RawBytes, Result, Scope, StoreError, encoding, views};

/// No list is longer.
const LIST_LIMIT: usize = 1000;

impl Tables {
    pub fn list(&self, query: &ListQuery) -> Result<Vec<Entry>> {
        self.each_listed(query, |id, row| encoding::decode(row)?.into_entry(id).ok_or_else(not_shown))
    }

    /// Rows that are as they were when they were last written out are not decoded again.
    pub fn listed(&self, query: &ListQuery) -> Result<Vec<Arc<Listed>>> {
        self.each_listed(query, |id, row| {
            self.shared.written_out.of(id, row, || {
                let entry = encoding::decode(row)?.into_entry(id).ok_or_else(not_shown)?;
                Listed::of(id.clone(), &entry)
            })
        })
    }

    /// What `read` makes of each entry's stored row.
    fn each_listed<T>(&self, query: &ListQuery, read: impl Fn(&EntryId, &[u8]) -> Result<T>) -> Result<Vec<T>> {
        let snapshot = self.snapshot();
        let (view, name) = match &query.scope {
            Scope::Inbox(inbox) => (views::INBOX, inbox),
            Scope::StarredBy(account) => (views::STARRED, account),
        };
        let to = views::list_end(view, name);
        let mut from = Bound::Included(views::list_until(view, name, query.until_ms.unwrap_or(i64::MAX)));
        if let Some(after) = &query.after {
            // An entry that the sweep has removed still marks its place: its id says when it arrived.
            let row = self.row(&snapshot, &after.message)?;
            let received_at = row.and_then(|row| row.received_at()).unwrap_or_else(|| views::time_in(&after.message));
            from = later(from, views::listed(view, name, received_at, after));
        }
        let places = snapshot.range(&self.views, (from, Bound::Excluded(to)));
        let mut entries = Vec::with_capacity(query.limit.min(LIST_LIMIT));
        for place in places.take(query.limit.min(LIST_LIMIT)) {
            let key = place.key().map_err(failed)?;
            let id = views::read_listed(&key).ok_or_else(|| damaged("a place in a list"))?;
            let row = snapshot.get(&self.rows, id.message.as_str()).map_err(failed)?.ok_or_else(not_shown)?;
            entries.push(read(&id, &row)?);
        }
        Ok(entries)
    }

    pub fn entry(&self, id: &EntryId) -> Result<Option<Entry>> {
        self.shown_entry(&self.snapshot(), id)
    }

    /// The bytes of a message with something to show: the copy, or else what the log has.
    pub fn raw(&self, id: &MessageId) -> Result<Option<Bytes>> {
        self.raw_in(&self.snapshot(), id)
    }

    pub fn raw_in(&self, snapshot: &Snapshot, id: &MessageId) -> Result<Option<Bytes>> {
        let Some(row) = self.row(snapshot, id)? else { return Ok(None) };
        if row.shown().next().is_none() {
            return Ok(None);
        }
        if let Some(copy) = snapshot.get(&self.shared.bytes, id.as_str()).map_err(failed)? {
            return Ok(Some(Bytes::copy_from_slice(&copy)));
        }
        let (RawBytes::OnLog(log), Some(place)) = (&self.shared.raw, row.raw_place()) else { return Ok(None) };
        let found = log.read(place)?;
        Ok(found.filter(|found| found.message_id == *id).map(|found| Bytes::from(found.content)))
    }

    fn shown_entry(&self, snapshot: &Snapshot, id: &EntryId) -> Result<Option<Entry>> {
        Ok(self.row(snapshot, &id.message)?.and_then(|row| row.into_entry(id)))
    }
}

fn not_shown() -> StoreError {
    damaged("an entry that stands in a list")
}

/// Where to begin when the list may not begin before `from` and has to continue behind `after`.
fn later(from: Bound<Vec<u8>>, after: Vec<u8>) -> Bound<Vec<u8>> {
    match from {
        Bound::Included(from) if from > after => Bound::Included(from),
        _ => Bound::Excluded(after),
    }
}
