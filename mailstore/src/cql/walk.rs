//! Reading a list through its partitions, in order. Partitions of different widths overlap: those that may hold the
//! next row are read side by side and merged. It knows places, and nothing of what stands there.

use std::collections::VecDeque;

use futures::future::try_join_all;

use super::bucket::{Bucket, Known, KnownCells, LEVELS};
use super::client::{bigint, int, text};
use super::tables::Tables;
use crate::{Result, StoreError};

/// Partitions whose places are read at once, for each width of a list.
const BUCKETS_AHEAD: i32 = 64;
/// Partitions that are opened at once to begin with, and how many at most when those have ended.
const FIRST_OPENED: usize = LEVELS as usize;
const MOST_OPENED: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    NewestFirst,
    OldestFirst,
}

/// Where a row stands in a list: sorted by time or place, then id, then index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub sort: i64,
    pub id: String,
    pub index: i32,
}

impl Place {
    /// Behind every place of this time.
    pub fn after_all_of(sort: i64) -> Self {
        Self { sort, id: "~".to_owned(), index: i32::MAX }
    }

    pub const fn before_all_of(sort: i64) -> Self {
        Self { sort, id: String::new(), index: i32::MIN }
    }
}

pub struct Found {
    pub place: Place,
    pub entry: Option<Vec<u8>>,
}

type FoundCells = (i64, String, i32, Option<Vec<u8>>);

/// A reader of one or several lists as if they were one.
pub struct Walk<'a> {
    tables: &'a Tables,
    direction: Direction,
    /// The last place that was given out, or where it began: what is read next lies behind it.
    at: Place,
    widths: Vec<Width>,
    open: Vec<Open>,
    opened_at_once: usize,
}

/// The partitions of one width of one list that are not opened yet.
struct Width {
    list: String,
    level: u8,
    waiting: VecDeque<Bucket>,
    /// Where the next ones are read from; `None` when there are no more.
    next: Option<i64>,
}

struct Open {
    bucket: Bucket,
    rows: VecDeque<Found>,
    has_more: bool,
    /// The last place that was read.
    last: Place,
}

impl<'a> Walk<'a> {
    /// Begins behind this place.
    pub fn new(tables: &'a Tables, lists: &[String], direction: Direction, from: Place) -> Self {
        let width = |list: &String, level| {
            let next = match direction {
                Direction::NewestFirst => Some(from.sort),
                Direction::OldestFirst => Some(Bucket::at(list, level, from.sort).start),
            };
            Width { list: list.clone(), level, waiting: VecDeque::new(), next }
        };
        let widths = lists.iter().flat_map(|list| (0..LEVELS).map(move |level| width(list, level))).collect();
        Self { tables, direction, at: from, widths, open: Vec::new(), opened_at_once: FIRST_OPENED }
    }

