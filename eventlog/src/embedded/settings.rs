//! What may be set about the embedded log, with defaults that run.

use std::time::Duration;

use schemas::record::Partition;

/// Segments are addressed with 32 bits, and one group may overshoot.
const LARGEST_SEGMENT_BYTES: u64 = 1 << 30;

/// The embedded log's settings.
#[derive(Clone, Debug)]
pub struct EmbeddedSettings {
    /// Partitions of the topics that have many. Fixed when the log is made.
    pub partitions: Partition,
    /// Where the log is there already, the number that it was made with counts, and `partitions` is for a new one only.
    pub keep_partitions: bool,
    /// A segment of `mail.raw` is closed when it would grow over this.
    pub segment_bytes: u64,
    /// A segment is closed at the first append after this time, so that old mail can go.
    pub segment_age: Duration,
    /// The largest record: key, headers and value.
    pub max_record_bytes: usize,
    /// What may wait to be written, in bytes and in appends.
    pub queue_bytes: usize,
    pub queue_appends: usize,
    /// How long an append waits for its turn in the queue.
    pub append_wait: Duration,
    /// Mail is refused while the file system has less free space than this, commits below half of it, so that what
    /// was accepted may still be processed, and other appends below a quarter: mail can be deleted on a full disk.
    pub reserve_bytes: u64,
}

impl Default for EmbeddedSettings {
    fn default() -> Self {
        Self {
            partitions: 1,
            keep_partitions: false,
            segment_bytes: 64 << 20,
            segment_age: Duration::from_secs(24 * 60 * 60),
            max_record_bytes: schemas::codec::MAX_VALUE_BYTES,
            queue_bytes: 64 << 20,
            queue_appends: 1024,
            append_wait: Duration::from_secs(10),
            reserve_bytes: 256 << 20,
        }
    }
}

impl EmbeddedSettings {
    /// The same with every value where it can work.
    pub(super) fn clamped(mut self) -> Self {
        self.partitions = self.partitions.max(1);
        self.segment_bytes = self.segment_bytes.clamp(1, LARGEST_SEGMENT_BYTES);
        self.max_record_bytes = self.max_record_bytes.min(schemas::codec::MAX_VALUE_BYTES);
        self.queue_bytes = self.queue_bytes.clamp(1, 1 << 30);
        self.queue_appends = self.queue_appends.clamp(1, 1 << 20);
        self
    }
}
