//! The log as programs read it: the events of a topic from a place on, one JSON object a line or as server-sent events
//! (HTML Living Standard 9.2), up to the end of now or on and on. Each carries the cursor behind it, the same that a
//! websocket frame carries and that `tail` takes.
//!
//! Administrators only: every topic holds everybody's mail.

mod ask;
mod send;
mod shape;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use axum::routing::get;
use eventlog::LogError;
use eventlog::scan::Left;
use schemas::topic::UnknownTopic;
use schemas::{Position, Topic};

use super::doors::Api;
use super::error::ApiError;
use super::key::Administrator;
use super::request::At;
use super::socket::origin;
use ask::Ask;
use send::Sending;

/// Streams at a time: each holds a reader of the log, and some of what it has read.
pub const MAX_STREAMS: usize = 64;

pub fn routes() -> Router<Arc<Api>> {
    Router::new().route("/events/{topic}", get(events))
}

async fn events(
    _: Administrator,
    State(api): State<Arc<Api>>,
    At(topic): At<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if !origin::is_allowed(&headers, &api.doors.settings.origins) {
        return Err(ApiError::Forbidden("This page may not read here: its origin is not one of http.origins.".into()));
    }
    let topic: Topic = topic.parse().map_err(|error: UnknownTopic| ApiError::NotFound(error.to_string().into()))?;
    let ask = Ask::read(&uri, &headers)?;
    let place = Arc::clone(&api.streams).try_acquire_owned();
    let place = place.map_err(|_| ApiError::TooMany(format!("{MAX_STREAMS} streams are open: close one.").into()))?;
    let bounds = api.doors.log.bounds(topic).await?;
    let start = ask.start(api.doors.log.as_ref(), topic, &bounds).await?;
    let tail = api.doors.log.tail(&start).await.map_err(|error| match error {
        LogError::OutOfRange { .. } => ApiError::Gone(error.to_string().into()),
        other => other.into(),
    })?;
    let ends = bounds.iter().map(|bounds| Position::new(topic, bounds.partition, bounds.end)).collect();
    let (out, response) = shape::answer(ask.form);
    let sending = Sending {
        log: Arc::clone(&api.doors.log),
        form: ask.form,
        until: (!ask.follow).then(|| Left::new(start.clone(), ends)),
        at: start,
        left: ask.limit,
        out,
    };
    let shutdown = api.doors.shutdown.clone();
    tokio::spawn(async move {
        let _place = place;
        sending.run(tail, &shutdown).await;
    });
    Ok(response)
}
