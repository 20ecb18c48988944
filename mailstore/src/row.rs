//! A message as the store keeps it: one row with a column for each topic, and how two states of it become one.
//!
//! Every column remembers the place of the fact that wrote it, and only a later fact replaces it. So [`Row::merge`]
//! is commutative, associative and idempotent, and any order and any number of repeats end in the same row. All facts
//! of a message stand in one partition (the design's rule), so an offset alone orders the facts of a topic.
//! It knows nothing of keyspaces, files or time.

mod column;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use schemas::event::{Address, Attachment, Folder};
use schemas::record::{Offset, Partition};
use schemas::{EntryId, Position, Topic};
use serde::{Deserialize, Serialize};

use crate::encoding::is_false;
use crate::{Entry, Envelope};

pub use self::column::column_of;

/// A value and the offset of the fact that wrote it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamped<T> {
    #[serde(rename = "o")]
    pub offset: Offset,
    #[serde(rename = "v")]
    pub value: T,
}

/// Everything that is known of a message. Names are short since they are stored with every row; a field is never
/// renamed, and a new one has a default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Row {
    #[serde(rename = "p")]
    pub partition: Option<Partition>,
    /// Where the facts say that the bytes lie, until `mail.raw` itself is folded.
    #[serde(rename = "n", skip_serializing_if = "Option::is_none")]
    pub raw_offset: Option<Offset>,
    /// From `mail.raw`. Its place is where the bytes lie.
    #[serde(rename = "w", skip_serializing_if = "Option::is_none")]
    pub raw: Option<Stamped<Arrival>>,
    /// From `mail.parsed`.
    #[serde(rename = "m", skip_serializing_if = "Option::is_none")]
    pub parsed: Option<Stamped<Summary>>,
    /// From `mail.scored`: the newest model's word counts.
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    /// From `mail.routed`.
    #[serde(rename = "r", skip_serializing_if = "Option::is_none")]
    pub routed: Option<Stamped<Routing>>,
    /// From `mail.actions`, by index of the entry.
    #[serde(rename = "f", skip_serializing_if = "BTreeMap::is_empty")]
    pub flags: BTreeMap<u32, Flags>,
    /// Entries that the sweep has removed: no later fact brings them back.
    #[serde(rename = "x", skip_serializing_if = "BTreeSet::is_empty")]
    pub swept: BTreeSet<u32>,
    /// The sweep has removed every entry; what is left keeps repeated facts from bringing the message back.
    #[serde(rename = "g", skip_serializing_if = "is_false")]
    pub gone: bool,
    /// The bytes were copied out of the log.
    #[serde(rename = "c", skip_serializing_if = "is_false")]
    pub copied: bool,
}

/// What `mail.raw` says, without the bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Arrival {
    #[serde(rename = "p")]
    pub partition: Partition,
    #[serde(rename = "t")]
    pub received_at: i64,
    #[serde(rename = "e")]
    pub envelope: Envelope,
}

/// What `mail.parsed` says, as far as lists show it; the text is read from the bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    #[serde(rename = "f")]
    pub from: Vec<Address>,
    #[serde(rename = "t")]
    pub to: Vec<Address>,
    #[serde(rename = "c", skip_serializing_if = "Vec::is_empty")]
    pub cc: Vec<Address>,
    #[serde(rename = "b", skip_serializing_if = "Vec::is_empty")]
    pub bcc: Vec<Address>,
    #[serde(rename = "s")]
    pub subject: String,
    #[serde(rename = "l", skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    #[serde(rename = "a", skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    #[serde(rename = "p", skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// Ordered by the model's sequence number, then by offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Score {
    #[serde(rename = "m")]
    pub model_sequence: i64,
    #[serde(rename = "o")]
    pub offset: Offset,
    #[serde(rename = "v")]
    pub value: f64,
}

/// What `mail.routed` says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Routing {
    #[serde(rename = "e")]
    pub entries: Vec<Place>,
    #[serde(rename = "f")]
    pub folder: Folder,
    #[serde(rename = "s")]
    pub score: f64,
}

/// An inbox that the message is in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    #[serde(rename = "i")]
    pub index: u32,
    #[serde(rename = "b")]
    pub inbox: String,
    #[serde(rename = "o")]
    pub original_inbox: String,
    #[serde(rename = "r")]
    pub recipients: Vec<String>,
    #[serde(rename = "m", skip_serializing_if = "is_false")]
    pub starts_in_spam: bool,
}

/// What people did to an entry. Each flag has its own offset, so none replaces another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Flags {
    #[serde(rename = "r", skip_serializing_if = "Option::is_none")]
    pub read: Option<Stamped<bool>>,
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    pub saved_by: Option<Stamped<Option<String>>>,
    #[serde(rename = "l", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Stamped<bool>>,
    #[serde(rename = "f", skip_serializing_if = "Option::is_none")]
    pub folder: Option<Stamped<Folder>>,
    #[serde(rename = "d", skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Stamped<bool>>,
}

impl Flags {
    pub fn is_deleted(&self) -> bool {
        self.deleted.as_ref().is_some_and(|deleted| deleted.value)
    }

    pub fn starred_by(&self) -> Option<&str> {
        self.saved_by.as_ref().and_then(|saved| saved.value.as_deref())
    }

    pub fn is_read(&self) -> bool {
        self.read.as_ref().is_some_and(|read| read.value)
    }

