//! A message brought in by an operator: an old mailbox, a test's mail. It is on the log when this answers.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use accounts::normalise;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::Uri;
use axum::response::Response;
use axum::routing::post;
use memchr::memchr_iter;
use processors::parse;
use schemas::Event;
use schemas::event::{Door, MailParsed, MailRaw};
use serde::Serialize;

use crate::http::doors::Api;
use crate::http::error::ApiError;
use crate::http::key::Administrator;
use crate::http::reading::parsed;
use crate::http::request::{query_value, query_values, read_body};
use crate::http::{answer, time, write};

/// RFC 5321 4.5.3.1.8 wants 100 at least.
pub const MAX_RECIPIENTS: usize = 1000;
/// Bytes of an address as it is given.
pub const MAX_ADDRESS_BYTES: usize = 1000;
/// How long a message may take to come.
const BODY_LIMIT: Duration = Duration::from_secs(60);
/// Where mail goes that names nobody.
const NOBODY: &str = "undisclosed-recipients@localhost";

pub fn routes() -> Router<Arc<Api>> {
    Router::new().route("/ingest", post(ingest)).layer(DefaultBodyLimit::disable())
}

#[derive(Serialize)]
struct Ingested {
    id: String,
    partition: u32,
    offset: u64,
}

async fn ingest(
    _: Administrator,
    State(api): State<Arc<Api>>,
    uri: Uri,
    request: Request,
) -> Result<Response, ApiError> {
    let (to, from) = (query_values(&uri, "to"), query_value(&uri, "from"));
    let faults = faults_of(&to, from.as_deref());
    if !faults.is_empty() {
        return Err(ApiError::Invalid(faults));
    }
    let (parts, body) = request.into_parts();
    let limit_bytes = api.doors.settings.max_message_bytes;
    let content = read_body(&parts, body, limit_bytes, BODY_LIMIT).await?;
    if content.is_empty() {
        return Err(ApiError::invalid("the body is empty: it must be one message"));
    }
    let server_name = api.doors.settings.server_name.clone();
    let mut raw = parsed(&api, content, move |bytes| message(bytes, to, from, server_name)).await?;
    if raw.content.len() > limit_bytes {
        return Err(ApiError::TooLarge { limit_bytes });
    }
    date(&api, &mut raw);
    let id = raw.message_id.to_string();
    let record = write::record(&id, &Event::Raw(raw))?;
    let positions = api.doors.log.append(vec![record]).await?;
    let position = positions.first().ok_or(ApiError::Fault)?;
    Ok(answer::json(&Ingested { id, partition: position.partition, offset: position.offset }))
}

fn faults_of(to: &[String], from: Option<&str>) -> Vec<String> {
    let mut faults = Vec::new();
    if to.len() > MAX_RECIPIENTS {
        faults.push(format!("there are more than {MAX_RECIPIENTS} recipients"));
    }
    let odd = |address: &str| address.len() > MAX_ADDRESS_BYTES || address.chars().any(char::is_control);
    // The same few are told once, however often they were sent.
    for cause in
        to.iter().filter_map(|address| normalise(address).err()).map(|cause| format!("to is not an address: {cause}"))
    {
        if !faults.contains(&cause) {
            faults.push(cause);
        }
    }
    if from.is_some_and(odd) {
        faults.push("from is not an address".to_owned());
    }
    faults
}

/// Says when it arrived, which no other mail to its recipients has in common with it.
fn date(api: &Api, raw: &mut MailRaw) {
    let mut arrivals = api.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
    raw.arrived_at = arrivals.next(time::now_ms(), &raw.recipients);
    raw.message_id = write::new_message_id(raw.arrived_at);
}

/// The message as it was sent; [`date`] has the last word on when.
fn message(bytes: &[u8], to: Vec<String>, from: Option<String>, server_name: String) -> MailRaw {
    let arrived_at = time::now_ms();
    let mut raw = MailRaw {
        message_id: write::new_message_id(arrived_at),
        arrived_at,
        door: Door::Ingest,
        peer: None,
        received_by: server_name,
        helo: None,
        esmtp: false,
        tls: None,
        login: None,
        mail_from: String::new(),
        recipients: to,
        smtputf8: false,
        content: crlf(bytes),
    };
    if raw.recipients.is_empty() || from.is_none() {
        let says = parse::parse(&raw, 0);
        if raw.recipients.is_empty() {
            raw.recipients = recipients(&says);
        }
        raw.mail_from = from.unwrap_or_else(|| return_path(&says));
    } else {
        raw.mail_from = from.unwrap_or_default();
    }
    raw
}

