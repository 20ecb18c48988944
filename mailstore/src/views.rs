//! Which lists a message stands in and what it counts for, as a pure function of its row, and the form of the keys:
//! one letter for the view, then parts that sort as bytes in the order that the view is read in.
//!
//! Applying facts is: views of the row before, views of the row after, and the difference is written.

use schemas::record::{Offset, Partition};
use schemas::{EntryId, MessageId, Position, Topic};
use sha2::{Digest, Sha256};

use crate::row::Row;

/// Messages with something to show, oldest first: what age and size remove.
pub const BY_AGE: u8 = b'A';
/// Counts of an inbox.
pub const COUNTS: u8 = b'C';
/// Messages with deleted entries that wait for the sweep.
pub const DELETED: u8 = b'D';
/// Entries of an inbox by time of receipt, then id.
pub const INBOX: u8 = b'I';
/// The time of the newest message folded, by partition.
pub const NEWEST: u8 = b'N';
/// Rows that no `mail.raw` fact has reached: by partition and the place where it should stand, or by partition and id
/// where nothing says which.
pub const ORPHANS: u8 = b'O';
pub const POSITIONS: u8 = b'P';
/// Messages whose bytes lie on the log, by their place on `mail.raw`.
pub const ON_LOG: u8 = b'R';
/// Entries that an account has starred, by time of receipt, then id.
pub const STARRED: u8 = b'S';
pub const TOTALS: u8 = b'T';

/// Longer names are cut here and end in their hash: no key is near the 64 KiB that the database takes.
const NAME_BYTES: usize = 512;
const ID_BYTES: usize = 26;
/// Time of receipt, message id, index of the entry.
const PLACE_BYTES: usize = 8 + ID_BYTES + 4;

/// Where a message stands in the views.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Views {
    /// Sorted, each once.
    pub keys: Vec<Vec<u8>>,
    /// One for each entry that is shown.
    pub counted: Vec<Counted>,
    /// Zero when no entry is shown.
    pub size_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    pub inbox: String,
    pub unread: bool,
}

impl Views {
    pub fn of(id: &MessageId, row: &Row) -> Self {
        let mut views = Self::default();
        let (Some(place), Some(received_at)) = (row.raw_place(), row.received_at()) else {
            views.keys.push(orphan(row.partition.unwrap_or(0), row.raw_offset, id));
            return views;
        };
        if !row.copied {
            views.keys.push(on_log(place.partition, place.offset, id));
        }
        if row.deleted().next().is_some() {
            views.keys.push(deleted(id));
        }
        for place in row.shown() {
            let entry = EntryId { message: id.clone(), index: place.index };
            views.keys.push(listed(INBOX, &place.inbox, received_at, &entry));
            if let Some(account) = row.starred_by(place.index) {
                views.keys.push(listed(STARRED, account, received_at, &entry));
            }
            views.counted.push(Counted { inbox: place.inbox.clone(), unread: !row.is_read(place.index) });
        }
        if !views.counted.is_empty() {
            views.keys.push(by_age(received_at, id));
            views.size_bytes = row.size_bytes();
        }
        views.keys.sort_unstable();
        views.keys.dedup();
        views
    }
}

/// The place of an entry in a list ([`INBOX`] or [`STARRED`]). Every byte of it is turned around, so that the newest
/// comes first: reading forwards is what the database does best.
pub fn listed(view: u8, name: &str, received_at: i64, entry: &EntryId) -> Vec<u8> {
    let mut key = list_of(view, name);
    let place = [&time_bytes(received_at)[..], entry.message.as_str().as_bytes(), &entry.index.to_be_bytes()];
    key.extend(place.into_iter().flatten().map(|byte| !byte));
    key
}

/// What every key of a list begins with.
pub fn list_of(view: u8, name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + name.len() + 2 + PLACE_BYTES);
    key.push(view);
    push_name(&mut key, name);
    key
}

