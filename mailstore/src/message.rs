//! An entry as the world outside reads it: the message object of the HTTP API, of webhooks and of websocket frames.
//! Every member is there, and lists are never null.

use std::fmt::Write as _;

use schemas::event::{Address, Attachment, Folder};
use serde::{Serialize, Serializer};

use crate::Entry;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// 9999-12-31T23:59:59.999Z: later times have no four digits.
const LATEST_MS: i64 = 253_402_300_799_999;

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
    #[serde(serialize_with = "as_iso")]
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
            domain: entry.inbox.rsplit_once('@').map_or("", |(_, domain)| domain),
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

/// Milliseconds since 1970 as `2020-07-05T22:25:41.408Z`.
pub fn iso(ms: i64) -> String {
    let ms = ms.clamp(0, LATEST_MS);
    let ((year, month, day), in_day) = (civil_from_days(ms / DAY_MS), ms % DAY_MS);
    let (hour, minute, second, milli) = (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1000 % 60, in_day % 1000);
    let mut text = String::with_capacity(24);
    let _ = write!(text, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z");
    text
}

/// Year, month and day, so many days after 1970-01-01: the Gregorian calendar by eras of 400 years that begin in March (H. Hinnant's `civil_from_days`).
pub const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + if month <= 2 { 1 } else { 0 }, month, day)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn as_iso<S: Serializer>(ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&iso(*ms))
}

fn checksums<S: Serializer>(attachments: &[Attachment], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(attachments.iter().map(|attachment| &attachment.checksum))
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;
    use crate::Envelope;

    fn entry() -> Entry {
        let address = |address: &str, name: &str| Address { address: address.to_owned(), name: name.to_owned() };
        Entry {
            id: "01-0".to_owned(),
            inbox: "ann@example.org".to_owned(),
            original_inbox: "ann+tag@example.org".to_owned(),
            recipients: vec!["ann+tag@example.org".to_owned()],
            received_at: 1_593_987_941_408,
            envelope: Envelope { tls: true, size_bytes: 7, ..Envelope::default() },
            from: vec![address("bob@example.com", "")],
            to: vec![address("ann+tag@example.org", "Ann")],
            cc: Vec::new(),
            bcc: Vec::new(),
            subject: String::new(),
            links: vec!["https://example.com/".to_owned()],
            attachments: vec![Attachment {
                checksum: "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
                content_type: "text/plain".to_owned(),
                content_disposition: String::new(),
                content_id: String::new(),
                file_name: "a".to_owned(),
                transfer_encoding: String::new(),
                length_bytes: 0,
            }],
            problems: Vec::new(),
            spam: f64::NAN,
            folder: Folder::Inbox,
            delivered_to: Folder::Inbox,
            read: false,
            saved_by: None,
            labels: Vec::new(),
        }
    }

    #[test]
    fn a_message_has_every_member_that_clients_read() {
        let expected = json!({
            "_id": "01-0", "from": [{"address": "bob@example.com", "name": ""}],
            "to": [{"address": "ann+tag@example.org", "name": "Ann"}], "cc": [], "bcc": [], "subject": "",
            "savedBy": null, "inbox": "ann@example.org", "originalInbox": "ann+tag@example.org",
            "domain": "example.org", "received": "2020-07-05T22:25:41.408Z", "size": 7,
            "attachments": ["d41d8cd98f00b204e9800998ecf8427e"], "ip": "", "via": "", "folder": "inbox",
            "labels": [], "read": false, "rtls": true, "links": ["https://example.com/"], "spam": 0.5,
        });
        assert_eq!(to_value(Message::from(&entry())).unwrap(), expected);
    }

    #[test]
    fn times_are_written_as_clients_read_them() {
        assert_eq!(iso(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(-5), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(i64::MAX), "9999-12-31T23:59:59.999Z");
        assert_eq!(iso(951_782_400_000), "2000-02-29T00:00:00.000Z");
    }
}
