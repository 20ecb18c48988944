//! Which lists a message has rows in, and how late a state of it is: pure functions of what is known of it.
//!
//! A row of a list is written by whoever has seen a state of the message, at that state's version. A later state has a
//! higher version, so a writer that was frozen since changes nothing, whatever it writes when it thaws.

use std::collections::BTreeMap;

use schemas::{EntryId, MessageId};

use crate::row::Row;
use crate::{Result, StoreError, encoding, views};

/// The write time of what is final: later than every offset, and in the past of every clock (Scylla takes no write
/// times of the future).
pub const FINAL: i64 = 1 << 50;
/// What removes a whole message removes what is final of it too.
pub const REMOVAL: i64 = FINAL + 1;
/// The write time of what only grows or is always the same.
pub const FIRST: i64 = 1;

/// What a list is of. Its letter begins the list's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Messages with something to show, of a partition of the log: what age and size remove, and what is counted.
    ByAge = b'A' as isize,
    /// Messages with deleted entries that wait for the sweep, of a partition of the log.
    Deleted = b'D' as isize,
    /// Entries of an inbox.
    Inbox = b'I' as isize,
    /// Messages that no `mail.raw` fact has reached, by the place where it should stand.
    Orphan = b'O' as isize,
    /// The same where only the id is known.
    OrphanAnywhere = b'Q' as isize,
    /// Messages whose bytes the log still holds, by their place on it.
    OnLog = b'R' as isize,
    /// Entries that an account has starred.
    Starred = b'S' as isize,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::ByAge, Self::Deleted, Self::Inbox, Self::Orphan, Self::OrphanAnywhere, Self::OnLog, Self::Starred];

    pub fn list(self, name: &str) -> String {
        format!("{}{name}", self.letter())
    }

    pub fn of_partition(self, partition: u32) -> String {
        format!("{}{partition}", self.letter())
    }

    const fn letter(self) -> char {
        self as u8 as char
    }
}

/// The kind and the name of a list.
pub fn parts(list: &str) -> Option<(Kind, &str)> {
    let letter = list.chars().next()?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.letter() == letter)?;
    Some((kind, list.get(1..)?))
}

/// A list that an entry of a message has a row in; index 0 where the row is the message's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Listing {
    pub list: String,
    pub index: u32,
}

/// And how fine the list's partitions are where it stands. Recorded with the message before the row is written, so
/// that whoever changes the message later knows of every row that anyone may have written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Recorded {
    pub listing: Listing,
    pub level: u8,
}

impl Recorded {
    pub fn encode(&self) -> Vec<u8> {
        [&[self.level][..], &self.listing.index.to_be_bytes(), self.listing.list.as_bytes()].concat()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let read = || {
            let (level, rest) = bytes.split_first()?;
            let (index, list) = rest.split_first_chunk::<4>()?;
            let list = String::from_utf8(list.to_vec()).ok()?;
            Some(Self { listing: Listing { list, index: u32::from_be_bytes(*index) }, level: *level })
        };
        read().ok_or_else(|| StoreError::Damaged("a listing can't be read".to_owned()))
    }
}

/// What a row of a list says beside its place.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Entry { bytes: Vec<u8>, unread: bool },
    Size { entries: i32, size_bytes: i64 },
    Nothing,
}

/// The lists in which a message in this state has rows.
pub fn names(row: &Row) -> Vec<Listing> {
    let mut names = Vec::new();
    let mut of_message = |kind: Kind, partition| names.push(Listing { list: kind.of_partition(partition), index: 0 });
    let Some(place) = row.raw_place() else {
        if let Some(partition) = row.partition {
            of_message(if row.raw_offset.is_some() { Kind::Orphan } else { Kind::OrphanAnywhere }, partition);
        }
        return names;
    };
    if !row.copied {
        of_message(Kind::OnLog, place.partition);
    }
    if row.deleted().next().is_some() {
        of_message(Kind::Deleted, place.partition);
    }
    if row.shown().next().is_some() {
        of_message(Kind::ByAge, place.partition);
    }
    for place in row.shown() {
        let listing = |list| Listing { list, index: place.index };
        if let Some(account) = row.starred_by(place.index) {
            names.push(listing(Kind::Starred.list(account)));
        }
        names.push(listing(Kind::Inbox.list(&place.inbox)));
    }
    names
}

