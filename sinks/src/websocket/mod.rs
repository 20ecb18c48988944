//! The websocket sink without its sockets: who listens for what, and one bounded queue for each of them. Whoever reads
//! the log publishes each record once, in order; a listener that can't keep up loses its queue and is told where to
//! begin again. It knows nothing of HTTP, of how frames look and of how a place in the log is written down.

mod hub;
mod outbox;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use accounts::Told;

pub use hub::{Hub, Limits, Rendered, Seat, TooMany};
pub use outbox::{Past, Taken};

/// Names of the metrics of this sink.
pub mod metric {
    pub const LISTENERS: &str = "postlog_websocket_listeners";
    pub const FRAMES: &str = "postlog_websocket_frames_total";
    pub const OVERFLOWS: &str = "postlog_websocket_overflows_total";
    pub const HELD_BYTES: &str = "postlog_websocket_held_bytes";
}

/// What somebody wants to hear of; names in their one spelling, and all of them its account's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub account: String,
    pub addresses: BTreeSet<String>,
    pub domains: BTreeSet<String>,
}

impl Listener {
    pub fn hears(&self, told: &Told) -> bool {
        self.account == told.owner
            && (!self.addresses.is_disjoint(&told.addresses) || !self.domains.is_disjoint(&told.domains))
    }
}