    /// The next rows, no more than `limit`; none at the end.
    pub async fn next(&mut self, limit: usize) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        while found.len() < limit {
            self.refill(limit - found.len()).await?;
            let Some(next) = self.next_open() else { break };
            let Some(row) = self.open.get_mut(next).and_then(|open| open.rows.pop_front()) else { break };
            self.at = row.place.clone();
            found.push(row);
        }
        Ok(found)
    }

    /// Until the next row is known: every partition that may hold it is open and has been read so far.
    async fn refill(&mut self, limit: usize) -> Result<()> {
        loop {
            self.read_open(limit).await?;
            self.open.retain(|open| !open.rows.is_empty());
            self.look_ahead().await?;
            let best = self.next_open().and_then(|next| self.open.get(next)?.rows.front()).map(|row| row.place.sort);
            let opened = self.open_before(best);
            if opened == 0 {
                return Ok(());
            }
        }
    }

    /// Reads on in the partitions that have nothing left.
    async fn read_open(&mut self, limit: usize) -> Result<()> {
        let (tables, direction) = (self.tables, self.direction);
        let limit = i32::try_from(limit.max(1)).unwrap_or(i32::MAX);
        let mut reads = Vec::new();
        for open in &mut self.open {
            if open.rows.is_empty() && open.has_more {
                reads.push(open.read(tables, direction, limit));
            }
        }
        try_join_all(reads).await.map(drop)
    }

    async fn look_ahead(&mut self) -> Result<()> {
        let (tables, direction) = (self.tables, self.direction);
        let mut reads = Vec::new();
        for width in &mut self.widths {
            if width.waiting.is_empty() && width.next.is_some() {
                reads.push(width.look_ahead(tables, direction));
            }
        }
        try_join_all(reads).await.map(drop)
    }

    /// Opens the partitions that may hold a row before this one, or the next few where there is none.
    fn open_before(&mut self, best: Option<i64>) -> usize {
        let mut opened = 0;
        loop {
            let nearest = |width: &&mut Width| width.waiting.front().map(|bucket| self.direction.first(bucket));
            let next = match self.direction {
                Direction::NewestFirst => self.widths.iter_mut().max_by_key(|width| nearest(width)),
                Direction::OldestFirst => {
                    let waiting = self.widths.iter_mut().filter(|width| !width.waiting.is_empty());
                    waiting.min_by_key(|width| nearest(width))
                }
            };
            let Some(width) = next else { break };
            let Some(bucket) = width.waiting.front() else { break };
            let may_hold = best.is_none_or(|best| !self.direction.is_before(best, self.direction.first(bucket)));
            if !may_hold || (best.is_none() && opened >= self.opened_at_once) {
                break;
            }
            let Some(bucket) = width.waiting.pop_front() else { break };
            self.open.push(Open { bucket, rows: VecDeque::new(), has_more: true, last: self.at.clone() });
            opened += 1;
            if width.waiting.is_empty() && width.next.is_some() {
                // What comes behind it is not known yet.
                break;
            }
        }
        if best.is_none() {
            self.opened_at_once = (2 * self.opened_at_once).min(MOST_OPENED);
        }
        opened
    }

    fn next_open(&self) -> Option<usize> {
        let rows = self.open.iter().enumerate().filter_map(|(index, open)| Some((&open.rows.front()?.place, index)));
        let next = match self.direction {
            Direction::NewestFirst => rows.max(),
            Direction::OldestFirst => rows.min(),
        };
        next.map(|(_, index)| index)
    }
}

impl Direction {
    /// The first place that a partition may have, in this direction.
    fn first(self, bucket: &Bucket) -> i64 {
        match self {
            Self::NewestFirst => bucket.last(),
            Self::OldestFirst => bucket.start,
        }
    }

    const fn is_before(self, one: i64, other: i64) -> bool {
        match self {
            Self::NewestFirst => one > other,
            Self::OldestFirst => one < other,
        }
    }
}

impl Width {
    async fn look_ahead(&mut self, tables: &Tables, direction: Direction) -> Result<()> {
        while let Some(from) = self.next.filter(|_| self.waiting.is_empty()) {
            let statement = match direction {
                Direction::NewestFirst => &tables.statements.newest_buckets,
                Direction::OldestFirst => &tables.statements.oldest_buckets,
            };
            let values = [text(&*self.list), int(self.level.into()), bigint(from), int(BUCKETS_AHEAD)];
            let cells = tables.client().rows::<KnownCells>(statement, &values).await?;
            let is_last = cells.len() < usize::try_from(BUCKETS_AHEAD).unwrap_or(0);
            let mut last = from;
            for cells in cells {
                let known = Known::read(&self.list, self.level, cells)?;
                last = known.bucket.start;
                if !known.is_empty() {
                    self.waiting.push_back(known.bucket);
                }
            }
            let next = match direction {
                Direction::NewestFirst => last.checked_sub(1),
                Direction::OldestFirst => last.checked_add(1),
            };
            self.next = next.filter(|_| !is_last);
        }
        Ok(())
    }
}

impl Open {
    async fn read(&mut self, tables: &Tables, direction: Direction, limit: i32) -> Result<()> {
        let statement = match direction {
            Direction::NewestFirst => &tables.statements.newest_entries,
            Direction::OldestFirst => &tables.statements.oldest_listed,
        };
        let mut values = self.bucket.key().to_vec();
        values.extend([bigint(self.last.sort), text(&*self.last.id), int(self.last.index), int(limit)]);
        let rows = tables.client().rows::<FoundCells>(statement, &values).await?;
        self.has_more = rows.len() >= usize::try_from(limit).unwrap_or(0);
        for (sort, id, index, entry) in rows {
            self.rows.push_back(Found { place: Place { sort, id, index }, entry });
        }
        if let Some(last) = self.rows.back() {
            self.last = last.place.clone();
        }
        Ok(())
    }
}

impl Place {
    pub fn message(&self) -> Result<schemas::MessageId> {
        self.id.parse().map_err(|_| StoreError::Damaged(format!("{:?} is no message's id", self.id)))
    }
}