/// Behind every key of a list.
pub fn list_end(view: u8, name: &str) -> Vec<u8> {
    let mut key = list_of(view, name);
    key.extend_from_slice(&[0xff; PLACE_BYTES + 1]);
    key
}

/// Before every place of a list that was received at this time or before, and behind the others.
pub fn list_until(view: u8, name: &str, until_ms: i64) -> Vec<u8> {
    let mut key = list_of(view, name);
    key.extend(time_bytes(until_ms).map(|byte| !byte));
    key
}

pub fn by_age(received_at: i64, id: &MessageId) -> Vec<u8> {
    [&[BY_AGE], &time_bytes(received_at)[..], id.as_str().as_bytes()].concat()
}

/// Before every message that was received at this time or later.
pub fn by_age_until(received_before: i64) -> Vec<u8> {
    [&[BY_AGE], &time_bytes(received_before)[..]].concat()
}

/// Before the id of every message that arrived at this time or later.
pub fn ids_from(time_ms: i64) -> Vec<u8> {
    MessageId::from_parts(time_ms, [0; 10]).as_str().as_bytes().to_vec()
}

pub fn on_log(partition: Partition, offset: Offset, id: &MessageId) -> Vec<u8> {
    [&on_log_from(partition, offset)[..], id.as_str().as_bytes()].concat()
}

pub fn on_log_from(partition: Partition, offset: Offset) -> Vec<u8> {
    [&[ON_LOG], &partition.to_be_bytes()[..], &offset.to_be_bytes()].concat()
}

fn orphan(partition: Partition, raw_offset: Option<Offset>, id: &MessageId) -> Vec<u8> {
    match raw_offset {
        Some(offset) => [&orphans_at(partition, offset)[..], id.as_str().as_bytes()].concat(),
        None => [&orphans_anywhere(partition)[..], id.as_str().as_bytes()].concat(),
    }
}

/// Before every orphan whose mail should stand at this place or behind it.
pub fn orphans_at(partition: Partition, offset: Offset) -> Vec<u8> {
    [&[ORPHANS], &partition.to_be_bytes()[..], &[0], &offset.to_be_bytes()].concat()
}

/// What the keys of orphans begin with of which only the id is known.
pub fn orphans_anywhere(partition: Partition) -> Vec<u8> {
    [&[ORPHANS], &partition.to_be_bytes()[..], &[1]].concat()
}

pub fn deleted(id: &MessageId) -> Vec<u8> {
    [&[DELETED], id.as_str().as_bytes()].concat()
}

pub fn newest(partition: Partition) -> Vec<u8> {
    [&[NEWEST], &partition.to_be_bytes()[..]].concat()
}

pub fn position(topic: Topic, partition: Partition) -> Vec<u8> {
    [&[POSITIONS], topic.name().as_bytes(), b"/", &partition.to_be_bytes()].concat()
}

/// Reads a position's key and value back.
pub fn read_position(key: &[u8], value: &[u8]) -> Option<Position> {
    let (name, partition) = key.split_at_checked(key.len().checked_sub(5)?)?;
    let topic = std::str::from_utf8(name.strip_prefix(&[POSITIONS])?).ok()?.parse().ok()?;
    let partition = Partition::from_be_bytes(partition.strip_prefix(b"/")?.try_into().ok()?);
    Some(Position::new(topic, partition, Offset::from_be_bytes(value.try_into().ok()?)))
}

pub fn read_newest(key: &[u8], value: &[u8]) -> Option<(Partition, i64)> {
    let partition = Partition::from_be_bytes(key.strip_prefix(&[NEWEST])?.try_into().ok()?);
    Some((partition, i64::from_be_bytes(value.try_into().ok()?)))
}

/// The entry that a key of a list names.
pub fn read_listed(key: &[u8]) -> Option<EntryId> {
    let (_, place) = key.split_last_chunk::<{ ID_BYTES + 4 }>()?;
    let place = place.map(|byte| !byte);
    let (id, index) = place.split_last_chunk::<4>()?;
    Some(EntryId { message: read_id(id)?, index: u32::from_be_bytes(*index) })
}

