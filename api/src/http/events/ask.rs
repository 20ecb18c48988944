//! What is asked for: where to begin, how far to go, and in which form.

use axum::http::header::{ACCEPT, HeaderName};
use axum::http::{HeaderMap, Uri};
use eventlog::{Bounds, Cursor, CursorError, Log};
use schemas::{Position, Topic};

use super::shape::Form;
use crate::http::error::ApiError;
use crate::http::request::{query_switch, query_value};
use crate::http::time;

/// What a browser that connects again sends: the `id` of the last event that it has seen.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub struct Ask {
    from: From,
    /// Go on with what comes. Server-sent events do unless they are told not to.
    pub follow: bool,
    /// So many events and no more.
    pub limit: Option<u64>,
    pub form: Form,
}

/// Where to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
enum From {
    Earliest,
    Latest,
    /// In every partition.
    Offset(u64),
    Time(i64),
    /// Behind what the cursor has seen.
    Cursor(String),
}

impl Ask {
    pub fn read(uri: &Uri, headers: &HeaderMap) -> Result<Self, ApiError> {
        let form = form(uri, headers)?;
        let follow = match query_value(uri, "follow") {
            None => form == Form::ServerSent,
            Some(_) => query_switch(uri, "follow"),
        };
        Ok(Self { from: From::read(uri, headers)?, follow, limit: limit(uri)?, form })
    }

    /// The first record of each partition that is to come.
    pub async fn start(&self, log: &dyn Log, topic: Topic, bounds: &[Bounds]) -> Result<Vec<Position>, ApiError> {
        let each = |place: &dyn Fn(&Bounds) -> u64| {
            bounds.iter().map(|bounds| Position::new(topic, bounds.partition, place(bounds))).collect()
        };
        Ok(match &self.from {
            From::Earliest => each(&|bounds| bounds.earliest),
            From::Latest => each(&|bounds| bounds.end),
            // A partition that is shorter is read from its end, one that has lost its beginning from what is left.
            From::Offset(offset) => each(&|bounds| (*offset).clamp(bounds.earliest, bounds.end)),
            From::Time(ms) => log.offsets_at(topic, *ms).await?,
            From::Cursor(text) => {
                let cursor: Cursor = text.parse().map_err(refused)?;
                let positions = cursor.positions(log.id(), topic).map_err(refused)?;
                behind(&positions, topic, bounds)?
            }
        })
    }
}

impl From {
    /// One of `after`, `from` and `since`; what a browser has seen last counts before the place that its page named.
    fn read(uri: &Uri, headers: &HeaderMap) -> Result<Self, ApiError> {
        let seen = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty());
        if let Some(seen) = seen {
            return Ok(Self::Cursor(seen.trim().to_owned()));
        }
        let given = |name: &str| query_value(uri, name).filter(|text| !text.is_empty());
        let (after, from, since) = (given("after"), given("from"), given("since"));
        if [after.is_some(), from.is_some(), since.is_some()].iter().filter(|is_given| **is_given).count() > 1 {
            return Err(ApiError::invalid("say where to begin by one of after, from and since"));
        }
        if let Some(cursor) = after {
            return Ok(Self::Cursor(cursor));
        }
        if let Some(since) = since {
            let time = time::from(&since).map(Self::Time);
            return time.ok_or_else(|| ApiError::invalid("since is not a time (2020-07-05T22:25:41Z)"));
        }
        match from.as_deref() {
            None | Some("earliest") => Ok(Self::Earliest),
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

fn refused(error: CursorError) -> ApiError {
    ApiError::invalid(format!("after: {error}"))
}

/// Where a cursor leads in every partition. One that it does not name is read from its beginning.
fn behind(positions: &[Position], topic: Topic, bounds: &[Bounds]) -> Result<Vec<Position>, ApiError> {
    if positions.len() > bounds.len() {
        return Err(ApiError::invalid("after: this cursor is of a topic with more partitions"));
    }
    let mut start = Vec::with_capacity(bounds.len());
    for bounds in bounds {
        let named = positions.iter().find(|position| position.partition == bounds.partition);
        let offset = named.map_or(bounds.earliest, |position| position.offset);
        if offset < bounds.earliest {
            return Err(ApiError::Gone(
                "What follows this cursor is not on the log any more: begin at what is left with from=earliest.".into(),
            ));
        }
        if offset > bounds.end {
            return Err(ApiError::invalid("after: this cursor is ahead of the log"));
        }
        start.push(Position::new(topic, bounds.partition, offset));
    }
    Ok(start)
}

fn limit(uri: &Uri) -> Result<Option<u64>, ApiError> {
    let Some(text) = query_value(uri, "limit").filter(|text| !text.is_empty()) else { return Ok(None) };
    let number = text.parse().ok().filter(|limit| *limit > 0);
    number.map(Some).ok_or_else(|| ApiError::invalid("limit is not a number from 1 on"))
}

fn form(uri: &Uri, headers: &HeaderMap) -> Result<Form, ApiError> {
    match query_value(uri, "format").as_deref() {
        Some("ndjson" | "json") => return Ok(Form::Lines),
        Some("sse") => return Ok(Form::ServerSent),
        Some(_) => return Err(ApiError::invalid("format is neither ndjson nor sse")),
        None => {}
    }
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types = accepted.flat_map(|value| value.split(',')).filter_map(|one| one.split(';').next());
    let is_event_stream = types.any(|one| one.trim().eq_ignore_ascii_case("text/event-stream"));
    Ok(if is_event_stream { Form::ServerSent } else { Form::Lines })
}
