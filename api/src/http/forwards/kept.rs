//! What the store still has of a message whose facts the log has given up: its entries, and its bytes, which are scored
//! anew since the reasons of its score are gone.

use futures::future::try_join_all;
use mailstore::Entry;
use processors::parse::parse_content;
use processors::spam::score_with;
use schemas::event::MailScored;
use schemas::{EntryId, MessageId};
use serde_json::{Value, json};

use crate::http::doors::Api;
use crate::http::error::ApiError;
use crate::http::{reading, time};

/// Entries of a message that are looked for, by their numbers; the one that was asked for is besides.
const MOST_ENTRIES: u32 = 1024;
/// Entries that the store is asked for at a time.
const AT_A_TIME: u32 = 32;

pub struct Kept {
    /// Those that are shown, in order.
    pub entries: Vec<(EntryId, Entry)>,
    /// By the model in force for all mail; `None` where the bytes are gone.
    pub scored_now: Option<MailScored>,
}

/// What is kept of the message; `what` may name an entry of it.
pub async fn of(api: &Api, id: &MessageId, what: &str) -> Result<Kept, ApiError> {
    let asked = what.parse::<EntryId>().ok().map(|entry| entry.index).filter(|index| *index >= MOST_ENTRIES);
    let mut entries = Vec::new();
    for from in (0..MOST_ENTRIES).step_by(AT_A_TIME as usize) {
        let some = (from..from + AT_A_TIME).map(|index| entry(api, id, index));
        entries.extend(try_join_all(some).await?.into_iter().flatten());
    }
    if let Some(index) = asked {
        entries.extend(entry(api, id, index).await?);
    }
    let raw = if entries.is_empty() { None } else { api.doors.store.raw(id).await? };
    let scored_now = match raw {
        Some(raw) => {
            let (id, model) = (id.clone(), api.doors.classifier.model());
            Some(reading::parsed(api, raw, move |raw| score_with(&parse_content(&id, raw, 0), &model)).await?)
        }
        None => None,
    };
    Ok(Kept { entries, scored_now })
}

async fn entry(api: &Api, id: &MessageId, index: u32) -> Result<Option<(EntryId, Entry)>, ApiError> {
    let id = EntryId { message: id.clone(), index };
    Ok(api.doors.store.entry(&id).await?.map(|entry| (id, entry)))
}

/// What SMTP saw, as far as the store keeps it.
pub fn arrival(entry: &Entry) -> Value {
    let envelope = &entry.envelope;
    json!({
        "at": time::iso(entry.received_at), "peer": envelope.peer_ip, "helo": envelope.helo,
        "mailFrom": envelope.mail_from, "size": envelope.size_bytes, "receivedBy": envelope.received_by,
    })
}
