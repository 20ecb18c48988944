//! Reading: lists, entries, bytes and counts.

use std::pin::pin;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use schemas::{EntryId, MessageId};

use super::bucket::{Bucket, Known, KnownCells, LEVELS, Tally};
use super::client::{bigint, int, text};
use super::content;
use super::listing::Kind;
use super::tables::Tables;
use super::walk::{Direction, Found, Place, Walk};
use crate::{Counts, Entry, ListQuery, Result, Scope, StoreError, Totals, encoding, views};

/// No list is longer.
const LIST_LIMIT: usize = 1000;
const COUNTED_AT_ONCE: usize = 8;
/// Partitions of a list of which the counts are read at once.
const BUCKET_PAGE: i32 = 500;

impl Tables {
    pub async fn list(&self, query: &ListQuery) -> Result<Vec<Entry>> {
        let list = match &query.scope {
            Scope::Inbox(inbox) => Kind::Inbox.list(inbox),
            Scope::StarredBy(account) => Kind::Starred.list(account),
        };
        let mut from = Place::after_all_of(query.until_ms.unwrap_or(i64::MAX));
        if let Some(after) = &query.after {
            // An entry that the sweep has removed still marks its place: its id says when it arrived.
            let stored = self.read(&after.message).await?;
            let sort = stored.row.received_at().unwrap_or_else(|| views::time_in(&after.message));
            let index = after.index.cast_signed();
            from = from.min(Place { sort, id: after.message.as_str().to_owned(), index });
        }
        let limit = query.limit.min(LIST_LIMIT);
        let mut walk = Walk::new(self, &[list], Direction::NewestFirst, from);
        let mut entries = Vec::new();
        while entries.len() < limit {
            let found = walk.next(limit - entries.len()).await?;
            if found.is_empty() {
                break;
            }
            for found in found {
                entries.extend(self.listed_entry(found).await?);
            }
        }
        Ok(entries)
    }

    /// A row that can't be read is made anew from what is known of its message: one row does not hide a list. `None`
    /// when it is left over from an entry that is not shown any more.
    async fn listed_entry(&self, found: Found) -> Result<Option<Entry>> {
        let id = EntryId { message: found.place.message()?, index: found.place.index.cast_unsigned() };
        let cause = match encoding::decode_entry(&found.entry.unwrap_or_default()) {
            Ok(entry) if entry.id == id.to_string() => return Ok(Some(entry)),
            Ok(entry) => format!("it says that it is of {:?}", entry.id),
            Err(error) => error.to_string(),
        };
        tracing::warn!(entry.id = %id, cause, "a row of a list can't be read: its message is; a rebuild mends it");
        self.entry(&id).await.map_err(|error| match error {
            StoreError::Damaged(message) => {
                StoreError::Damaged(format!("the row of {id} in a list: {cause}; its message: {message}"))
            }
            other => other,
        })
    }

    pub async fn entry(&self, id: &EntryId) -> Result<Option<Entry>> {
        Ok(self.read(&id.message).await?.row.into_entry(id))
    }

    /// The bytes of a message with something to show.
    pub async fn raw(&self, id: &MessageId) -> Result<Option<Bytes>> {
        let row = self.read(id).await?.row;
        if row.shown().next().is_none() {
            return Ok(None);
        }
        let content = content::read(&self.shared, id).await?;
        if content.len() as u64 == row.size_bytes() {
            return Ok(Some(content));
        }
        // It may have been removed meanwhile.
        if self.read(id).await?.row.shown().next().is_none() {
            return Ok(None);
        }
        Err(StoreError::Damaged(format!("of {id} there are {} bytes, not {}", content.len(), row.size_bytes())))
    }

    pub async fn counts(&self, inbox: &str) -> Result<Counts> {
        let tally = self.tally(&Kind::Inbox.list(inbox)).await?;
        Ok(Counts { messages: tally.rows, unread: tally.unread })
    }

    pub async fn totals(&self) -> Result<Totals> {
        let tally = self.volume().await?;
        Ok(Totals { messages: tally.rows, entries: tally.entries })
    }

    /// Of all messages with something to show.
    pub async fn volume(&self) -> Result<Tally> {
        let mut sum = Tally::default();
        for list in self.lists_of_partitions(Kind::ByAge).await? {
            sum.add(self.tally(&list).await?);
        }
        Ok(sum)
    }

    /// The lists of this kind, one for each partition that has been folded.
    pub async fn lists_of_partitions(&self, kind: Kind) -> Result<Vec<String>> {
        let mut partitions: Vec<u32> = self.positions().await?.iter().map(|place| place.partition).collect();
        partitions.sort_unstable();
        partitions.dedup();
        Ok(partitions.into_iter().map(|partition| kind.of_partition(partition)).collect())
    }

    /// What a list has: of partitions that did not change since they were counted what is known, the others are
    /// counted.
    pub async fn tally(&self, list: &str) -> Result<Tally> {
        let mut sum = Tally::default();
        for level in 0..LEVELS {
            let mut from = Some(i64::MIN);
            while let Some(start) = from {
                let values = [text(list), int(level.into()), bigint(start), int(BUCKET_PAGE)];
                let cells = self.client().rows::<KnownCells>(&self.statements.oldest_buckets, &values).await?;
                let is_last = cells.len() < usize::try_from(BUCKET_PAGE).unwrap_or(0);
                from = cells.last().and_then(|(start, ..)| start.checked_add(1)).filter(|_| !is_last);
                let known: Result<Vec<Known>> =
                    cells.into_iter().map(|cells| Known::read(list, level, cells)).collect();
                let tallies: Vec<Tally> = stream::iter(known?)
                    .map(|known| async move { self.tally_of(&known).await })
                    .buffer_unordered(COUNTED_AT_ONCE)
                    .try_collect()
                    .await?;
                tallies.into_iter().for_each(|tally| sum.add(tally));
            }
        }
        Ok(sum)
    }

    async fn tally_of(&self, known: &Known) -> Result<Tally> {
        if let Some(tally) = known.tally() {
            return Ok(tally);
        }
        let tally = self.count(&known.bucket).await?;
        self.client().write(&known.count(&self.statements, tally)?).await?;
        Ok(tally)
    }

    async fn count(&self, bucket: &Bucket) -> Result<Tally> {
        type Columns = (Option<bool>, Option<i32>, Option<i64>);
        let mut tally = Tally::default();
        let mut rows = pin!(self.client().stream::<Columns>(&self.statements.tally, &bucket.key()).await?);
        while let Some((unread, entries, size_bytes)) = rows.try_next().await? {
            tally.add(Tally {
                rows: 1,
                unread: u64::from(unread.unwrap_or(false)),
                entries: entries.unwrap_or(0).try_into().unwrap_or(0),
                size_bytes: size_bytes.unwrap_or(0).try_into().unwrap_or(0),
            });
        }
        Ok(tally)
    }
}
