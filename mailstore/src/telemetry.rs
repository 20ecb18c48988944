//! The names of this room's metrics, and how what is folded is counted.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::Topic;

/// Facts folded into the store, by topic.
pub const FACTS_APPLIED: &str = "postlog_store_facts_applied_total";
/// How long a batch took to fold, in seconds.
pub const APPLY_SECONDS: &str = "postlog_store_apply_seconds";
/// Messages whose last entry the sweep removed.
pub const SWEPT_MESSAGES: &str = "postlog_store_swept_messages_total";
/// Messages whose bytes the sweep copied out of the log.
pub const COPIED_MESSAGES: &str = "postlog_store_copied_out_messages_total";
/// Messages with something to show.
pub const MESSAGES: &str = "postlog_store_messages";
/// Bytes of the messages with something to show.
pub const MESSAGE_BYTES: &str = "postlog_store_message_bytes";

/// A batch that is folded, by topic, and how long that took. One that failed comes again, and is not counted before.
pub fn applied(facts: &BTreeMap<Topic, u64>, took: Duration) {
    for (topic, facts) in facts {
        metrics::counter!(FACTS_APPLIED, "topic" => topic.name()).increment(*facts);
    }
    metrics::histogram!(APPLY_SECONDS).record(took);
}

#[cfg(feature = "cql")]
pub use cql::*;

/// Of the body on CQL.
#[cfg(feature = "cql")]
mod cql {
    /// How long one try of a statement took on the cluster, in seconds, by kind (`read`, `write`).
    pub const CQL_SECONDS: &str = "postlog_store_cql_seconds";
    /// Tries that failed, by kind (`read`, `write`, `prepare`, `schema`).
    pub const CQL_ERRORS: &str = "postlog_store_cql_errors_total";
    /// Statements that were given to the cluster once more, by kind.
    pub const CQL_RETRIES: &str = "postlog_store_cql_retries_total";
    /// Messages that the sweep under way, or the last one, has looked at.
    pub const SWEEP_LOOKED_AT: &str = "postlog_store_sweep_looked_at";
}
