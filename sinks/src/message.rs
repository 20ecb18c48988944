//! The message with all that it says, as webhooks and websockets are told it: the contract's flat object, with text,
//! HTML, headers and the whole transport.
//!
//! How bytes are read is the parser's affair, and how they are shown is that of whoever serves them: both are asked
//! for through [`Reader`], so that a mail that was told and the same mail asked for over HTTP say the same.

use std::collections::BTreeMap;

use bytes::Bytes;
use mailstore::message::Message;
use mailstore::{Entry, Store};
use schemas::EntryId;
use schemas::event::HeaderField;
use serde::Serialize;

use crate::forward::Called;

/// Reads a message's bytes. Pure, total and bounded, whatever the bytes are.
pub trait Reader: Send + Sync + 'static {
    /// The bytes as whoever asks for them gets them: our headers on top, and forged ones in our name taken out.
    fn shown(&self, entry: &Entry, raw: &Bytes) -> Bytes;

    /// The header fields in order.
    fn headers(&self, raw: &[u8]) -> Vec<HeaderField>;

    /// The text; made from the HTML where there is none.
    fn text(&self, raw: &[u8]) -> String;

    /// The HTML as it was sent; made from the text where there is none.
    fn html(&self, raw: &[u8]) -> String;
}

/// A message with all that it says.
#[derive(Serialize)]
pub struct Told<'a> {
    #[serde(flatten)]
    message: Message<'a>,
    headers: BTreeMap<String, Values>,
    text: String,
    /// Two names for the HTML: clients of different ages read either.
    html: &'a str,
    body: &'a str,
    /// The whole transport. Bytes that are no UTF-8 can't stand in JSON: they are replaced here, and exact in the raw
    /// payload and over HTTP.
    raw: String,
}

/// A header's value, or its values where its name repeats.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Several(Vec<String>),
}

/// The message as lists show it, as JSON.
pub fn thin(entry: &Entry) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Message::from(entry))
}

/// The message with all that it says, as JSON.
pub fn full(entry: &Entry, raw: &Bytes, reader: &dyn Reader) -> Result<Vec<u8>, serde_json::Error> {
    let shown = reader.shown(entry, raw);
    let html = reader.html(raw);
    serde_json::to_vec(&Told {
        message: Message::from(entry),
        headers: by_name(reader.headers(&shown)),
        text: reader.text(raw),
        html: &html,
        body: &html,
        raw: String::from_utf8_lossy(&shown).into_owned(),
    })
}

/// The bytes of an entry's message; without them nothing is sent.
pub(crate) async fn raw(store: &dyn Store, entry: &Entry) -> Result<Bytes, Called> {
    let no_id = |_| Called::Refused { cause: "the entry has no id that can be read".to_owned(), off: false };
    let id: EntryId = entry.id.parse().map_err(no_id)?;
    match store.raw(&id.message).await {
        Ok(Some(raw)) => Ok(raw),
        Ok(None) => Err(Called::Dropped { cause: "the message is gone from the store".to_owned() }),
        Err(error) => Err(Called::Later { retry_after: None, cause: error.to_string() }),
    }
}

/// Reads a message where it may take a while: one of many megabytes does, and the threads that serve the sockets have
/// no time for that. A reader that panics refuses the message; what it said then may be of the mail, and is not told.
pub(crate) async fn read<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Result<T, Called> {
    tokio::task::spawn_blocking(read).await.map_err(|error| {
        if error.is_panic() {
            return Called::Refused { cause: "the message could not be read".to_owned(), off: false };
        }
        Called::Later { retry_after: None, cause: "the program is stopping".to_owned() }
    })
}

fn by_name(fields: Vec<HeaderField>) -> BTreeMap<String, Values> {
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for HeaderField { name, value } in fields {
        named.entry(name.to_lowercase()).or_default().push(value);
    }
    let one_or_several = |(name, mut values): (String, Vec<String>)| match values.pop() {
        Some(only) if values.is_empty() => (name, Values::One(only)),
        Some(last) => {
            values.push(last);
            (name, Values::Several(values))
        }
        None => (name, Values::Several(values)),
    };
    named.into_iter().map(one_or_several).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_that_panics_refuses_the_message_without_telling_of_it() {
        let refused = read(|| -> () { panic!("secret of the mail") }).await;
        let cause = "the message could not be read".to_owned();
        assert_eq!(refused, Err(Called::Refused { cause, off: false }));
    }

    #[test]
    fn a_header_that_repeats_is_a_list_and_another_is_a_text() {
        let field = |name: &str, value: &str| HeaderField { name: name.to_owned(), value: value.to_owned() };
        let named = by_name(vec![field("Received", "1"), field("Subject", "s"), field("received", "2")]);
        assert_eq!(serde_json::to_value(named).unwrap(), serde_json::json!({ "received": ["1", "2"], "subject": "s" }));
    }
}
