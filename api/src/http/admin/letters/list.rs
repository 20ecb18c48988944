//! The letters, the oldest first: those that nothing was decided about, or all.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use eventlog::Cursor;
use schemas::event::DeadLetter;
use schemas::{Position, Topic};
use serde::Serialize;

use super::letter;
use super::outcome::Decision;
use crate::http::answer;
use crate::http::doors::Api;
use crate::http::error::ApiError;
use crate::http::forwards::scan::{ends, scan, starts};
use crate::http::key::Administrator;
use crate::http::request::{query_switch, query_value};
use crate::http::time;

const DEFAULT_LIMIT: usize = 100;
pub const MAX_LIMIT: usize = 1000;
/// Characters of a key.
const MAX_KEY_CHARS: usize = 200;

#[derive(Serialize)]
struct Page {
    letters: Vec<Listed>,
    /// For the next page; null where there is none.
    cursor: Option<String>,
}

/// A letter without the record.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// `topic/partition/offset` of the record.
    pub origin: String,
    pub stage: String,
    pub cause: String,
    /// When it was given up.
    pub at: String,
    /// When the log took the record.
    pub recorded_at: String,
    pub key: Option<String>,
    pub value_bytes: usize,
    /// Null where nothing was decided yet.
    pub decision: Option<Decision>,
}

impl Listed {
    pub fn new(letter: &DeadLetter, at_ms: i64, decision: Option<Decision>) -> Self {
        let key = letter.key.as_deref().map(|key| String::from_utf8_lossy(key).chars().take(MAX_KEY_CHARS).collect());
        Self {
            origin: letter.origin.clone(),
            stage: letter.stage.clone(),
            cause: letter.cause.clone(),
            at: time::iso(at_ms),
            recorded_at: time::iso(letter.timestamp),
            key,
            value_bytes: letter.value.len(),
            decision,
        }
    }
}

/// Which letters are meant.
struct Wanted {
    all: bool,
    stage: Option<String>,
    topic: Option<String>,
}

impl Wanted {
    fn holds(&self, letter: &DeadLetter) -> bool {
        self.stage.as_ref().is_none_or(|stage| *stage == letter.stage)
            && self.topic.as_ref().is_none_or(|topic| *topic == letter.topic)
    }
}

pub async fn list(_: Administrator, State(api): State<Arc<Api>>, uri: Uri) -> Result<Response, ApiError> {
    let given = |name: &str| query_value(&uri, name).filter(|text| !text.is_empty());
    let wanted = Wanted { all: query_switch(&uri, "all"), stage: given("stage"), topic: given("topic") };
    let limit = limit(given("limit"))?;
    let start = start(&api, given("after"), given("since")).await?;
    let ends = ends(&api, Topic::DeadLetters).await?;
    let decisions = decisions(&api, &start, &ends).await?;
    let mut letters = Vec::new();
    let (mut next, mut has_more) = (start.clone(), false);
    scan(&api, start, &ends, |record| {
        let Some(letter) = letter(&record).filter(|letter| wanted.holds(letter)) else {
            return ControlFlow::Continue(());
        };
        // What was decided before a letter was written is not about that letter.
        let decision = decisions.get(&letter.origin).filter(|(place, _)| *place > record.position.offset);
        if decision.is_some() && !wanted.all {
            return ControlFlow::Continue(());
        }
        if letters.len() >= limit {
            has_more = true;
            return ControlFlow::Break(());
        }
        letters.push(Listed::new(&letter, record.timestamp_ms, decision.map(|(_, decision)| decision.clone())));
        next = vec![record.position.next()];
        ControlFlow::Continue(())
    })
    .await?;
    let cursor = has_more.then(|| Cursor::new(api.doors.log.id(), Topic::DeadLetters, &next).to_string());
    Ok(answer::json(&Page { letters, cursor }))
}

/// The last decision about each origin, with its offset.
pub async fn decisions(
    api: &Api,
    start: &[Position],
    ends: &[Position],
) -> Result<HashMap<String, (u64, Decision)>, ApiError> {
    let mut decisions = HashMap::new();
    scan(api, start.to_vec(), ends, |record| {
        if record.value.is_none()
            && let Some(key) = record.key.as_deref()
        {
            let origin = String::from_utf8_lossy(key).into_owned();
            decisions.insert(origin, (record.position.offset, Decision::read(&record)));
        }
        ControlFlow::Continue(())
    })
    .await?;
    Ok(decisions)
}

async fn start(api: &Api, after: Option<String>, since: Option<String>) -> Result<Vec<Position>, ApiError> {
    let topic = Topic::DeadLetters;
    if let Some(text) = after {
        let refused = |error: eventlog::CursorError| ApiError::invalid(format!("after: {error}"));
        let cursor: Cursor = text.parse().map_err(refused)?;
        let named = cursor.positions(api.doors.log.id(), topic).map_err(refused)?;
        // What has left the log meanwhile is not there to be listed.
        let mut start = starts(api, topic).await?;
        for place in &mut start {
            let at = named.iter().find(|at| at.partition == place.partition);
            place.offset = place.offset.max(at.map_or(0, |at| at.offset));
        }
        return Ok(start);
    }
    match since {
        None => starts(api, topic).await,
        Some(text) => {
            let ms =
                time::from(&text).ok_or_else(|| ApiError::invalid("since is not a time (2020-07-05T22:25:41Z)"))?;
            Ok(api.doors.log.offsets_at(topic, ms).await?)
        }
    }
}

fn limit(text: Option<String>) -> Result<usize, ApiError> {
    let Some(text) = text else { return Ok(DEFAULT_LIMIT) };
    let number = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    number.ok_or_else(|| ApiError::invalid(format!("limit is not a number from 1 to {MAX_LIMIT}")))
}