    fn merge(&mut self, other: Self) {
        newer(&mut self.read, other.read);
        newer(&mut self.saved_by, other.saved_by);
        newer(&mut self.folder, other.folder);
        newer(&mut self.deleted, other.deleted);
        for (label, stamped) in other.labels {
            match self.labels.get_mut(&label) {
                Some(known) if known.offset >= stamped.offset => {}
                Some(known) => *known = stamped,
                None => drop(self.labels.insert(label, stamped)),
            }
        }
    }
}

impl Row {
    /// Takes from `other` what is later. A row that is gone keeps nothing but the place of its bytes.
    pub fn merge(&mut self, other: Self) {
        self.partition = self.partition.max(other.partition);
        newer(&mut self.raw, other.raw);
        self.raw_offset = if self.raw.is_some() { None } else { self.raw_offset.max(other.raw_offset) };
        newer(&mut self.parsed, other.parsed);
        newer(&mut self.routed, other.routed);
        if let Some(score) = other.score
            && self.score.is_none_or(|known| known.rank() < score.rank())
        {
            self.score = Some(score);
        }
        for (index, flags) in other.flags {
            self.flags.entry(index).or_default().merge(flags);
        }
        self.swept.extend(other.swept);
        self.gone |= other.gone;
        self.copied |= other.copied;
        if self.gone {
            self.strip();
        }
    }

    /// Marks an entry as removed by the sweep.
    pub fn sweep(&mut self, index: u32) {
        self.swept.insert(index);
        if self.is_complete() && self.places().next().is_none() {
            self.gone = true;
            self.strip();
        }
    }

    /// Whether all that a list shows of an entry has been folded: `mail.raw`, `mail.parsed` and `mail.routed`. Before
    /// that no entry is shown, so that no list ever lacks a field.
    pub const fn is_complete(&self) -> bool {
        self.raw.is_some() && self.parsed.is_some() && self.routed.is_some()
    }

    /// The entries that are shown: complete, not deleted, not swept.
    pub fn shown(&self) -> impl Iterator<Item = &Place> {
        self.places().filter(|place| self.is_complete() && !self.is_deleted(place.index))
    }

    /// The entries that were deleted and wait for the sweep.
    pub fn deleted(&self) -> impl Iterator<Item = &Place> {
        self.places().filter(|place| self.is_complete() && self.is_deleted(place.index))
    }

    pub fn starred_by(&self, index: u32) -> Option<&str> {
        self.flags.get(&index).and_then(Flags::starred_by)
    }

    pub fn is_read(&self, index: u32) -> bool {
        self.flags.get(&index).is_some_and(Flags::is_read)
    }

    /// Where the bytes lie on the log, as long as it has them.
    pub fn raw_place(&self) -> Option<Position> {
        let raw = self.raw.as_ref()?;
        Some(Position::new(Topic::MailRaw, raw.value.partition, raw.offset))
    }

    pub fn received_at(&self) -> Option<i64> {
        self.raw.as_ref().map(|raw| raw.value.received_at)
    }

    pub fn size_bytes(&self) -> u64 {
        self.raw.as_ref().map_or(0, |raw| raw.value.envelope.size_bytes)
    }

    /// The entry as its readers see it; `None` when it is not shown.
    pub fn into_entry(mut self, id: &EntryId) -> Option<Entry> {
        let place = self.shown().find(|place| place.index == id.index)?.clone();
        let flags = self.flags.remove(&id.index).unwrap_or_default();
        let (arrival, summary, routing) = (self.raw?.value, self.parsed?.value, self.routed?.value);
        let delivered_to = if place.starts_in_spam { Folder::Spam } else { routing.folder };
        let labels = flags.labels.into_iter().filter(|(_, present)| present.value).map(|(label, _)| label).collect();
        Some(Entry {
            id: id.to_string(),
            inbox: place.inbox,
            original_inbox: place.original_inbox,
            recipients: place.recipients,
            received_at: arrival.received_at,
            envelope: arrival.envelope,
            from: summary.from,
            to: summary.to,
            cc: summary.cc,
            bcc: summary.bcc,
            subject: summary.subject,
            links: summary.links,
            attachments: summary.attachments,
            problems: summary.problems,
            spam: self.score.map_or(routing.score, |score| score.value),
            folder: flags.folder.map_or(delivered_to, |folder| folder.value),
            delivered_to,
            read: flags.read.is_some_and(|read| read.value),
            saved_by: flags.saved_by.and_then(|saved| saved.value),
            labels,
        })
    }

    /// The entries that the sweep has left.
    fn places(&self) -> impl Iterator<Item = &Place> {
        let entries = self.routed.iter().flat_map(|routed| &routed.value.entries);
        entries.filter(|place| !self.gone && !self.swept.contains(&place.index))
    }

    fn is_deleted(&self, index: u32) -> bool {
        self.flags.get(&index).is_some_and(Flags::is_deleted)
    }

    fn strip(&mut self) {
        let place = |raw: Stamped<Arrival>| Stamped {
            offset: raw.offset,
            value: Arrival { envelope: Envelope::default(), ..raw.value },
        };
        let raw = self.raw.take().map(place);
        *self = Self { partition: self.partition, raw, gone: true, copied: self.copied, ..Self::default() };
    }
}

impl Score {
    const fn rank(&self) -> (i64, Offset) {
        (self.model_sequence, self.offset)
    }
}

fn newer<T>(known: &mut Option<Stamped<T>>, other: Option<Stamped<T>>) {
    let later = |other: &Stamped<T>| known.as_ref().is_none_or(|known| known.offset < other.offset);
    if other.as_ref().is_some_and(later) {
        *known = other;
    }
}
