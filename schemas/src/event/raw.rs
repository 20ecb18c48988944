//! `mail.raw`: a message as it arrived.

use serde::{Deserialize, Serialize};

use crate::MessageId;

/// A message as it arrived: the envelope as the door saw it, and the bytes, untouched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailRaw {
    pub message_id: MessageId,
    /// Milliseconds since 1970.
    pub arrived_at: i64,
    pub door: Door,
    pub peer: Option<Peer>,
    /// The name under which this server received it.
    pub received_by: String,
    /// What the peer said at EHLO or HELO.
    pub helo: Option<String>,
    /// Whether the peer greeted with EHLO.
    pub esmtp: bool,
    pub tls: Option<Tls>,
    /// The account that logged in.
    pub login: Option<String>,
    /// The reverse-path without its brackets; empty for the null sender.
    pub mail_from: String,
    /// Every forward-path that was accepted, as it was sent, in order.
    pub recipients: Vec<String>,
    /// Whether MAIL asked for SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// The mail, CRLF line ends, dot-stuffing removed.
    #[serde(with = "crate::octets")]
    pub content: Vec<u8>,
}

/// By which door a message came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Door {
    Smtp,
    Submission,
    Ingest,
}

/// The far end of the connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    pub ip: String,
    pub port: i32,
}

/// The TLS session that the message came over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    pub protocol: String,
    pub cipher: String,
}
