//! What became of each attempt, the newest first.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use schemas::event::ForwardAttempt;
use schemas::{Event, Position, Record, Topic, codec};
use serde::Serialize;

use super::range::{Range, word};
use super::scan::{ends, partition_of, scan};
use super::with;
use crate::http::answer;
use crate::http::doors::Api;
use crate::http::error::ApiError;
use crate::http::key::Caller;
use crate::http::request::{At, query_value};
use crate::http::time;

const DEFAULT_LIMIT: usize = 100;
pub const MAX_LIMIT: usize = 1000;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptObject {
    pub delivery: String,
    pub forward: String,
    /// The message in its inbox.
    pub entry: String,
    pub attempt: i32,
    pub at: String,
    pub duration_ms: i64,
    pub outcome: &'static str,
    pub status: Option<i32>,
    pub cause: String,
    /// The start of what the receiver answered.
    pub answer: String,
    pub next_at: Option<String>,
}

impl From<&ForwardAttempt> for AttemptObject {
    fn from(attempt: &ForwardAttempt) -> Self {
        Self {
            delivery: attempt.delivery_id.clone(),
            forward: attempt.forward.clone(),
            entry: format!("{}-{}", attempt.message_id, attempt.index),
            attempt: attempt.attempt,
            at: time::iso(attempt.at),
            duration_ms: attempt.duration_ms,
            outcome: word(attempt.outcome),
            status: attempt.status,
            cause: attempt.cause.clone(),
            answer: attempt.answer.clone(),
            next_at: attempt.next_at.map(time::iso),
        }
    }
}

pub async fn list(
    caller: Caller,
    State(api): State<Arc<Api>>,
    At(id): At<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    with(&api, &caller, &id, |_, _| ())?;
    let range = Range::read(|name| Ok(query_value(&uri, name)))?;
    let limit = match query_value(&uri, "limit") {
        None => DEFAULT_LIMIT,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=MAX_LIMIT).contains(limit))
            .ok_or_else(|| ApiError::invalid(format!("limit is not a number from 1 to {MAX_LIMIT}")))?,
    };
    let mut newest: VecDeque<ForwardAttempt> = VecDeque::with_capacity(limit);
    each(&api, &range, |_, attempt| {
        if attempt.forward == id && range.outcome.is_none_or(|outcome| outcome == attempt.outcome) {
            if newest.len() >= limit {
                newest.pop_front();
            }
            newest.push_back(attempt);
        }
        ControlFlow::Continue(())
    })
    .await?;
    // Of several partitions each is in order by itself.
    let mut objects: Vec<ForwardAttempt> = newest.into();
    objects.sort_by_key(|attempt| std::cmp::Reverse((attempt.at, attempt.attempt)));
    Ok(answer::json(&objects.iter().map(AttemptObject::from).collect::<Vec<_>>()))
}

/// Hands every attempt of the range to `take`, whatever its outcome and forward, with the place where it stands.
pub async fn each(
    api: &Api,
    range: &Range,
    mut take: impl FnMut(Position, ForwardAttempt) -> ControlFlow<()> + Send,
) -> Result<(), ApiError> {
    let topic = Topic::ForwardAttempts;
    let mut from = api.doors.log.offsets_at(topic, range.since_ms).await?;
    if let Some(message) = &range.message {
        let partition = partition_of(api, message).await?;
        from.retain(|start| start.partition == partition);
    }
    let ends = ends(api, topic).await?;
    let delivery = range.delivery.as_ref().map(|id| id.as_bytes());
    let is_meant = |record: &Record| delivery.is_none_or(|id| record.key.as_deref() == Some(id));
    scan(api, from, &ends, |record| {
        if !is_meant(&record) {
            return ControlFlow::Continue(());
        }
        match record.value.as_deref().map(|value| codec::decode(topic, value)) {
            Some(Ok(Event::Attempt(attempt))) if range.holds(&attempt) => take(record.position, attempt),
            _ => ControlFlow::Continue(()),
        }
    })
    .await
}
