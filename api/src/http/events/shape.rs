//! How an event is written: as a line of JSON, or as a server-sent event around the same JSON, whose id is the cursor.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use schemas::{Position, Record, Topic, codec};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::http::answer::NDJSON;

/// Chunks that wait for the caller: one, beside the one that the connection has taken.
const WAITING: usize = 1;
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
/// A proxy that gathers answers would keep events back.
const UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
/// How long a browser waits before it connects again, in milliseconds; said once.
const HELLO: &[u8] = b"retry: 2000\n\n";
/// For proxies that close what is silent.
pub const KEEP_ALIVE: &[u8] = b": still here\n\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Newline-delimited JSON.
    Lines,
    ServerSent,
}

/// A record as people and scripts read it.
#[derive(Serialize)]
struct Shown<'a> {
    topic: Topic,
    partition: u32,
    offset: u64,
    timestamp: i64,
    key: Option<String>,
    /// Null for a tombstone, and for what can't be read.
    event: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Behind this one: `after` takes it.
    cursor: &'a str,
}

#[derive(Serialize)]
struct Failed<'a> {
    error: &'a str,
}

/// The answer, and where its chunks go; sending fails when the caller has gone.
pub fn answer(form: Form) -> (mpsc::Sender<Bytes>, Response) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let chunks = ReceiverStream::new(receiver);
    let hello = futures::stream::iter((form == Form::ServerSent).then(|| Bytes::from_static(HELLO)));
    let body = Body::from_stream(hello.chain(chunks).map(Ok::<Bytes, Infallible>));
    let content_type = if form == Form::ServerSent { EVENT_STREAM } else { NDJSON };
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type), UNBUFFERED]);
    (sender, (headers, body).into_response())
}

impl Form {
    pub fn record(self, to: &mut Vec<u8>, record: Record, cursor: &str) {
        let Position { topic, partition, offset } = record.position;
        let (event, error) = match record.value.as_deref().map(|value| codec::decode(topic, value)) {
            None => (None, None),
            Some(Ok(event)) => (Some(codec::event_json(&event)), None),
            Some(Err(error)) => (None, Some(error.to_string())),
        };
        let key = record.key.map(|key| String::from_utf8_lossy(&key).into_owned());
        let timestamp = record.timestamp_ms;
        self.put(to, None, cursor, &Shown { topic, partition, offset, timestamp, key, event, error, cursor });
    }

    /// A place whose record can't be read any more.
    pub fn unreadable(self, to: &mut Vec<u8>, place: Position, cause: &str, cursor: &str) {
        let Position { topic, partition, offset } = place;
        let error = Some(cause.to_owned());
        let shown = Shown { topic, partition, offset, timestamp: 0, key: None, event: None, error, cursor };
        self.put(to, None, cursor, &shown);
    }

    /// The last thing said where the log fails.
    pub fn failed(self, to: &mut Vec<u8>, error: &str) {
        // Not `error`: that is what a browser calls its own.
        self.put(to, Some("failed"), "", &Failed { error });
    }

    fn put(self, to: &mut Vec<u8>, name: Option<&str>, cursor: &str, value: &impl Serialize) {
        let before = to.len();
        if self == Self::ServerSent {
            for (field, text) in [("event: ", name.unwrap_or_default()), ("id: ", cursor)] {
                if !text.is_empty() {
                    [field, text, "\n"].iter().for_each(|part| to.extend_from_slice(part.as_bytes()));
                }
            }
            to.extend_from_slice(b"data: ");
        }
        // JSON on one line: serde_json escapes every line end.
        if serde_json::to_writer(&mut *to, value).is_err() {
            to.truncate(before);
            return;
        }
        to.extend_from_slice(if self == Self::ServerSent { b"\n\n" } else { b"\n" });
    }
}
