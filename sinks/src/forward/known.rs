//! What the book keeps of a delivery: ids and times.

use std::sync::Arc;

use schemas::MessageId;
use schemas::event::ForwardDue;
use schemas::record::{Offset, Partition};

use super::queue::Times;

/// What is known of a delivery.
#[derive(Debug)]
pub(super) struct Known {
    pub partition: Partition,
    /// Of the record that said so last.
    pub offset: Offset,
    /// Whether that record has come back from the log. Until then a delivery that has ended is remembered, so that the
    /// records before its end don't bring it back.
    pub seen: bool,
    /// Whether its partition went to another engine while it was in flight.
    pub lost: bool,
    /// `None` once it has ended.
    pub due: Option<Due>,
    pub flight: Option<Flight>,
}

#[derive(Debug)]
pub(super) struct Due {
    pub forward: Arc<str>,
    pub message_id: MessageId,
    pub index: i32,
    pub next_at: i64,
    pub attempts: i32,
    pub origin: Box<str>,
    pub times: Times,
    /// Since when it has been due.
    pub since_ms: i64,
}

#[derive(Debug)]
pub(super) struct Flight {
    pub forward: Arc<str>,
    pub struggled: bool,
}

impl Due {
    pub fn new(event: ForwardDue, forward: Arc<str>, at_once_ms: i64, since_ms: Option<i64>) -> Self {
        let asked_for = !event.origin.is_empty();
        let times = Times {
            due_at_ms: if event.next_at > 0 { event.next_at } else { at_once_ms },
            arrived_at_ms: event.arrived_at,
            routed_offset: event.routed_offset,
            asked_for,
        };
        Self {
            forward,
            message_id: event.message_id,
            index: event.index,
            next_at: event.next_at,
            attempts: event.attempts,
            origin: event.origin.into(),
            times,
            since_ms: if asked_for { since_ms.unwrap_or(at_once_ms) } else { event.arrived_at },
        }
    }

    pub fn as_event(&self, id: &str) -> ForwardDue {
        ForwardDue {
            delivery_id: id.to_owned(),
            forward: self.forward.to_string(),
            message_id: self.message_id.clone(),
            index: self.index,
            routed_offset: self.times.routed_offset,
            arrived_at: self.times.arrived_at_ms,
            next_at: self.next_at,
            attempts: self.attempts,
            origin: self.origin.to_string(),
        }
    }
}
