//! Folding: what is new of a message is written into its cells, then the whole message is read, and what is read
//! decides which rows it has in lists. Whoever writes last has read everything, so any number of writers, also ones
//! that were frozen in the middle, end in the same lists; see the decision on the data model.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};
use schemas::{Event, MessageId, Position};

use super::bucket::{Bucket, LEVELS};
use super::cells::{self, Stored};
use super::client::{Write, bigint, blob, int, text};
use super::content;
use super::listing::{self, Content, Listing, Recorded};
use super::tables::Tables;
use crate::row::{self, Row};
use crate::{Fact, Result, telemetry};
use scylla::value::CqlValue;

/// Messages folded at once.
const MESSAGES_AT_ONCE: usize = 32;
const WRITES_AT_ONCE: usize = 64;

/// What is new of a message.
#[derive(Default)]
pub struct Delta {
    pub row: Row,
    /// The bytes, and their place on the log.
    pub content: Option<(u64, Vec<u8>)>,
}

/// Partitions of lists that were changed.
pub type Touched = BTreeSet<Bucket>;

impl Tables {
    /// What lies behind the positions is ignored. Data first, then the positions: what is broken off is folded again.
    pub async fn apply(&self, facts: Vec<Fact>, positions: &[Position]) -> Result<()> {
        let started = Instant::now();
        let stored = self.positions().await?;
        let next: HashMap<_, _> = stored.iter().map(|place| ((place.topic, place.partition), place.offset)).collect();
        let mut deltas: HashMap<MessageId, Delta> = HashMap::new();
        let mut applied = BTreeMap::new();
        for mut fact in facts {
            let place = fact.position;
            if next.get(&(place.topic, place.partition)).is_some_and(|next| place.offset < *next) {
                continue;
            }
            *applied.entry(place.topic).or_default() += 1;
            let content = content_of(&mut fact);
            if let Some((id, mut column)) = row::column_of(fact) {
                if let (Some(content), Some(raw)) = (&content, &mut column.raw) {
                    raw.value.envelope.size_bytes = content.len() as u64;
                }
                let delta = deltas.entry(id).or_default();
                delta.row.merge(column);
                if let Some(content) = content {
                    delta.content = Some((place.offset, content));
                }
            }
        }
        self.fold(deltas.into_iter().collect()).await?;
        self.move_to(positions).await?;
        telemetry::applied(&applied, started.elapsed());
        Ok(())
    }

    pub async fn fold(&self, deltas: Vec<(MessageId, Delta)>) -> Result<()> {
        let touched: Vec<Touched> = stream::iter(deltas)
            .map(|(id, delta)| async move { self.fold_message(&id, delta).await })
            .buffer_unordered(MESSAGES_AT_ONCE)
            .try_collect()
            .await?;
        self.mark(touched.into_iter().flatten().collect()).await
    }

    async fn fold_message(&self, id: &MessageId, delta: Delta) -> Result<Touched> {
        // Mail that arrives is new, and nothing is known of it but by a repeat.
        let known = if delta.row.raw.is_some() { Stored::default() } else { self.read(id).await? };
        let mut expected = known.row.clone();
        expected.merge(delta.row.clone());
        let new = self.unrecorded(id, &expected, &known.recorded).await?;
        if let Some((offset, content)) = &delta.content {
            content::write(&self.shared, id, *offset, content).await?;
        }
        let mut writes = cells::writes(&self.statements, id, &delta.row)?;
        writes.extend(cells::record(&self.statements, id, &new));
        self.client().write_together(&writes).await?;
        let stored = self.settled(id).await?;
        if stored.row.gone {
            self.client().write_together(&cells::strip(&self.statements, id, &stored.row)?).await?;
        }
        if stored.row.gone || (stored.is_unknown() && delta.content.is_some()) {
            content::remove(&self.shared, id).await?;
        }
        self.show(id, &stored).await
    }

    /// The message as it is now, with every listing recorded that it has a row in. A listing that is recorded here may
    /// be one that a later state has given up: so the message is read once more.
    pub async fn settled(&self, id: &MessageId) -> Result<Stored> {
        loop {
            let stored = self.read(id).await?;
            let new = self.unrecorded(id, &stored.row, &stored.recorded).await?;
            if new.is_empty() {
                return Ok(stored);
            }
            self.client().write_together(&cells::record(&self.statements, id, &new)).await?;
        }
    }

    /// Writes the rows that the message has in lists, and removes all that anyone may have written before. What a
    /// sweep finds its work by comes last, so that one that was broken off finds it again.
    pub async fn show(&self, id: &MessageId, stored: &Stored) -> Result<Touched> {
        self.write_rows(id, stored, &listing::wanted(id, &stored.row)?).await
    }

