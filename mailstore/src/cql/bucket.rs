//! The partitions of lists. A list is cut by time (or by place on the log) into partitions of four widths; a row goes
//! into the widest that is not full yet, so quiet lists have few partitions and busy ones have none that is too large.
//! How full a partition is, is an estimate of whoever writes: which width was taken stands with the message.
//!
//! Every writer marks the partitions that it has changed, after the change. What was counted of a partition holds as
//! long as it has the marks that it had before it was counted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::client::{Write, bigint, blob, int, text};
use super::statements::Statements;
use crate::{Result, StoreError};
use scylla::value::CqlValue;

/// Bits of a time in milliseconds, or of an offset, within a partition: 25 days, 19 hours, 35 minutes, 66 seconds.
const WIDTH_BITS: [u32; 4] = [31, 26, 21, 16];
pub const LEVELS: u8 = 4;
/// Partitions whose rows the writer knows by heart; then it begins anew.
const KNOWN_BUCKETS: usize = 100_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bucket {
    pub list: String,
    pub level: u8,
    pub start: i64,
}

impl Bucket {
    /// The partition of this width that has the place.
    pub fn at(list: &str, level: u8, sort: i64) -> Self {
        let bits = bits(level);
        Self { list: list.to_owned(), level, start: (sort >> bits) << bits }
    }

    /// The last place in it.
    pub fn last(&self) -> i64 {
        self.start | ((1 << bits(self.level)) - 1)
    }

    pub fn key(&self) -> [CqlValue; 3] {
        [text(&*self.list), int(self.level.into()), bigint(self.start)]
    }
}

fn bits(level: u8) -> u32 {
    WIDTH_BITS.get(usize::from(level)).or(WIDTH_BITS.last()).copied().unwrap_or(0)
}

/// What is counted of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    #[serde(rename = "r")]
    pub rows: u64,
    #[serde(rename = "u")]
    pub unread: u64,
    #[serde(rename = "e")]
    pub entries: u64,
    #[serde(rename = "b")]
    pub size_bytes: u64,
}

impl Tally {
    pub fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.unread += other.unread;
        self.entries += other.entries;
        self.size_bytes += other.size_bytes;
    }
}

/// What was counted, and the marks that the partition had before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Counted {
    #[serde(rename = "m")]
    marks: Vec<(i64, i64)>,
    #[serde(rename = "t")]
    tally: Tally,
}

/// A partition as the table of partitions has it.
#[derive(Clone, Debug)]
pub struct Known {
    pub bucket: Bucket,
    pub row_estimate: i64,
    marks: Vec<(i64, i64)>,
    counted: Option<Counted>,
}

/// In the order of `bucket_columns`.
pub type KnownCells = (i64, Option<HashMap<i64, i64>>, Option<i64>, Option<Vec<u8>>);

impl Known {
    pub fn read(list: &str, level: u8, (start, marks, row_estimate, counted): KnownCells) -> Result<Self> {
        let mut marks: Vec<(i64, i64)> = marks.into_iter().flatten().collect();
        marks.sort_unstable();
        let read = |bytes: Vec<u8>| {
            rmp_serde::from_slice(&bytes)
                .map_err(|error| StoreError::Damaged(format!("a count can't be read: {error}")))
        };
        let counted = counted.map(read).transpose()?;
        let bucket = Bucket { list: list.to_owned(), level, start };
        Ok(Self { bucket, row_estimate: row_estimate.unwrap_or(0), marks, counted })
    }

    /// What was counted of it, if it has not changed since.
    pub fn tally(&self) -> Option<Tally> {
        self.counted.as_ref().filter(|counted| counted.marks == self.marks).map(|counted| counted.tally)
    }

    pub fn is_empty(&self) -> bool {
        self.tally().is_some_and(|tally| tally.rows == 0)
    }

