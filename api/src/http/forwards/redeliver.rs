//! What was told is told again: one delivery, or those of a time, an outcome, a message. Each is a delivery of its own,
//! under an id of its own; one that is still due is only tried at once, under the id that it has.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use schemas::event::ForwardAttempt;
use schemas::record::Partition;
use serde::Serialize;

use super::due::{Mail, Placed, asked_for, put, standing};
use super::range::Range;
use super::{attempts, is_open, with};
use crate::http::doors::Api;
use crate::http::error::ApiError;
use crate::http::request::{Asked, At};
use crate::http::{answer, write};

/// Deliveries that one request may ask for: they stand in memory until they are logged.
pub const MAX_REDELIVERED: usize = 100_000;
const MAX_TEXT_BYTES: usize = 200;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Redelivered {
    /// Deliveries that are made due.
    deliveries: usize,
    /// Deliveries that are due already and tried at once.
    retried: usize,
    dry_run: bool,
    /// What they are asked for by.
    origin: Option<String>,
}

/// Of one forward.
pub async fn one(State(api): State<Arc<Api>>, At(id): At<String>, asked: Asked) -> Result<Response, ApiError> {
    with(&api, &asked.caller, &id, |_, _| ())?;
    redeliver(&api, asked, Some(id)).await
}

/// Of every forward that the caller may move.
pub async fn any(State(api): State<Arc<Api>>, asked: Asked) -> Result<Response, ApiError> {
    redeliver(&api, asked, None).await
}

async fn redeliver(api: &Api, asked: Asked, forward: Option<String>) -> Result<Response, ApiError> {
    let Asked { caller, members } = asked;
    let range = Range::read(|name| members.text(name, MAX_TEXT_BYTES))?;
    if !range.is_narrow {
        return Err(ApiError::invalid("say what is to be told again: delivery, message, since, until or outcome"));
    }
    let dry_run = members.switch("dryRun")?.unwrap_or(false);
    let last = last_attempts(api, &range, forward.as_deref()).await?;
    let due = standing(api).await?;
    let origin = format!("redelivery-{}", write::new_id());
    let (mut again, mut retried) = (Vec::new(), Vec::new());
    for (partition, attempt) in last.into_values() {
        // The outcome that counts is the one that it has in the end.
        if range.outcome.is_some_and(|outcome| outcome != attempt.outcome) {
            continue;
        }
        let forward = &attempt.forward;
        if !api.table(|table| table.forward(forward).is_some_and(|known| is_open(&caller, known.owner))) {
            continue;
        }
        if let Some(waits) = due.get(&attempt.delivery_id) {
            let mut waits = waits.clone();
            waits.due.next_at = 0;
            retried.push(waits);
            continue;
        }
        let arrived_at = super::scan::arrived_at(&attempt.message_id);
        let mail = Mail { message: &attempt.message_id, index: attempt.index, arrived_at, routed_offset: 0 };
        let due = asked_for(api, mail, forward, &origin);
        again.push(Placed { partition, due });
    }
    again.sort_by(|one, other| {
        (one.due.arrived_at, &one.due.message_id).cmp(&(other.due.arrived_at, &other.due.message_id))
    });
    // Several deliveries of one message to one forward are told again once.
    let mut seen = std::collections::HashSet::new();
    again.retain(|one| seen.insert(one.due.delivery_id.clone()));
    if !dry_run {
        put(api, &again).await?;
        put(api, &retried).await?;
    }
    let origin = (!dry_run).then_some(origin);
    Ok(answer::json(&Redelivered { deliveries: again.len(), retried: retried.len(), dry_run, origin }))
}

/// The last attempt of each delivery that is meant.
async fn last_attempts(
    api: &Api,
    range: &Range,
    forward: Option<&str>,
) -> Result<BTreeMap<String, (Partition, ForwardAttempt)>, ApiError> {
    let mut last = BTreeMap::new();
    attempts::each(api, range, |position, attempt| {
        if forward.is_none_or(|forward| attempt.forward == forward) {
            last.insert(attempt.delivery_id.clone(), (position.partition, attempt));
        }
        if last.len() > MAX_REDELIVERED { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .await?;
    if last.len() > MAX_REDELIVERED {
        let fault = format!("these are more than {MAX_REDELIVERED} deliveries: take a shorter time");
        return Err(ApiError::invalid(fault));
    }
    Ok(last)
}