/// The message that a key ends in.
pub fn read_id(key: &[u8]) -> Option<MessageId> {
    let (_, id) = key.split_last_chunk::<ID_BYTES>()?;
    std::str::from_utf8(id).ok()?.parse().ok()
}

/// The name that a key of a list or of counts holds; for a long one what the key has of it.
pub fn read_name(key: &[u8]) -> Option<String> {
    let mut name = Vec::new();
    let mut bytes = key.get(1..)?.iter().copied();
    loop {
        match bytes.next()? {
            0 => match bytes.next()? {
                0xff => name.push(0),
                _ => return Some(String::from_utf8_lossy(&name).into_owned()),
            },
            byte => name.push(byte),
        }
    }
}

/// What the id says of the time of arrival: the first ten of its characters, base 32.
pub fn time_in(id: &MessageId) -> i64 {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let digit = |byte: u8| ALPHABET.iter().position(|known| *known == byte).unwrap_or(0) as i64;
    id.as_str().bytes().take(10).fold(0, |time, byte| (time << 5) | digit(byte))
}

/// Times before 1970 sort before the others.
fn time_bytes(time_ms: i64) -> [u8; 8] {
    (time_ms.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

/// A name that sorts as its bytes do and that no other name begins with: 0 becomes 0 255, and 0 1 ends it.
fn push_name(key: &mut Vec<u8>, name: &str) {
    let cut = if name.len() > NAME_BYTES { name.as_bytes().get(..NAME_BYTES) } else { None };
    for byte in cut.unwrap_or(name.as_bytes()) {
        key.push(*byte);
        if *byte == 0 {
            key.push(0xff);
        }
    }
    if cut.is_some() {
        key.extend_from_slice(format!("{:x}", Sha256::digest(name.as_bytes())).as_bytes());
    }
    key.extend_from_slice(&[0, 1]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(time: i64) -> MessageId {
        MessageId::from_parts(time, [7; 10])
    }

    #[test]
    fn keys_of_a_list_sort_by_time_then_id_then_index_all_falling() {
        let entry = |time, index| EntryId { message: id(time), index };
        let key = |received_at, entry: EntryId| listed(INBOX, "a@b", received_at, &entry);
        let sorted = [
            key(6, entry(0, 0)),
            list_until(INBOX, "a@b", 5),
            key(5, entry(2, 0)),
            key(5, entry(1, 10)),
            key(5, entry(1, 9)),
            key(0, entry(1, 0)),
            key(-1, entry(9, 0)),
            list_end(INBOX, "a@b"),
        ];
        assert!(sorted.is_sorted());
        assert_eq!(read_listed(&sorted[3]), Some(entry(1, 10)));
    }

    #[test]
    fn a_name_that_begins_another_shares_no_keys_with_it() {
        let [short, long, nul] = ["a@b", "a@b.c", "a@b\0\u{1}x"].map(|name| list_of(INBOX, name));
        assert!(!long.starts_with(&short) && !nul.starts_with(&short));
        assert_eq!(read_name(&nul).unwrap(), "a@b\0\u{1}x");
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let limit = "n".repeat(NAME_BYTES);
        assert_eq!(read_name(&list_of(INBOX, &limit)).unwrap(), limit);
        let over = ["x", "y"].map(|end| list_of(INBOX, &format!("{limit}{end}")));
        assert!(over[0] != over[1] && over[0].len() < 2 * NAME_BYTES);
    }

    #[test]
    fn positions_and_times_read_back() {
        let place = Position::new(Topic::MailScored, 11, 1 << 40);
        let key = position(place.topic, place.partition);
        assert_eq!(read_position(&key, &place.offset.to_be_bytes()), Some(place));
        assert_eq!(time_in(&id(1_700_000_000_123)), 1_700_000_000_123);
    }
}
