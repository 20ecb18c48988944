//! The suite that every body of the log passes: what the rest of the house leans on, one promise a function. A body's
//! tests call each of them with 1 and with 3 partitions.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a suite for tests")]

mod groups;
mod places;
mod records;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use schemas::record::{Header, Offset, Partition};
use schemas::{NewRecord, Position, Record, Topic};

use crate::{Limits, Log, Member, Tail};

pub use groups::*;
pub use places::*;
pub use records::*;

/// A place where a log can be made, left and found again.
#[async_trait]
pub trait Bench: Send + Sync {
    fn partitions(&self) -> Partition;

    /// The largest record that the log takes, by key, headers and value.
    fn max_record_bytes(&self) -> usize;

    /// Opens the log that is here, or makes it.
    async fn open(&self) -> Arc<dyn Log>;

    /// Ends the log as a stop does.
    async fn stop(&self, log: Arc<dyn Log>);

    /// Ends the log as `kill -9` does: nothing is said to it.
    async fn kill(&self, log: Arc<dyn Log>);
}

/// No record that is there needs as long; only a failing test waits for it.
const AT_MOST: Duration = Duration::from_secs(20);

/// Everything that is there, and not a moment's wait when there is nothing.
pub(crate) const NOW: Limits = Limits { records: 10_000, bytes: 64 << 20, wait: Duration::ZERO };
/// Waits until there is something.
pub(crate) const SOON: Limits = Limits { records: 10_000, bytes: 64 << 20, wait: AT_MOST };

/// A record of `topic` in this partition whose value is this text.
pub(crate) fn record(topic: Topic, partition: Partition, value: &str) -> NewRecord {
    NewRecord::new(topic, format!("key of {value}"), value.to_owned()).in_partition(partition)
}

/// The last partition: the first one where there is only one.
fn last_partition(bench: &dyn Bench) -> Partition {
    bench.partitions() - 1
}

/// Appends one record a call, so that each has a time of its own.
async fn append_each(log: &dyn Log, topic: Topic, partition: Partition, values: &[&str]) -> Vec<Position> {
    let mut positions = Vec::new();
    for value in values {
        positions.extend(log.append(vec![record(topic, partition, value)]).await.unwrap());
    }
    positions
}

pub(crate) fn texts(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| String::from_utf8_lossy(record.value.as_ref().unwrap()).into_owned()).collect()
}

/// Polls until there are `count` records.
async fn tail_of(tail: &mut dyn Tail, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    let deadline = Instant::now() + AT_MOST;
    while records.len() < count {
        // A poll may end without a record: the position has moved over what holds none.
        let more = tail.poll(&SOON).await.unwrap();
        assert!(!more.is_empty() || Instant::now() < deadline, "only {} of {count} records came", records.len());
        records.extend(more);
    }
    records
}

/// Polls until there are `count` records.
async fn poll_of(member: &mut dyn Member, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    let deadline = Instant::now() + AT_MOST;
    while records.len() < count {
        // A poll may end without a record: the position has moved over what holds none.
        let more = member.poll(&SOON).await.unwrap();
        assert!(!more.is_empty() || Instant::now() < deadline, "only {} of {count} records came", records.len());
        records.extend(more);
    }
    records
}

/// Everything from the earliest record to the end that the partition has now, without what holds no records.
async fn all_of(log: &dyn Log, topic: Topic, partition: Partition) -> Vec<String> {
    let bounds = log.bounds(topic).await.unwrap()[partition as usize];
    let mut tail = log.tail(&[at(topic, partition, bounds.earliest)]).await.unwrap();
    let mut records = Vec::new();
    let deadline = Instant::now() + AT_MOST;
    while tail.positions()[0].offset < bounds.end {
        assert!(Instant::now() < deadline, "the end does not come: {:?} of {bounds:?}", tail.positions());
        records.extend(tail.poll(&SOON).await.unwrap());
    }
    texts(&records)
}

fn at(topic: Topic, partition: Partition, offset: Offset) -> Position {
    Position::new(topic, partition, offset)
}

fn header(name: &str, value: &'static [u8]) -> Header {
    Header { name: name.to_owned(), value: Bytes::from_static(value) }
}

/// The two kinds of topics with many partitions: one is written by appends only, the other by commits as well.
const BOTH: [Topic; 2] = [Topic::MailRaw, Topic::MailActions];
