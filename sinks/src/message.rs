//! The message with all that it says, as webhooks and websockets are told it: the contract's flat object, with text,
//! HTML, headers and the whole transport.
//!
//! How bytes are read is the parser's affair, and how they are shown is that of whoever serves them: both are asked
//! for through [`Reader`], so that a mail that was told and the same mail asked for over HTTP say the same.

use std::collections::BTreeMap;

use bytes::Bytes;
use mailstore::Entry;
use mailstore::message::Message;
use schemas::event::HeaderField;
use serde::Serialize;

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

    #[test]
    fn a_header_that_repeats_is_a_list_and_another_is_a_text() {
        let field = |name: &str, value: &str| HeaderField { name: name.to_owned(), value: value.to_owned() };
        let named = by_name(vec![field("Received", "1"), field("Subject", "s"), field("received", "2")]);
        assert_eq!(serde_json::to_value(named).unwrap(), serde_json::json!({ "received": ["1", "2"], "subject": "s" }));
    }
}
