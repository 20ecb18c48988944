//! The log, as people and scripts read it: the events of a topic, one JSON object a line, from a place on, and on and
//! on when asked to follow.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use eventlog::{Bounds, Limits, LogError, Tail};
use schemas::{Position, Record, Topic, codec};
use serde::Serialize;

use super::stream::{Lines, add, lines};
use crate::http::doors::Api;
use crate::http::error::ApiError;
use crate::http::key::Administrator;
use crate::http::request::{At, query_switch, query_value};
use crate::http::time;

/// One poll: what it brings stands in memory as JSON until the caller takes it.
const BATCH: Limits = Limits { records: 500, bytes: 1 << 20, wait: Duration::from_millis(500) };

pub fn routes() -> Router<Arc<Api>> {
    Router::new().route("/events/{topic}", get(events))
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Earliest,
    Latest,
    /// In every partition.
    Offset(u64),
    Time(i64),
}

impl From {
    fn read(uri: &Uri) -> Result<Self, ApiError> {
        match query_value(uri, "from").as_deref() {
            None | Some("" | "earliest") => Ok(Self::Earliest),
            Some("latest") => Ok(Self::Latest),
            Some(text) => {
                let offset = text.parse().ok().map(Self::Offset);
                offset.or_else(|| time::from(text).map(Self::Time)).ok_or_else(|| {
                    ApiError::invalid("from is not one of earliest, latest, an offset, a time (2020-07-05T22:25:41Z)")
                })
            }
        }
    }
}

async fn events(
    _: Administrator,
    State(api): State<Arc<Api>>,
    At(topic): At<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let topic: Topic =
        topic.parse().map_err(|error: schemas::topic::UnknownTopic| ApiError::invalid(error.to_string()))?;
    let (from, follow) = (From::read(&uri)?, query_switch(&uri, "follow"));
    let bounds = api.doors.log.bounds(topic).await?;
    let start = start(&api, topic, from, &bounds).await?;
    let tail = api.doors.log.tail(&start).await.map_err(|error| match error {
        LogError::OutOfRange { .. } => ApiError::invalid(error.to_string()),
        other => other.into(),
    })?;
    let ends = bounds.iter().map(|bounds| Position::new(topic, bounds.partition, bounds.end)).collect();
    let until = if follow { None } else { Some(Left { ends, reached: start }) };
    let (lines, response) = lines();
    let shutdown = api.doors.shutdown.clone();
    tokio::spawn(async move {
        let sent = shutdown.run_until_cancelled(send(tail, until, &lines)).await;
        if let Some(Err(error)) = sent {
            tracing::warn!(%topic, %error, "the events of a topic could not be read on");
            let _ = lines.send(super::stream::line(&Failed { error: error.to_string() })).await;
        }
    });
    Ok(response)
}

async fn start(api: &Api, topic: Topic, from: From, bounds: &[Bounds]) -> Result<Vec<Position>, ApiError> {
    let at = |place: fn(&Bounds) -> u64| {
        bounds.iter().map(|bounds| Position::new(topic, bounds.partition, place(bounds))).collect()
    };
    Ok(match from {
        From::Earliest => at(|bounds| bounds.earliest),
        From::Latest => at(|bounds| bounds.end),
        // A partition that is shorter is read from its end, one that has lost its beginning from what is left.
        From::Offset(offset) => {
            let place = |bounds: &Bounds| offset.clamp(bounds.earliest, bounds.end);
            bounds.iter().map(|bounds| Position::new(topic, bounds.partition, place(bounds))).collect()
        }
        From::Time(ms) => api.doors.log.offsets_at(topic, ms).await?,
    })
}

/// What is still to be read before the end that the topic had at the beginning.
struct Left {
    ends: Vec<Position>,
    reached: Vec<Position>,
}

impl Left {
    fn see(&mut self, record: &Record) {
        let seen = record.position;
        if let Some(place) = self.reached.iter_mut().find(|place| place.partition == seen.partition) {
            *place = seen.next();
        }
    }

    fn holds(&self, record: &Record) -> bool {
        let of = |end: &&Position| end.partition == record.position.partition;
        self.ends.iter().find(of).is_some_and(|end| record.position.offset < end.offset)
    }

    fn is_done(&self) -> bool {
        self.ends.iter().all(|end| {
            let place = self.reached.iter().find(|place| place.partition == end.partition);
            place.is_some_and(|place| place.offset >= end.offset)
        })
    }
}

#[derive(Serialize)]
struct Failed {
    error: String,
}

/// Sends until the caller goes, or the end that was to be reached is.
async fn send(mut tail: Box<dyn Tail>, mut until: Option<Left>, lines: &Lines) -> Result<(), LogError> {
    while !until.as_ref().is_some_and(Left::is_done) {
        let records = tokio::select! {
            () = lines.closed() => return Ok(()),
            records = tail.poll(&BATCH) => records?,
        };
        // Before the end there may be gaps only.
        if records.is_empty() && until.is_some() {
            return Ok(());
        }
        if let Some(left) = &mut until {
            records.iter().for_each(|record| left.see(record));
        }
        let shown = records.into_iter().filter(|record| until.as_ref().is_none_or(|left| left.holds(record))).collect();
        let Ok(chunk) = tokio::task::spawn_blocking(move || written(shown)).await else { return Ok(()) };
        if !chunk.is_empty() && lines.send(chunk).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// A record as people and scripts read it.
#[derive(Serialize)]
struct Line {
    topic: Topic,
    partition: u32,
    offset: u64,
    timestamp: i64,
    key: Option<String>,
    /// Null for a tombstone, and for what can't be read.
    event: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

fn written(records: Vec<Record>) -> Bytes {
    let mut chunk = Vec::new();
    for record in records {
        let Position { topic, partition, offset } = record.position;
        let (event, error) = match record.value.as_deref().map(|value| codec::decode(topic, value)) {
            None => (None, None),
            Some(Ok(event)) => (Some(codec::event_json(&event)), None),
            Some(Err(error)) => (None, Some(error.to_string())),
        };
        let key = record.key.map(|key| String::from_utf8_lossy(&key).into_owned());
        add(&mut chunk, &Line { topic, partition, offset, timestamp: record.timestamp_ms, key, event, error });
    }
    Bytes::from(chunk)
}
