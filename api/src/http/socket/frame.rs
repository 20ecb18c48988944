//! A mail as a frame: the message object flat and, for clients of the other document, once more in `email`. Everything
//! but the cursor, which each listener has of its own: it is added when the frame is sent.

use bytes::Bytes;
use mailstore::Entry;
use processors::parse::read;
use serde::Serialize;

use super::super::headers::{Grouped, lower_case};
use super::super::present;
use mailstore::message::Message;

/// Bytes of a frame. A mail that would make a larger one comes without its bodies, `truncated`; the API has them.
pub const MAX_FRAME_BYTES: usize = 32 << 20;
/// Bytes of a mail whose bodies are looked at: the frame holds each of them twice.
pub const MAX_MAIL_BYTES: usize = 8 << 20;

#[derive(Serialize)]
struct Mail<'a> {
    #[serde(flatten)]
    message: Message<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Grouped<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

/// A frame for each entry of one message, without cursor and closing brace. Work: parsing, a few times the mail's size.
pub fn render(entries: &[Entry], raw: &Bytes) -> Vec<Bytes> {
    if raw.len() > MAX_MAIL_BYTES {
        return entries.iter().map(short).collect();
    }
    let text = read::text(raw);
    let html = read::html(raw).unwrap_or_else(|| read::dirty_html(raw));
    entries.iter().map(|entry| whole(entry, raw, &text, &html)).collect()
}

fn whole(entry: &Entry, raw: &Bytes, text: &str, html: &str) -> Bytes {
    let fields = lower_case(read::headers(&present::header(entry, raw)));
    let transport = present::message(entry, raw).concat();
    let mail = Mail {
        message: Message::from(entry),
        raw: Some(&String::from_utf8_lossy(&transport)),
        headers: Some(Grouped { fields: &fields, single_as_text: true }),
        text: Some(text),
        body: Some(html),
        html: Some(html),
        truncated: false,
    };
    twice(&mail).filter(|frame| frame.len() <= MAX_FRAME_BYTES).unwrap_or_else(|| short(entry))
}

fn short(entry: &Entry) -> Bytes {
    let message = Message::from(entry);
    let mail = Mail { message, raw: None, headers: None, text: None, body: None, html: None, truncated: true };
    twice(&mail).unwrap_or_default()
}

fn twice(mail: &Mail<'_>) -> Option<Bytes> {
    let object = serde_json::to_string(mail).ok()?;
    let members = object.strip_prefix('{')?.strip_suffix('}')?;
    Some(Bytes::from(format!("{{\"status\":200,{members},\"email\":{object}")))
}
