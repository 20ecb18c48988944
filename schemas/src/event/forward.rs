//! `forward.due` and `forward.attempts`: deliveries that have to be made, and what became of each attempt.

use serde::{Deserialize, Serialize};

use crate::MessageId;

/// A delivery that has to be made. A later record replaces the earlier one; a tombstone ends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardDue {
    /// The same at every attempt: derived from message, forward and origin.
    pub delivery_id: String,
    /// The id of the forward, as on `accounts`.
    pub forward: String,
    pub message_id: MessageId,
    /// The entry of the message that the forward applies to first.
    pub index: i32,
    /// The offset on `mail.routed`, in the same partition, of the record that made it due.
    pub routed_offset: i64,
    /// Milliseconds since 1970, as on `mail.raw`.
    pub arrived_at: i64,
    /// When the next attempt is due, in milliseconds since 1970; 0 is at once.
    pub next_at: i64,
    /// Attempts made so far.
    pub attempts: i32,
    /// Empty for a mail that arrived; otherwise the backfill, redelivery or test that asked for it.
    pub origin: String,
}

/// An attempt to deliver, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardAttempt {
    pub delivery_id: String,
    pub forward: String,
    pub message_id: MessageId,
    pub index: i32,
    /// Counts the attempts of the delivery, from 1; 0 where none was made.
    pub attempt: i32,
    /// Milliseconds since 1970.
    pub at: i64,
    pub duration_ms: i64,
    pub outcome: AttemptOutcome,
    /// The HTTP status or SMTP code of the answer.
    pub status: Option<i32>,
    /// Why it did not succeed; empty when it did.
    pub cause: String,
    /// The start of the answer's body, at most 4096 bytes.
    pub answer: String,
    /// When it is tried again, in milliseconds since 1970.
    pub next_at: Option<i64>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AttemptOutcome {
    Delivered,
    /// To be tried again.
    Later,
    /// Never to be tried again.
    Refused,
    /// The last of the attempts failed.
    Exhausted,
    /// Not sent, since the entry or the forward is gone.
    Dropped,
    /// What a program reads that is older than the outcome.
    Unknown,
}
