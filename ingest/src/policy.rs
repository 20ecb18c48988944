//! What a peer may do here, in numbers and names; nothing that a peer controls is without a limit.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use wire::Caps;

/// Mail for these is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Domains {
    #[default]
    Every,
    /// In lower case.
    Listed(BTreeSet<String>),
}

impl Domains {
    /// Whether mail for this domain is taken; a recipient without domain is this server's postmaster.
    pub fn accept(&self, domain: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Listed(listed) => domain.is_empty() || listed.contains(&domain.to_lowercase()),
        }
    }
}

/// Whether the log has room for mail, asked before a peer sends any. All are alike when settings are compared: it is no
/// number or name, but what an assembled server knows.
#[derive(Clone)]
pub struct Room(Arc<dyn Fn() -> bool + Send + Sync>);

impl Room {
    pub fn new(ask: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    pub fn is_there(&self) -> bool {
        (self.0)()
    }
}

impl Default for Room {
    fn default() -> Self {
        Self::new(|| true)
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Room")
    }
}

impl PartialEq for Room {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Room {}

/// How this door behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What the server calls itself, and `received_by` in the event.
    pub server_name: String,
    pub domains: Domains,
    /// The largest message, as announced with SIZE. Not more than the log takes.
    pub message_bytes: u64,
    /// Of one message; at least 100 (RFC 5321 4.5.3.1.8).
    pub recipients: usize,
    /// Of one command, CRLF included. RFC 5321 4.5.3.1.4 wants 512, and its extensions more.
    pub line_bytes: usize,
    /// Commands refused for good in one session.
    pub errors: u32,
    /// Commands since the session began or since its last accepted message, but for chunks that a message is made of.
    /// More than the recipients.
    pub commands_without_mail: u32,
    /// Servers that a message came through (RFC 5321 6.3).
    pub hops: usize,
    pub connections: Caps,
    /// Without it, MAIL, DATA and the first BDAT are refused for now (452 4.3.1).
    pub room: Room,
    /// Of messages that are not on the log yet, over all sessions; the first 16 KiB of each don't count, so that a few
    /// large and slow ones can't keep out the small. At least `message_bytes`.
    pub buffered_bytes: usize,
    /// For room in that.
    pub buffer_wait: Duration,
    /// For the next command, whole (RFC 5321 4.5.3.2.7 wants five minutes).
    pub command_wait: Duration,
    /// For any next part of a message (RFC 5321 4.5.3.2.5 wants three minutes).
    pub content_wait: Duration,
    /// How far a message may lag behind its minimum rate.
    pub content_grace: Duration,
    /// The minimum rate of a message.
    pub content_bytes_per_second: u32,
    /// Of a whole session, whatever it does.
    pub session_time: Duration,
    /// For the log to take a message. A peer waits ten minutes (RFC 5321 4.5.3.2.6).
    pub append_wait: Duration,
    /// For the peer to take the last replies.
    pub farewell_wait: Duration,
    /// For sessions inside a transaction when the server stops.
    pub shutdown_wait: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server_name: "localhost".to_owned(),
            domains: Domains::Every,
            message_bytes: 25 * 1024 * 1024,
            recipients: 1000,
            line_bytes: 2048,
            errors: 20,
            commands_without_mail: 2000,
            hops: 100,
            connections: Caps { total: 1000, per_address: 300, per_network: 600 },
            room: Room::default(),
            buffered_bytes: 64 * 1024 * 1024,
            buffer_wait: Duration::from_secs(10),
            command_wait: Duration::from_secs(300),
            content_wait: Duration::from_secs(180),
            content_grace: Duration::from_secs(180),
            content_bytes_per_second: 1024,
            session_time: Duration::from_secs(3600),
            append_wait: Duration::from_secs(120),
            farewell_wait: Duration::from_secs(1),
            shutdown_wait: Duration::from_secs(10),
        }
    }
}

/// How many servers the message says that it came through: the Received fields of its header section.
pub fn hops(content: &[u8]) -> usize {
    const FIELD: &[u8] = b"received:";
    let (mut count, mut rest) = (0, content);
    while !rest.is_empty() && !rest.starts_with(b"\r\n") {
        if rest.get(..FIELD.len()).is_some_and(|head| head.eq_ignore_ascii_case(FIELD)) {
            count += 1;
        }
        let Some(end) = memchr::memchr(b'\n', rest) else { break };
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn received_fields_count_in_the_header_section_only() {
        let mail = b"Received: a\r\n b\r\nX-Received: c\r\nRECEIVED:d\r\nSubject: Received: e\r\n\r\nReceived: f\r\n";
        assert_eq!(hops(mail), 2);
        assert_eq!(hops(b""), 0);
        assert_eq!(hops(b"\r\nReceived: a\r\n"), 0);
        assert_eq!(hops(b"Received: without an end"), 1);
    }

    #[test]
    fn listed_domains_are_taken_in_any_case_and_others_are_not() {
        let listed = Domains::Listed(BTreeSet::from(["example.com".to_owned()]));
        assert!(listed.accept("Example.COM"));
        assert!(listed.accept(""), "the postmaster");
        assert!(!listed.accept("sub.example.com"));
        assert!(Domains::Every.accept("anything.example"));
    }
}
