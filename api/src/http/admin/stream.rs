//! Answers that come line by line, as fast as the caller takes them: JSON, one value a line.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::http::answer::NDJSON;

/// Chunks of lines that wait for the caller.
const WAITING: usize = 16;

/// Where the lines go; sending fails when the caller has gone.
pub type Lines = mpsc::Sender<Bytes>;

/// An answer, and where its lines go.
pub fn lines() -> (Lines, Response) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let body = Body::from_stream(ReceiverStream::new(receiver).map(Ok::<Bytes, Infallible>));
    (sender, ([(CONTENT_TYPE, NDJSON)], body).into_response())
}

/// Adds one value as a line.
pub fn add(to: &mut Vec<u8>, value: &impl Serialize) {
    let before = to.len();
    if serde_json::to_writer(&mut *to, value).is_err() {
        to.truncate(before);
        return;
    }
    to.push(b'\n');
}

/// One value as a line of its own.
pub fn line(value: &impl Serialize) -> Bytes {
    let mut bytes = Vec::new();
    add(&mut bytes, value);
    Bytes::from(bytes)
}