    /// Remembers a count that was made after these marks were read. Of two counts the one with later marks stays: the
    /// sum of the marks is its write time.
    pub fn count(&self, statements: &Statements, tally: Tally) -> Result<Write> {
        let at = self.marks.iter().fold(1_i64, |sum, (_, mark)| sum.saturating_add(*mark));
        let counted = rmp_serde::to_vec(&Counted { marks: self.marks.clone(), tally })
            .map_err(|error| StoreError::Damaged(format!("a count can't be written: {error}")))?;
        let mut values = vec![bigint(at), blob(counted)];
        values.extend(self.bucket.key());
        Ok(Write { statement: statements.count_bucket.clone(), values })
    }
}

/// What one writer knows of the partitions it writes.
pub struct Book {
    writer: i64,
    last_mark: AtomicI64,
    bucket_rows: i64,
    rows: Mutex<HashMap<Bucket, i64>>,
}

impl Book {
    /// No two writers have the same number, ever.
    pub fn new(writer: i64, bucket_rows: i64) -> Self {
        Self { writer, last_mark: AtomicI64::new(0), bucket_rows, rows: Mutex::default() }
    }

    /// Whether another row goes into a partition, which then counts as there; `None` when the partition is not known.
    pub fn take_place(&self, bucket: &Bucket) -> Option<bool> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let known = rows.get_mut(bucket)?;
        let has_place = *known < self.bucket_rows;
        *known += i64::from(has_place);
        Some(has_place)
    }

    /// Beyond the last width there is no choice.
    pub fn squeeze_in(&self, bucket: &Bucket) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = rows.get_mut(bucket) {
            *known += 1;
        }
    }

    pub fn learn(&self, bucket: &Bucket, row_estimate: i64) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if rows.len() >= KNOWN_BUCKETS {
            rows.clear();
        }
        rows.entry(bucket.clone()).or_insert(row_estimate);
    }

    /// Says that a partition has changed, and how many rows it is thought to have.
    pub fn mark(&self, statements: &Statements, bucket: &Bucket) -> Vec<Write> {
        let mark = self.last_mark.fetch_add(1, Ordering::Relaxed) + 1;
        let mut values = vec![bigint(mark), bigint(self.writer), bigint(mark)];
        values.extend(bucket.key());
        let mut writes = vec![Write { statement: statements.mark_bucket.clone(), values }];
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).get(bucket).copied();
        if let Some(rows) = rows.filter(|rows| *rows > 0) {
            let mut values = vec![bigint(rows), bigint(rows)];
            values.extend(bucket.key());
            writes.push(Write { statement: statements.estimate_bucket.clone(), values });
        }
        writes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_in_one_partition_of_each_width() {
        for sort in [0, 1, -1, 1_700_000_000_000, i64::MAX, i64::MIN] {
            for level in 0..LEVELS {
                let bucket = Bucket::at("A", level, sort);
                assert!(bucket.start <= sort && sort <= bucket.last(), "{sort} {level}");
                assert_eq!(Bucket::at("A", level, bucket.last()), bucket);
            }
        }
    }

    #[test]
    fn a_count_holds_until_the_next_mark() {
        let marks = |marks: &[(i64, i64)]| Some(marks.iter().copied().collect());
        let tally = Tally { rows: 3, ..Tally::default() };
        let counted = rmp_serde::to_vec(&Counted { marks: vec![(1, 5), (2, 1)], tally }).unwrap();
        let known = |marks| Known::read("A", 0, (0, marks, None, Some(counted.clone()))).unwrap();
        assert_eq!(known(marks(&[(2, 1), (1, 5)])).tally(), Some(tally));
        for changed in [&[(1, 5), (2, 2)][..], &[(1, 5), (2, 1), (3, 1)], &[(1, 5)], &[]] {
            assert_eq!(known(marks(changed)).tally(), None, "{changed:?}");
        }
    }

    #[test]
    fn a_partition_takes_so_many_rows_and_no_more() {
        let (book, bucket) = (Book::new(1, 3), Bucket::at("A", 0, 0));
        assert_eq!(book.take_place(&bucket), None);
        book.learn(&bucket, 1);
        assert_eq!([(); 3].map(|()| book.take_place(&bucket)), [Some(true), Some(true), Some(false)]);
    }
}
