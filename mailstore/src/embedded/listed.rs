//! Entries written out for lists, kept in memory with the row that they were made from: whoever asks for the same list
//! again gets what has not changed without decoding and writing it again. The row itself is read every time, and
//! decides: one byte of difference, and the entry is written anew. So nothing has to be told of changes.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use schemas::EntryId;

use crate::{Listed, Result};

/// Memory for entries that were shown in lists.
const KEPT_BYTES: u64 = 8 << 20;
/// A larger entry is not kept, so that a few can't push out the others.
const LARGEST_KEPT_BYTES: u64 = 16 << 10;
/// Of an entry that is kept, beside its row and its text: keys, counts, allocations.
const OVERHEAD_BYTES: u64 = 256;
/// So many entries of a usual size fit.
const USUAL_ENTRIES: usize = 4096;

#[derive(Clone)]
struct Kept {
    row: Arc<[u8]>,
    listed: Arc<Listed>,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<EntryId, Kept> for Bytes {
    fn weight(&self, _: &EntryId, kept: &Kept) -> u64 {
        weight(&kept.row, &kept.listed)
    }
}

pub struct WrittenOut(Cache<EntryId, Kept, Bytes>);

impl WrittenOut {
    pub fn new() -> Self {
        Self(Cache::with_weighter(USUAL_ENTRIES, KEPT_BYTES, Bytes))
    }

    /// The entry of this stored row: what is kept, if it was made from the same bytes, or else what `write` makes.
    pub fn of(&self, id: &EntryId, row: &[u8], write: impl FnOnce() -> Result<Listed>) -> Result<Arc<Listed>> {
        if let Some(kept) = self.0.get(id)
            && *kept.row == *row
        {
            return Ok(kept.listed);
        }
        let listed = Arc::new(write()?);
        if weight(row, &listed) <= LARGEST_KEPT_BYTES {
            self.0.insert(id.clone(), Kept { row: row.into(), listed: Arc::clone(&listed) });
        }
        Ok(listed)
    }
}

fn weight(row: &[u8], listed: &Listed) -> u64 {
    OVERHEAD_BYTES + (row.len() + listed.json.len() + listed.inbox.len()) as u64
}

#[cfg(test)]
mod tests {
    use schemas::MessageId;

    use super::*;

    fn id(number: i64) -> EntryId {
        EntryId { message: MessageId::from_parts(number, [0; 10]), index: 0 }
    }

    fn listed(id: &EntryId, bytes: usize) -> Listed {
        Listed { id: id.clone(), inbox: String::new(), saved_by: None, json: vec![b' '; bytes].into() }
    }

    /// Whether the entry is written anew.
    fn writes(kept: &WrittenOut, id: &EntryId, row: &[u8], bytes: usize) -> bool {
        let mut written = false;
        let write = || {
            written = true;
            Ok(listed(id, bytes))
        };
        assert_eq!(kept.of(id, row, write).unwrap().json.len(), bytes);
        written
    }

    #[test]
    fn an_entry_is_written_anew_when_its_row_differs_in_one_byte() {
        let kept = WrittenOut::new();
        assert!(writes(&kept, &id(1), b"row", 10));
        assert!(!writes(&kept, &id(1), b"row", 10));
        assert!(writes(&kept, &id(1), b"rox", 20));
        assert!(!writes(&kept, &id(1), b"rox", 20));
    }

    #[test]
    fn the_largest_entry_is_kept_and_one_a_byte_larger_is_not() {
        let kept = WrittenOut::new();
        let largest = usize::try_from(LARGEST_KEPT_BYTES - OVERHEAD_BYTES).unwrap() - 3;
        for (number, bytes, again) in [(1, largest, false), (2, largest + 1, true)] {
            assert!(writes(&kept, &id(number), b"row", bytes));
            assert_eq!(writes(&kept, &id(number), b"row", bytes), again);
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let kept = WrittenOut::new();
        for number in 0..4000 {
            writes(&kept, &id(number), b"row", 8000);
        }
        assert!(kept.0.weight() <= KEPT_BYTES);
    }
}