/// Whom it was delivered to where it comes from; or else whom it is addressed to.
fn recipients(says: &MailParsed) -> Vec<String> {
    let delivered = says.headers.iter().filter(|field| {
        field.name.eq_ignore_ascii_case("delivered-to") || field.name.eq_ignore_ascii_case("x-original-to")
    });
    let mut found = distinct(delivered.map(|field| field.value.as_str()));
    if found.is_empty() {
        let addressed = says.to.iter().chain(&says.cc).chain(&says.bcc);
        found = distinct(addressed.map(|mailbox| mailbox.address.as_str()));
    }
    if found.is_empty() {
        found.push(NOBODY.to_owned());
    }
    found
}

fn distinct<'a>(addresses: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for address in addresses {
        let address = address.trim().trim_start_matches('<').trim_end_matches('>');
        let sound =
            address.contains('@') && address.len() <= MAX_ADDRESS_BYTES && !address.chars().any(char::is_control);
        let known = found.iter().any(|known| known.eq_ignore_ascii_case(address));
        if sound && !known && found.len() < MAX_RECIPIENTS {
            found.push(address.to_owned());
        }
    }
    found
}

/// RFC 5321 4.4: who sent it, as the last server saw it.
fn return_path(says: &MailParsed) -> String {
    let field = says.headers.iter().find(|field| field.name.eq_ignore_ascii_case("return-path"));
    let path = field.map_or("", |field| field.value.trim()).trim_start_matches('<').trim_end_matches('>');
    if path.contains('@') && path.len() <= MAX_ADDRESS_BYTES { path.to_owned() } else { String::new() }
}

/// The bytes with CRLF line ends; a CR that stands alone stays.
fn crlf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 32);
    let mut from = 0;
    for end in memchr_iter(b'\n', bytes) {
        let line = bytes.get(from..end).unwrap_or_default();
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        out.extend_from_slice(b"\r\n");
        from = end + 1;
    }
    out.extend_from_slice(bytes.get(from..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipients_of(mail: &str) -> Vec<String> {
        message(mail.as_bytes(), Vec::new(), None, "here".to_owned()).recipients
    }

    #[test]
    fn line_ends_become_crlf_and_nothing_else_changes() {
        for (sent, kept) in [
            ("a\nb", "a\r\nb"),
            ("a\r\nb\r\n", "a\r\nb\r\n"),
            ("\n\r\n\r", "\r\n\r\n\r"),
            ("a\r\r\n", "a\r\r\n"),
            ("", ""),
        ] {
            assert_eq!(crlf(sent.as_bytes()), kept.as_bytes(), "{sent:?}");
        }
    }

    #[test]
    fn recipients_are_whom_it_was_delivered_to_or_else_addressed_to() {
        assert_eq!(recipients_of("Delivered-To: a@x\nTo: b@x\n\n"), ["a@x"]);
        assert_eq!(recipients_of("To: B <b@x>, c@x\nCc: C@x, d@x\nBcc: e@x\n\n"), ["b@x", "c@x", "d@x", "e@x"]);
        assert_eq!(recipients_of("Subject: x\n\n"), [NOBODY]);
    }

    #[test]
    fn the_sender_is_the_return_path() {
        let sender = |mail: &str| message(mail.as_bytes(), Vec::new(), None, "here".to_owned()).mail_from;
        assert_eq!(sender("Return-Path: <a@x>\nFrom: b@x\n\n"), "a@x");
        assert_eq!(sender("Return-Path: <>\nFrom: b@x\n\n"), "");
    }

    #[test]
    fn a_thousand_recipients_are_taken_and_not_one_more() {
        let many = |count: usize| vec!["a@x".to_owned(); count];
        assert!(faults_of(&many(MAX_RECIPIENTS), None).is_empty());
        assert!(!faults_of(&many(MAX_RECIPIENTS + 1), None).is_empty());
        assert!(!faults_of(&[], Some("a\r\nb@x")).is_empty());
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_cause() {
        let faults = |to: &str| faults_of(&[to.to_owned(), to.to_owned()], None);
        assert_eq!(faults("nope"), ["to is not an address: it has no @"]);
        for to in ["", " ", "bad addr", "bad addr@x.org", "@x.org", "a@", "a@b c", "a@x.org\n"] {
            assert_eq!(faults(to).len(), 1, "{to:?}");
        }
        for to in ["a@x.org", "A+tag@X.org", "\"a b\"@x.org", "a@localhost"] {
            assert_eq!(faults(to).len(), 0, "{to:?}");
        }
    }
}