    /// Removes every row that the message has in lists.
    pub async fn hide(&self, id: &MessageId, stored: &Stored) -> Result<Touched> {
        self.write_rows(id, stored, &[]).await
    }

    async fn write_rows(&self, id: &MessageId, stored: &Stored, wanted: &[(Listing, Content)]) -> Result<Touched> {
        let mut touched = Touched::new();
        let (mut entries, mut others) = (Vec::new(), Vec::new());
        for recorded in &stored.recorded {
            let Some(sort) = listing::sort_of(&recorded.listing, id, &stored.row) else { continue };
            let bucket = Bucket::at(&recorded.listing.list, recorded.level, sort);
            let content = wanted.iter().find(|(listing, _)| *listing == recorded.listing).map(|(_, content)| content);
            // Where two writers chose two widths, the wider one counts.
            let content = content.filter(|_| level_of(&stored.recorded, &recorded.listing) == Some(recorded.level));
            let write = self.row_write(&bucket, (sort, id, recorded.listing.index), content, stored.version);
            let kind = listing::parts(&recorded.listing.list).map(|(kind, _)| kind);
            let is_entry = matches!(kind, Some(listing::Kind::Inbox | listing::Kind::Starred));
            if is_entry {
                entries.push(write)
            } else {
                others.push(write)
            }
            touched.insert(bucket);
        }
        self.write_all(entries).await?;
        self.write_all(others).await?;
        Ok(touched)
    }

    /// Says of every partition that it has changed; after the change.
    pub async fn mark(&self, touched: Touched) -> Result<()> {
        stream::iter(touched)
            .map(|bucket| async move { self.client().write_together(&self.book.mark(&self.statements, &bucket)).await })
            .buffer_unordered(WRITES_AT_ONCE)
            .try_collect()
            .await
    }

    async fn write_all(&self, writes: Vec<Write>) -> Result<()> {
        stream::iter(writes)
            .map(|write| async move { self.client().write(&write).await })
            .buffer_unordered(WRITES_AT_ONCE)
            .try_collect()
            .await
    }

    /// The listings that the row has and that are not recorded, each with the width it gets.
    async fn unrecorded(&self, id: &MessageId, row: &Row, recorded: &[Recorded]) -> Result<Vec<Recorded>> {
        let mut new = Vec::new();
        for listing in listing::names(row) {
            if level_of(recorded, &listing).is_some() {
                continue;
            }
            if let Some(sort) = listing::sort_of(&listing, id, row) {
                let level = self.level_for(&listing.list, sort).await?;
                new.push(Recorded { listing, level });
            }
        }
        Ok(new)
    }

    /// The widest partition that is not full.
    async fn level_for(&self, list: &str, sort: i64) -> Result<u8> {
        let last = LEVELS - 1;
        for level in 0..=last {
            let bucket = Bucket::at(list, level, sort);
            let has_place = match self.book.take_place(&bucket) {
                Some(has_place) => has_place,
                None => {
                    let known = self.bucket(&bucket).await?;
                    self.book.learn(&bucket, known.map_or(0, |known| known.row_estimate));
                    self.book.take_place(&bucket).unwrap_or(true)
                }
            };
            if has_place {
                return Ok(level);
            }
            if level == last {
                self.book.squeeze_in(&bucket);
            }
        }
        Ok(last)
    }

    fn row_write(
        &self,
        bucket: &Bucket,
        (sort, id, index): (i64, &MessageId, u32),
        content: Option<&Content>,
        version: i64,
    ) -> Write {
        let mut place = bucket.key().to_vec();
        place.extend([bigint(sort), text(id.as_str()), int(index.cast_signed())]);
        let Some(content) = content else {
            let values = [vec![bigint(version)], place].concat();
            return Write { statement: self.statements.delete_listed.clone(), values };
        };
        let (statement, content) = match content {
            Content::Entry { bytes, unread } => {
                (&self.statements.insert_entry, vec![blob(bytes.clone()), CqlValue::Boolean(*unread)])
            }
            Content::Size { entries, size_bytes } => {
                (&self.statements.insert_size, vec![int(*entries), bigint(*size_bytes)])
            }
            Content::Nothing => (&self.statements.insert_bare, Vec::new()),
        };
        Write { statement: statement.clone(), values: [place, content, vec![bigint(version)]].concat() }
    }
}

fn level_of(recorded: &[Recorded], listing: &Listing) -> Option<u8> {
    recorded.iter().filter(|recorded| recorded.listing == *listing).map(|recorded| recorded.level).min()
}

/// Takes the bytes out of a fact: they go another way than its columns.
fn content_of(fact: &mut Fact) -> Option<Vec<u8>> {
    match &mut fact.event {
        Event::Raw(raw) => Some(std::mem::take(&mut raw.content)),
        _ => None,
    }
}
