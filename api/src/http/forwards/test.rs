//! A forward is tried with the newest mail that its rule has: what the receiver answers is said at once.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use mailstore::{ListQuery, Scope};
use schemas::{EntryId, Event, Topic, codec};
use serde::Serialize;
use tokio::time::Instant;

use super::attempts::AttemptObject;
use super::called;
use super::due::{Mail, Placed, asked_for, put};
use super::scan::{ends, partition_of, scan};
use crate::http::doors::Api;
use crate::http::error::ApiError;
use crate::http::request::{Asked, At};
use crate::http::{answer, write};

/// How long the answer waits for the first attempt.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(60);
const GLANCE: Duration = Duration::from_millis(50);

#[derive(Debug, Serialize)]
struct Tested {
    delivery: String,
    /// The mail that was told.
    entry: String,
    /// Null when none has been made in time: it is due.
    attempt: Option<AttemptObject>,
}

pub async fn test(State(api): State<Arc<Api>>, At(id): At<String>, asked: Asked) -> Result<Response, ApiError> {
    let (rule, is_on) = called(&api, &asked.caller, &id)?;
    if !is_on {
        return Err(ApiError::Refused("This forward is off: resume it first.".into()));
    }
    let newest = ListQuery { scope: Scope::Inbox(rule), until_ms: None, after: None, limit: 1 };
    let entry = api.doors.store.list(&newest).await?.pop();
    let entry = entry.ok_or(ApiError::Refused("Its inbox holds no mail to be told: send one to it.".into()))?;
    let entry_id: EntryId = entry.id.parse().map_err(|_| ApiError::Fault)?;
    let origin = format!("test-{}", write::new_id());
    let index = i32::try_from(entry_id.index).map_err(|_| ApiError::Fault)?;
    let mail = Mail { message: &entry_id.message, index, arrived_at: entry.received_at, routed_offset: 0 };
    let due = asked_for(&api, mail, &id, &origin);
    let delivery = due.delivery_id.clone();
    let partition = partition_of(&api, &entry_id.message).await?;
    let mut from = ends(&api, Topic::ForwardAttempts).await?;
    from.retain(|place| place.partition == partition);
    put(&api, &[Placed { partition, due }]).await?;
    let until = Instant::now() + ATTEMPT_LIMIT;
    loop {
        let mut found = None;
        let now = ends(&api, Topic::ForwardAttempts).await?;
        scan(&api, from.clone(), &now, |record| {
            let is_ours = record.key.as_deref() == Some(delivery.as_bytes());
            let value = record.value.as_deref().filter(|_| is_ours);
            match value.map(|value| codec::decode(Topic::ForwardAttempts, value)) {
                Some(Ok(Event::Attempt(attempt))) => {
                    found = Some(AttemptObject::from(&attempt));
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        })
        .await?;
        if found.is_some() || Instant::now() > until {
            return Ok(answer::json(&Tested { delivery, entry: entry.id, attempt: found }));
        }
        from = now.into_iter().filter(|place| place.partition == partition).collect();
        tokio::time::sleep(GLANCE).await;
    }
}
