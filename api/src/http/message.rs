//! The message object, exactly as existing clients read it: every member is there, lists are never null.

use accounts::split_domain;
use mailstore::Entry;
use schemas::event::{Address, Attachment, Folder};
use serde::{Serialize, Serializer};

use super::time;

/// Borrowed from the entry, and written from it without a copy.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message<'a> {
    #[serde(rename = "_id")]
    id: &'a str,
    from: &'a [Address],
    to: &'a [Address],
    cc: &'a [Address],
    bcc: &'a [Address],
    subject: &'a str,
    /// The account that starred it.
    saved_by: Option<&'a str>,
    inbox: &'a str,
    original_inbox: &'a str,
    domain: &'a str,
    #[serde(serialize_with = "iso")]
    received: i64,
    /// Bytes of the message as it arrived.
    size: u64,
    #[serde(serialize_with = "checksums")]
    attachments: &'a [Attachment],
    /// The peer's; empty when the message was brought in.
    ip: &'a str,
    /// The server that received it.
    via: &'a str,
    folder: Folder,
    labels: &'a [String],
    read: bool,
    /// Whether it came over TLS.
    rtls: bool,
    links: &'a [String],
    /// 0.0 to 1.0.
    spam: f64,
}

impl<'a> From<&'a Entry> for Message<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self {
            id: &entry.id,
            from: &entry.from,
            to: &entry.to,
            cc: &entry.cc,
            bcc: &entry.bcc,
            subject: &entry.subject,
            saved_by: entry.saved_by.as_deref(),
            inbox: &entry.inbox,
            original_inbox: &entry.original_inbox,
            domain: split_domain(&entry.inbox).map_or("", |(_, domain)| domain),
            received: entry.received_at,
            size: entry.envelope.size_bytes,
            attachments: &entry.attachments,
            ip: entry.envelope.peer_ip.as_deref().unwrap_or_default(),
            via: &entry.envelope.received_by,
            folder: entry.folder,
            labels: &entry.labels,
            read: entry.read,
            rtls: entry.envelope.tls,
            links: &entry.links,
            // JSON has no other numbers; a score that is none says nothing.
            spam: if entry.spam.is_finite() { entry.spam } else { 0.5 },
        }
    }
}

/// An attachment's metadata.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttachmentData<'a> {
    checksum: &'a str,
    content_disposition: &'a str,
    content_id: &'a str,
    content_type: &'a str,
    file_name: &'a str,
    length: i64,
    transfer_encoding: &'a str,
}

impl<'a> From<&'a Attachment> for AttachmentData<'a> {
    fn from(attachment: &'a Attachment) -> Self {
        Self {
            checksum: &attachment.checksum,
            content_disposition: &attachment.content_disposition,
            content_id: &attachment.content_id,
            content_type: &attachment.content_type,
            file_name: &attachment.file_name,
            length: attachment.length_bytes,
            transfer_encoding: &attachment.transfer_encoding,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn iso<S: Serializer>(ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time::iso(*ms))
}

fn checksums<S: Serializer>(attachments: &[Attachment], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(attachments.iter().map(|attachment| &attachment.checksum))
}
