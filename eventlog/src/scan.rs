//! Reading a part of a topic once, from places up to ends that were known beforehand, without a group.

use std::ops::ControlFlow;
use std::time::Duration;

use schemas::{Position, Record};
use tokio::time::Instant;

use crate::{Limits, Log, LogError, Result, Tail};

const BATCH: Limits = Limits { records: 500, bytes: 2 << 20, wait: Duration::from_millis(500) };
/// How long nothing may come though the end is not reached.
const SILENCE_LIMIT: Duration = Duration::from_secs(20);

/// Hands every record between `from` and `ends` to `take`, in order within a partition, until it breaks off. What can't
/// be read is passed over. A partition that has no end here is not read.
pub async fn scan(
    log: &dyn Log,
    from: Vec<Position>,
    ends: &[Position],
    mut take: impl FnMut(Record) -> ControlFlow<()> + Send,
) -> Result<()> {
    let mut scan = Scan::new(from, ends.to_vec());
    while let Some(records) = scan.next(log, &BATCH).await? {
        for record in records {
            if take(record).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The same batch by batch, for whoever has to wait in between.
pub struct Scan {
    left: Left,
    tail: Option<Box<dyn Tail>>,
}

impl Scan {
    pub fn new(from: Vec<Position>, ends: Vec<Position>) -> Self {
        let mut left = Left::new(from, ends);
        left.reached.retain(|place| left.ends.iter().any(|end| is_same_partition(end, place)));
        Self { left, tail: None }
    }

    /// The next records; `None` once every end is reached. Where nothing comes for long though records are left, that
    /// is a fault that may pass, and never an end.
    pub async fn next(&mut self, log: &dyn Log, limits: &Limits) -> Result<Option<Vec<Record>>> {
        let mut moved_at = Instant::now();
        while !self.left.is_done() {
            let tail = match &mut self.tail {
                Some(tail) => tail,
                none => none.insert(log.tail(&self.left.reached).await?),
            };
            let records = match tail.poll(limits).await {
                Err(LogError::BadRecord { position, .. }) => {
                    self.left.pass(position);
                    self.tail = None;
                    continue;
                }
                polled => polled?,
            };
            let wanted: Vec<Record> = records.into_iter().filter(|record| self.left.holds(record.position)).collect();
            if self.left.move_to(tail.as_ref()) {
                moved_at = Instant::now();
            } else if moved_at.elapsed() > SILENCE_LIMIT {
                return Err(LogError::Unavailable(format!("nothing comes within {SILENCE_LIMIT:?}")));
            }
            if !wanted.is_empty() {
                return Ok(Some(wanted));
            }
        }
        Ok(None)
    }

    /// Where it goes on in each partition.
    pub fn reached(&self) -> &[Position] {
        &self.left.reached
    }
}

/// What is still to be read before ends that were known beforehand.
#[derive(Clone, Debug)]
pub struct Left {
    ends: Vec<Position>,
    reached: Vec<Position>,
}

impl Left {
    pub const fn new(from: Vec<Position>, ends: Vec<Position>) -> Self {
        Self { ends, reached: from }
    }

    /// Whether the place lies before the end of its partition.
    pub fn holds(&self, place: Position) -> bool {
        self.ends.iter().any(|end| is_same_partition(end, &place) && place.offset < end.offset)
    }

    pub fn is_done(&self) -> bool {
        self.reached.iter().all(|place| !self.holds(*place))
    }

    /// Behind a record that can't be read.
    pub fn pass(&mut self, bad: Position) {
        self.advance(&[bad.next()]);
    }

    /// To where the tail stands; whether that is further on.
    pub fn move_to(&mut self, tail: &dyn Tail) -> bool {
        self.advance(&tail.positions())
    }

    fn advance(&mut self, to: &[Position]) -> bool {
        let mut moved = false;
        for place in &mut self.reached {
            let Some(now) = to.iter().find(|now| is_same_partition(now, place)) else { continue };
            if now.offset > place.offset {
                (place.offset, moved) = (now.offset, true);
            }
        }
        moved
    }
}

fn is_same_partition(one: &Position, other: &Position) -> bool {
    (one.topic, one.partition) == (other.topic, other.partition)
}
