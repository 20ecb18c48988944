//! The log: topics, partitions, offsets and groups, behind one trait with two bodies (embedded, and on Kafka), and
//! the runner, which alone moves positions. It knows nothing of what the records mean.

#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod cursor;
pub mod embedded;
pub mod follow;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod metric;
pub mod partition;
pub mod progress;
pub mod runner;
pub mod scan;

use std::time::Duration;

use async_trait::async_trait;
use schemas::record::{Offset, Partition};
use schemas::{NewRecord, Position, Record, Topic};

pub use cursor::{Cursor, CursorError};
pub use follow::Follower;
pub use progress::Progress;
pub use scan::{Scan, scan};

/// The log's name for itself, drawn when it is made. A store remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogId(pub String);

/// What a partition holds: offsets from `earliest` up to, not including, `end`. There may be gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub partition: Partition,
    pub earliest: Offset,
    pub end: Offset,
}

/// How much a poll may bring, and how long it may wait for the first record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub records: usize,
    /// At least one record comes, however big it is.
    pub bytes: usize,
    pub wait: Duration,
}

/// Named for what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// No room: refuse for now (452) and ask again.
    #[error("the log has no room: {0}")]
    Full(String),
    /// A record is over what the log takes: it will never fit.
    #[error("a record of {size_bytes} bytes is over the log's limit of {limit_bytes}")]
    TooLarge { size_bytes: usize, limit_bytes: usize },
    /// The log can't be written for now; what was to be appended is not on it, as far as can be told.
    #[error("the log is not available: {0}")]
    Unavailable(String),
    /// What was polled may belong to another member by now: drop what was computed from it and poll on. The member
    /// stays, and nothing was written.
    #[error("what was read is not this member's any more: {0}")]
    Moved(String),
    /// Somebody else took this member's place in the group: stop, drop what was computed.
    #[error("another member of the group {0} has taken over")]
    Fenced(String),
    /// The position is not on the log any more, or never was: stop; positions are never reset silently.
    #[error("{topic}/{partition} holds offsets {earliest} to {end}, and the position is {offset}", topic = .position.topic, partition = .position.partition, offset = .position.offset)]
    OutOfRange { position: Position, earliest: Offset, end: Offset },
    /// The call can't succeed, now or later: the caller is mistaken.
    #[error("the log refuses the call: {0}")]
    Refused(String),
    /// What stands at this place is not what was written: what is behind it can be read.
    #[error("{topic}/{partition}/{offset} can't be read: {cause}", topic = .position.topic, partition = .position.partition, offset = .position.offset)]
    BadRecord { position: Position, cause: String },
    /// What is on the disk is not what was written.
    #[error("the log is damaged: {0}")]
    Damaged(String),
}

impl LogError {
    /// Whether the same call may succeed later.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Unavailable(_) | Self::Moved(_))
    }
}

pub type Result<T> = std::result::Result<T, LogError>;

/// A message log.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    fn id(&self) -> &LogId;

    /// Appends the records, in their order in each partition, and returns their places once they are durable and readable.
    /// After a failure the embedded log has all or none of a partition's, and Kafka may have any of them.
    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<Position>>;

    /// Joins a group as a reader of these topics, at the group's positions, or at the earliest record where it has none.
    /// A member that was there before is fenced.
    async fn join(&self, group: &str, topics: &[Topic]) -> Result<Box<dyn Member>>;

    /// Reads without a group, from these positions on.
    async fn tail(&self, from: &[Position]) -> Result<Box<dyn Tail>>;

    /// What each partition of the topic holds now, in order of partition.
    async fn bounds(&self, topic: Topic) -> Result<Vec<Bounds>>;

    /// In each partition, the first record that the log took at this time or later; the end where there is none.
    async fn offsets_at(&self, topic: Topic, timestamp_ms: i64) -> Result<Vec<Position>>;

    /// Gives up what lies before these positions. Space comes back at the log's leisure.
    async fn truncate(&self, before: &[Position]) -> Result<()>;

    /// Where the group stands; partitions that it has never committed are left out.
    async fn committed(&self, group: &str) -> Result<Vec<Position>>;
}

/// A reader in a group.
#[async_trait]
pub trait Member: Send {
    /// The next records in order of offset within each partition; empty when none came in time, or when the positions
    /// have moved over what holds no records.
    async fn poll(&mut self, limits: &Limits) -> Result<Vec<Record>>;

    /// Appends the outputs and moves the group's positions, both or neither. Outputs are readable when it returns (on
    /// Kafka within milliseconds: its brokers end a transaction after they have answered for it), and need not be
    /// durable: they can be computed again. A member goes on at a position that is ahead of what it has
    /// polled: so it gets past a record that can't be read.
    async fn commit(&mut self, outputs: Vec<NewRecord>, positions: &[Position]) -> Result<()>;

    /// Where it goes on in each partition that it has now: behind what it was given, and behind what holds no records.
    fn positions(&self) -> Vec<Position>;
}

/// A reader without a group.
#[async_trait]
pub trait Tail: Send {
    /// As [`Member::poll`].
    async fn poll(&mut self, limits: &Limits) -> Result<Vec<Record>>;

    /// As [`Member::positions`]. At the end of a partition it is the end, whatever stands there last.
    fn positions(&self) -> Vec<Position>;
}

/// A log whose readers share its partitions among them.
#[async_trait]
pub trait Shares: Log {
    /// Joins a group for its share of these topics' partitions. Positions are not the group's: whoever is given a
    /// partition goes on where `starts` says, or at the earliest record where it says nothing. The partitions of
    /// [`Tail::positions`] are those that the reader has now; they change as others come and go, and what it reads
    /// after it was frozen, others may have read meanwhile.
    async fn share(&self, group: &str, topics: &[Topic], starts: std::sync::Arc<dyn Starts>) -> Result<Box<dyn Tail>>;
}

/// Positions that are kept elsewhere than on the log.
#[async_trait]
pub trait Starts: Send + Sync + 'static {
    /// As they stand now.
    async fn positions(&self) -> Result<Vec<Position>>;
}
