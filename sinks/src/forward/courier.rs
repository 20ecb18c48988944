//! What is delivered, and the one who carries it: webhook, Slack and the copy to another address are a courier each.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use mailstore::Entry;
use schemas::event::{ForwardDue, ForwardKind, ForwardPayload};

/// What is kept of an answer's body.
pub const MAX_ANSWER_BYTES: usize = 4096;
/// What is kept of a cause.
pub const MAX_CAUSE_BYTES: usize = 1024;

/// One call that is to be made. The store shows the entry; its text, headers and bytes are the courier's to fetch.
#[derive(Clone, PartialEq)]
pub struct Delivery {
    /// `due.delivery_id` is the same at every attempt.
    pub due: ForwardDue,
    pub kind: ForwardKind,
    /// The URL or address, opened: it goes into no log line, metric, cause or answer.
    pub target: String,
    pub payload: ForwardPayload,
    /// What a webhook's call is signed with, each, the newest first.
    pub secrets: Vec<String>,
    pub slack_to_from: bool,
    pub entry: Entry,
    /// Whose forward it is.
    pub account: String,
}

impl Delivery {
    /// Which attempt this is, from 1.
    pub const fn attempt(&self) -> i32 {
        self.due.attempts.saturating_add(1)
    }
}

/// Without the target and the secrets.
impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("due", &self.due)
            .field("kind", &self.kind)
            .field("payload", &self.payload)
            .field("entry", &self.entry.id)
            .finish_non_exhaustive()
    }
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempted {
    pub outcome: Called,
    /// The HTTP status or SMTP code of the answer, if there was one.
    pub status: Option<i32>,
    /// The start of the answer's body; what is above [`MAX_ANSWER_BYTES`] is cut.
    pub answer: String,
}

/// How a call ended, named for what follows. A cause names neither the target nor a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Called {
    Delivered,
    /// To be tried again, not before `retry_after` has passed if the answer asked for that.
    Later {
        retry_after: Option<Duration>,
        cause: String,
    },
    /// Never to be tried again. `off`: the receiver wants nothing of this forward any more, and it is switched off.
    Refused {
        cause: String,
        off: bool,
    },
    /// Nothing was sent, since the entry went meanwhile.
    Dropped {
        cause: String,
    },
}

impl Attempted {
    /// A call that got no answer.
    pub const fn unanswered(outcome: Called) -> Self {
        Self { outcome, status: None, answer: String::new() }
    }

    /// A call that ended without an answer and is made again.
    pub fn later(cause: impl Into<String>) -> Self {
        Self::unanswered(Called::Later { retry_after: None, cause: cause.into() })
    }
}

/// Makes one call. It retries nothing and keeps nothing: schedule, order and limits are not its business.
#[async_trait]
pub trait Courier: Send + Sync + 'static {
    /// May be cut off at any await, and be asked again for the same delivery.
    async fn deliver(&self, delivery: &Delivery) -> Attempted;
}
