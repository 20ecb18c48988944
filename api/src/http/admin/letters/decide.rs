//! What becomes of a record that could not be processed: it is put back, or left.
//!
//! Put back means appended once more to its own topic and partition, key, headers and value untouched: every stage, on
//! every node, and every later rebuild see the same record, and what follows from it has the ids that it would have had
//! (a message keeps its id, a delivery its own). What follows counts as if it were new: a flag that was set meanwhile
//! is set back by an action that is put back.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use eventlog::LogError;
use eventlog::runner::DEAD_LETTER_VALUE_BYTES;
use schemas::event::DeadLetter;
use schemas::record::Header;
use schemas::{NewRecord, Position, Record};
use serde::Serialize;

use super::outcome::{Decision, ending};
use super::show::{Case, case};
use super::{Origin, name_of};
use crate::http::answer;
use crate::http::doors::Api;
use crate::http::error::ApiError;
use crate::http::forwards::scan::scan;
use crate::http::key::administrator;
use crate::http::request::{Asked, At};

#[derive(Serialize)]
struct Decided {
    origin: String,
    /// Where it stands now, if it was put back.
    place: Option<String>,
}

/// `again` puts back once more what something was decided about already.
pub async fn retry(State(api): State<Arc<Api>>, At(origin): At<Origin>, asked: Asked) -> Result<Response, ApiError> {
    let caller = administrator(asked.caller)?.0;
    let again = asked.members.switch("again")?.unwrap_or(false);
    let origin = origin.position()?;
    let _turn = api.letters_turn.acquire().await.map_err(|_| ApiError::Unavailable)?;
    let case = case(&api, origin).await?;
    if let Some(decision) = case.decision.as_ref().filter(|_| !again) {
        return Err(decided_already(decision));
    }
    let record = whole(&api, origin, &case).await?;
    let places = api.doors.log.append(vec![record]).await.map_err(|error| match error {
        LogError::TooLarge { .. } => ApiError::Refused(error.to_string().into()),
        other => other.into(),
    })?;
    let place = places.first().map(|place| name_of(*place)).ok_or(ApiError::Fault)?;
    // A kill in between leaves the letter open: put back twice, the record comes to the same.
    let name = name_of(origin);
    api.doors.log.append(vec![ending(&name, &caller.id, Some(&place))]).await?;
    tracing::info!(origin = name, place, by = caller.id, "a dead letter is put back");
    Ok(answer::json(&Decided { origin: name, place: Some(place) }))
}

pub async fn drop_it(State(api): State<Arc<Api>>, At(origin): At<Origin>, asked: Asked) -> Result<Response, ApiError> {
    let caller = administrator(asked.caller)?.0;
    let origin = origin.position()?;
    let _turn = api.letters_turn.acquire().await.map_err(|_| ApiError::Unavailable)?;
    if let Some(decision) = case(&api, origin).await?.decision {
        return Err(decided_already(&decision));
    }
    let name = name_of(origin);
    api.doors.log.append(vec![ending(&name, &caller.id, None)]).await?;
    tracing::info!(origin = name, by = caller.id, "a dead letter is dropped");
    Ok(answer::json(&Decided { origin: name, place: None }))
}

fn decided_already(decision: &Decision) -> ApiError {
    let text = match &decision.place {
        Some(place) => format!("It was put back already, as {place}, at {}.", decision.at),
        None => format!("It was ended already, at {}.", decision.at),
    };
    ApiError::Refused(text.into())
}

/// The record as it stood: from its own place, or else from the letter, where that carries all of it.
async fn whole(api: &Api, origin: Position, case: &Case) -> Result<NewRecord, ApiError> {
    if let Some(record) = standing(api, origin).await? {
        let Record { key, headers, value, position, .. } = record;
        return Ok(NewRecord { topic: position.topic, partition: Some(position.partition), key, headers, value });
    }
    let gone =
        || ApiError::Gone("The record is not on the log any more, and its letter carries only its start.".into());
    let (_, letter) = case.letters.last().ok_or_else(gone)?;
    // The letter says nothing of a record that had no value, or could not be read.
    let is_whole = !letter.value.is_empty() && letter.value.len() < DEAD_LETTER_VALUE_BYTES;
    if is_whole { Ok(of_letter(origin, letter)) } else { Err(gone()) }
}

fn of_letter(origin: Position, letter: &DeadLetter) -> NewRecord {
    let header = |field: &schemas::event::HeaderField| Header {
        name: field.name.clone(),
        value: field.value.as_bytes().to_vec().into(),
    };
    NewRecord {
        topic: origin.topic,
        partition: Some(origin.partition),
        key: letter.key.clone().map(Into::into),
        headers: letter.headers.iter().map(header).collect(),
        value: Some(letter.value.clone().into()),
    }
}

/// What stands at the place now; nothing where the log has given it up, or can't read it.
async fn standing(api: &Api, origin: Position) -> Result<Option<Record>, ApiError> {
    let bounds = api.doors.log.bounds(origin.topic).await?;
    let is_there = |bounds: &eventlog::Bounds| {
        bounds.partition == origin.partition && (bounds.earliest..bounds.end).contains(&origin.offset)
    };
    if !bounds.iter().any(is_there) {
        return Ok(None);
    }
    let mut found = None;
    scan(api, vec![origin], &[origin.next()], |record| {
        if record.position == origin {
            found = Some(record);
        }
        ControlFlow::Break(())
    })
    .await?;
    Ok(found)
}
