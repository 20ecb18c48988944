//! A copy of a mail to another address of the same account: the same bytes, as a message of its own that is routed as
//! every other. Its id is made from the delivery's, so that a second attempt makes the same message.
//!
//! A copy is not copied again by the address that it came from: whoever forwards in a circle gets each mail once.

use std::sync::Arc;

use async_trait::async_trait;
use eventlog::Log;
use mailstore::Store;
use schemas::event::{Door, MailRaw};
use schemas::{EntryId, Event, MessageId, NewRecord, Topic, codec};
use sinks::forward::{Attempted, Called, Courier, Delivery};

/// On top of a copy: a delivery that made it. As many stand there as addresses it has come through.
const HEADER: &str = "X-Postlog-Copied";
/// Addresses that a mail may come through.
const MAX_HOPS: usize = 8;
/// Where the header is looked for.
const MAX_HEADER_BYTES: usize = 64 * 1024;

pub struct CopyCourier {
    pub log: Arc<dyn Log>,
    pub store: Arc<dyn Store>,
}

#[async_trait]
impl Courier for CopyCourier {
    async fn deliver(&self, delivery: &Delivery) -> Attempted {
        match self.copy(delivery).await {
            Ok(()) => Attempted::unanswered(Called::Delivered),
            Err(called) => Attempted::unanswered(called),
        }
    }
}

impl CopyCourier {
    async fn copy(&self, delivery: &Delivery) -> Result<(), Called> {
        let entry = &delivery.entry;
        let id: EntryId = entry.id.parse().map_err(|_| refused("the entry has no id that can be read"))?;
        let raw = self.store.raw(&id.message).await.map_err(later)?;
        let raw = raw.ok_or_else(|| Called::Dropped { cause: "the message is gone from the store".to_owned() })?;
        let through = hops(&raw);
        let inbox = tag(&entry.inbox);
        if through.len() >= MAX_HOPS || through.contains(&tag(&delivery.target)) {
            return Err(Called::Dropped { cause: "the mail has come through that address already".to_owned() });
        }
        let arrived_at = entry.received_at;
        let envelope = &entry.envelope;
        let mut content = format!("{HEADER}: {inbox}\r\n").into_bytes();
        content.extend_from_slice(&raw);
        let mail = MailRaw {
            message_id: copy_id(arrived_at, &delivery.due.delivery_id),
            arrived_at,
            door: Door::Ingest,
            peer: None,
            received_by: envelope.received_by.clone(),
            helo: None,
            esmtp: envelope.esmtp,
            tls: None,
            login: None,
            mail_from: envelope.mail_from.clone(),
            recipients: vec![delivery.target.clone()],
            smtputf8: false,
            content,
        };
        let key = mail.message_id.to_string();
        let value = codec::encode(&Event::Raw(mail)).map_err(|error| refused(&error.to_string()))?;
        self.log
            .append(vec![NewRecord::new(Topic::MailRaw, key, value)])
            .await
            .map(drop)
            .map_err(|error| if error.is_transient() { later(error) } else { refused(&error.to_string()) })
    }
}

/// The id of the message that a delivery makes.
fn copy_id(arrived_at: i64, delivery_id: &str) -> MessageId {
    let mut parts = [0; 10];
    let digits = delivery_id.rsplit('_').next().unwrap_or_default().as_bytes();
    for (part, pair) in parts.iter_mut().zip(digits.chunks(2)) {
        let pair = std::str::from_utf8(pair).unwrap_or_default();
        *part = u8::from_str_radix(pair, 16).unwrap_or_default();
    }
    MessageId::from_parts(arrived_at, parts)
}

/// The addresses that the mail has come through, as our headers at its very top say.
fn hops(raw: &[u8]) -> Vec<String> {
    let head = String::from_utf8_lossy(raw.get(..MAX_HEADER_BYTES).unwrap_or(raw)).into_owned();
    let named = |line: &str| line.strip_prefix(HEADER)?.strip_prefix(": ").map(str::to_owned);
    head.split("\r\n").map_while(named).collect()
}

/// An address as it may stand in a header, whatever it holds.
fn tag(address: &str) -> String {
    address.chars().map(|letter| if letter.is_control() || letter == ' ' { '?' } else { letter }).collect()
}

fn refused(cause: &str) -> Called {
    Called::Refused { cause: cause.to_owned(), off: false }
}

fn later(error: impl std::fmt::Display) -> Called {
    Called::Later { retry_after: None, cause: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_makes_one_message_however_often_it_is_attempted() {
        let id = copy_id(1_700_000_000_000, "dlv_0afefff23521bdfcf4eae48bd660e0b0");
        assert_eq!(id, copy_id(1_700_000_000_000, "dlv_0afefff23521bdfcf4eae48bd660e0b0"));
        assert_ne!(id, copy_id(1_700_000_000_000, "dlv_1afefff23521bdfcf4eae48bd660e0b0"));
    }

    #[test]
    fn the_way_of_a_copy_is_read_from_its_top_only() {
        let mail =
            "X-Postlog-Copied: b@x.org\r\nX-Postlog-Copied: a@x.org\r\nSubject: s\r\nX-Postlog-Copied: c@x.org\r\n\r\n";
        assert_eq!(hops(mail.as_bytes()), ["b@x.org", "a@x.org"]);
        assert!(hops(b"Subject: s\r\n\r\n").is_empty());
    }
}
