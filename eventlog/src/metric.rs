//! The names of the log's metrics, in one place.

/// Counter, by `topic`: records that were appended or committed.
pub const APPENDED_RECORDS: &str = "postlog_log_appended_records_total";
/// Counter, by `topic`: their bytes, without the fixed part of a record.
pub const APPENDED_BYTES: &str = "postlog_log_appended_bytes_total";
/// Histogram, by `part` (`segments` or `facts`): the appends that shared one sync.
pub const GROUP_APPENDS: &str = "postlog_log_group_appends";
/// Histogram, by `part`: how long a sync took.
pub const SYNC_SECONDS: &str = "postlog_log_sync_seconds";
/// Histogram, by `group`: how long the commit of a batch took.
pub const COMMIT_SECONDS: &str = "postlog_log_commit_seconds";
/// Gauge, by `group`, `topic` and `partition`: records that stand on this process's partitions and were not handled yet;
/// 0 for a partition that has gone to another process.
pub const GROUP_LAG: &str = "postlog_log_group_lag_records";
/// Histogram, by `group`: records handled in one batch.
pub const BATCH_RECORDS: &str = "postlog_log_batch_records";
/// Counter, by `group`: records that could not be processed.
pub const DEAD_LETTERS: &str = "postlog_log_dead_letters_total";
/// Gauge: 1 when a failed write or sync has closed the log, else 0.
pub const CLOSED: &str = "postlog_log_closed";
/// Counter: appends that were refused because the disk is nearly full.
pub const REFUSED_FULL: &str = "postlog_log_refused_full_total";
/// Histogram, by `group`: how long a transaction on Kafka took.
pub const TRANSACTION_SECONDS: &str = "postlog_log_transaction_seconds";
/// Gauge: records that wait in the producer for Kafka's acknowledgement.
pub const PRODUCER_QUEUE: &str = "postlog_log_producer_queue_records";
/// Gauge: their bytes, without the fixed part of a record.
pub const PRODUCER_QUEUE_BYTES: &str = "postlog_log_producer_queue_bytes";
/// Counter, by `group`: how often Kafka has given this process partitions of a group.
pub const REBALANCES: &str = "postlog_log_rebalances_total";
/// Counter, by `group`: batches that were dropped, since their partitions had gone to another process meanwhile.
pub const MOVED_BATCHES: &str = "postlog_log_moved_batches_total";