/// And what its rows there say. An entry is written out once, however many lists it stands in.
pub fn wanted(id: &MessageId, row: &Row) -> Result<Vec<(Listing, Content)>> {
    let mut entries: BTreeMap<u32, Content> = BTreeMap::new();
    for place in row.shown() {
        let entry_id = EntryId { message: id.clone(), index: place.index };
        if let Some(entry) = row.clone().into_entry(&entry_id) {
            let content = Content::Entry { bytes: encoding::encode_entry(&entry)?, unread: !entry.read };
            entries.insert(place.index, content);
        }
    }
    let size = Content::Size {
        entries: i32::try_from(entries.len()).unwrap_or(i32::MAX),
        size_bytes: i64::try_from(row.size_bytes()).unwrap_or(i64::MAX),
    };
    let with_content = |listing: Listing| {
        let content = match parts(&listing.list)?.0 {
            Kind::Inbox | Kind::Starred => entries.get(&listing.index)?.clone(),
            Kind::ByAge => size.clone(),
            Kind::Deleted | Kind::Orphan | Kind::OrphanAnywhere | Kind::OnLog => Content::Nothing,
        };
        Some((listing, content))
    };
    Ok(names(row).into_iter().filter_map(with_content).collect())
}

/// Where a row of this list stands: by time of receipt, or by place on the log. `None` when no row can be there.
pub fn sort_of(listing: &Listing, id: &MessageId, row: &Row) -> Option<i64> {
    let (kind, _) = parts(&listing.list)?;
    let raw_offset = row.raw_place().map(|place| place.offset).or(row.raw_offset);
    match kind {
        Kind::Inbox | Kind::Starred | Kind::ByAge | Kind::Deleted => row.received_at(),
        Kind::OnLog | Kind::Orphan => raw_offset.map(sortable),
        Kind::OrphanAnywhere => Some(views::time_in(id)),
    }
}

pub fn sortable(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

/// The write time of a fact's cell: its offset, from 1 on.
pub fn written_at(offset: u64) -> i64 {
    sortable(offset).saturating_add(1).min(FINAL - 1)
}

/// Higher for every state that knows more. `scores` is the sum of the write times of all scores: of those that newer
/// models have replaced too, since the newest score's offset alone may fall.
pub fn version(row: &Row, scores: i64) -> i64 {
    if row.gone {
        return FINAL;
    }
    let mut sum = scores;
    let mut add = |offset: Option<u64>| sum = sum.saturating_add(offset.map_or(0, written_at));
    add(row.raw.as_ref().map(|raw| raw.offset));
    add(row.parsed.as_ref().map(|parsed| parsed.offset));
    add(row.routed.as_ref().map(|routed| routed.offset));
    for flags in row.flags.values() {
        add(flags.read.as_ref().map(|flag| flag.offset));
        add(flags.saved_by.as_ref().map(|flag| flag.offset));
        add(flags.folder.as_ref().map(|flag| flag.offset));
        add(flags.deleted.as_ref().map(|flag| flag.offset));
        flags.labels.values().for_each(|label| add(Some(label.offset)));
    }
    let marks = i64::try_from(row.swept.len()).unwrap_or(0) + i64::from(row.copied);
    sum.saturating_add(marks).min(FINAL - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Chance, ModelLog, mail_by_chance};
    use crate::row::column_of;

    #[test]
    fn what_is_recorded_reads_back() {
        for (list, index, level) in [("Iann@a.example", 0, 0), ("Szoë\0", 7, 3), ("A", u32::MAX, 1)] {
            let recorded = Recorded { listing: Listing { list: list.to_owned(), index }, level };
            assert_eq!(Recorded::decode(&recorded.encode()).unwrap(), recorded);
        }
        assert!(Recorded::decode(&[0, 1]).is_err());
        assert_eq!(parts("Szoë"), Some((Kind::Starred, "zoë")));
    }

    /// Facts in any order: each one that changes the row makes its version higher, and a repeat leaves it.
    #[test]
    fn a_later_state_has_a_higher_version() {
        let log = ModelLog::default();
        mail_by_chance(&log, &mut Chance::seeded(5), 40, 1);
        let mut facts = log.facts();
        let mut chance = Chance::seeded(6);
        for end in (1..facts.len()).rev() {
            facts.swap(end, chance.below(end + 1));
        }
        let mut rows: std::collections::BTreeMap<MessageId, Row> = Default::default();
        let mut changes = 0;
        for fact in facts {
            let (id, column) = column_of(fact).unwrap();
            if column.score.is_some() {
                continue;
            }
            let row = rows.entry(id).or_default();
            let before = row.clone();
            row.merge(column);
            let same = before.raw == row.raw
                && before.parsed == row.parsed
                && before.routed == row.routed
                && before.flags == row.flags;
            assert_eq!(version(&before, 0) == version(row, 0), same);
            assert!(version(&before, 0) <= version(row, 0) && version(row, 0) < FINAL);
            changes += usize::from(!same);
        }
        assert!(changes > 100);
    }
}
