//! `mail.parsed`: what a message says.

use serde::{Deserialize, Serialize};

use crate::MessageId;

/// What a message says, as far as it could be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailParsed {
    pub message_id: MessageId,
    /// The offset of the message on `mail.raw`, in the same partition.
    pub raw_offset: i64,
    pub headers: Vec<HeaderField>,
    pub from: Vec<Address>,
    pub to: Vec<Address>,
    pub cc: Vec<Address>,
    pub bcc: Vec<Address>,
    pub reply_to: Vec<Address>,
    pub subject: String,
    /// The Date header, in milliseconds since 1970.
    pub date: Option<i64>,
    /// The text part, cut at a stated size.
    pub text: Option<String>,
    pub text_cut: bool,
    /// The HTML part, cut at a stated size.
    pub html: Option<String>,
    pub html_cut: bool,
    /// The addresses of links in text and HTML, each once, in order.
    pub links: Vec<String>,
    pub attachments: Vec<Attachment>,
    /// Of the message as it arrived.
    pub size_bytes: i64,
    /// What could not be read, and why; empty for a sound message.
    pub problems: Vec<String>,
}

/// A header field, unfolded; names repeat and keep their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderField {
    pub name: String,
    pub value: String,
}

/// A mailbox of an address header; what is missing is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    pub address: String,
    pub name: String,
}

/// An attachment's description; its bytes stay in the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// MD5 of the decoded bytes, in hexadecimal: the name that existing clients ask for it by.
    pub checksum: String,
    pub content_type: String,
    pub content_disposition: String,
    pub content_id: String,
    pub file_name: String,
    pub transfer_encoding: String,
    pub length_bytes: i64,
}
