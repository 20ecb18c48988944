//! One record that could not be processed: every letter about it, and the record as far as the letter carries it.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use schemas::event::{DeadLetter, HeaderField};
use schemas::{Position, Topic, codec};
use serde::Serialize;

use super::list::Listed;
use super::outcome::Decision;
use super::{Origin, letter, name_of};
use crate::http::answer;
use crate::http::doors::Api;
use crate::http::error::ApiError;
use crate::http::forwards::scan::{ends, scan, starts};
use crate::http::key::Administrator;
use crate::http::request::At;

/// Bytes of a value that is shown as hexadecimal digits.
const MAX_HEX_BYTES: usize = 64 << 10;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    origin: String,
    /// One a stage that could not process it.
    letters: Vec<Listed>,
    decision: Option<Decision>,
    headers: Vec<HeaderField>,
    key_hex: Option<String>,
    /// The value, where it can be read now.
    event: Option<serde_json::Value>,
    /// Why it can't, and the beginning of its bytes.
    error: Option<String>,
    value_hex: Option<String>,
    value_bytes: usize,
}

/// What `dead.letters` says of one origin.
pub struct Case {
    pub letters: Vec<(i64, DeadLetter)>,
    /// Later than every letter.
    pub decision: Option<Decision>,
}

pub async fn show(_: Administrator, State(api): State<Arc<Api>>, At(origin): At<Origin>) -> Result<Response, ApiError> {
    let origin = origin.position()?;
    let case = case(&api, origin).await?;
    let (_, last) = case.letters.last().ok_or_else(no_letter)?;
    let (event, error) = match codec::decode(origin.topic, &last.value) {
        Ok(event) => (Some(codec::event_json(&event)), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let start = last.value.get(..MAX_HEX_BYTES).unwrap_or(&last.value);
    let value_hex = event.is_none().then(|| hex(start));
    let decision = case.decision;
    let letters = case.letters.iter().map(|(at, letter)| Listed::new(letter, *at, decision.clone())).collect();
    Ok(answer::json(&Shown {
        origin: name_of(origin),
        letters,
        decision,
        headers: last.headers.clone(),
        key_hex: last.key.as_deref().map(hex),
        event,
        error,
        value_hex,
        value_bytes: last.value.len(),
    }))
}

/// Every letter about the origin, and what was decided since the last one.
pub async fn case(api: &Api, origin: Position) -> Result<Case, ApiError> {
    let name = name_of(origin);
    let mut case = Case { letters: Vec::new(), decision: None };
    let ends = ends(api, Topic::DeadLetters).await?;
    scan(api, starts(api, Topic::DeadLetters).await?, &ends, |record| {
        if record.key.as_deref() == Some(name.as_bytes()) {
            match letter(&record) {
                Some(letter) => {
                    case.letters.push((record.timestamp_ms, letter));
                    case.decision = None;
                }
                None if record.value.is_none() => case.decision = Some(Decision::read(&record)),
                None => {}
            }
        }
        ControlFlow::Continue(())
    })
    .await?;
    if case.letters.is_empty() { Err(no_letter()) } else { Ok(case) }
}

fn no_letter() -> ApiError {
    ApiError::NotFound("There is no dead letter of this record.".into())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
