//! The one way in which the doors change something: an event goes to the log, and the answer waits until the tables or
//! the store show it. The log decides who wins; nothing is locked or compared beforehand.

use std::time::Duration;

use schemas::event::{AccountChange, AccountEvent, ActionChange, MailAction};
use schemas::{EntryId, Event, MessageId, NewRecord, Position, Topic, codec};

use super::doors::Api;
use super::error::ApiError;
use super::key::Caller;
use super::time::now_ms;

/// How long an answer waits for what it has logged to show.
pub const SHOWN_LIMIT: Duration = Duration::from_secs(5);

/// Asks for a change to the accounts, and waits until it is decided. Returns the event's id, by which the table says
/// who won.
pub async fn account(api: &Api, by: &Caller, entity: &str, change: AccountChange) -> Result<String, ApiError> {
    let event_id = new_id();
    let event = AccountEvent { event_id: event_id.clone(), at: now_ms(), by: Some(by.id.clone()), change };
    let record = record(entity, &Event::Account(event))?;
    let positions = api.doors.log.append(vec![record]).await?;
    let next = positions.iter().map(|position| position.next().offset).max().unwrap_or(0);
    if api.doors.accounts.reach(next, SHOWN_LIMIT).await { Ok(event_id) } else { Err(ApiError::LoggedNotShown) }
}

/// Says what the caller did to these entries, and waits until the store shows it.
pub async fn act(api: &Api, by: &Caller, actions: Vec<(EntryId, ActionChange)>) -> Result<(), ApiError> {
    act_and(api, by, actions, Vec::new()).await
}

/// The same with what follows from it, appended together.
pub async fn act_and(
    api: &Api,
    by: &Caller,
    actions: Vec<(EntryId, ActionChange)>,
    also: Vec<NewRecord>,
) -> Result<(), ApiError> {
    if actions.is_empty() {
        return Ok(());
    }
    let at = now_ms();
    let mut records = also;
    for (entry, change) in actions {
        let key = entry.message.to_string();
        let index = i32::try_from(entry.index).map_err(|_| ApiError::Fault)?;
        let action = MailAction { message_id: entry.message, index, at, by: by.id.clone(), change };
        records.push(record(&key, &Event::Action(action))?);
    }
    let positions = api.doors.log.append(records).await?;
    shown(api, &positions).await
}

/// Waits until the store shows what stands at these places.
async fn shown(api: &Api, positions: &[Position]) -> Result<(), ApiError> {
    let deadline = tokio::time::Instant::now() + SHOWN_LIMIT;
    for position in last_of_each(positions) {
        // The store shows nothing of the others.
        if position.topic != Topic::MailActions {
            continue;
        }
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        if !api.doors.shown.reach(position.next(), left).await {
            return Err(ApiError::LoggedNotShown);
        }
    }
    Ok(())
}

fn last_of_each(positions: &[Position]) -> Vec<Position> {
    let mut last: Vec<Position> = Vec::new();
    for position in positions {
        match last.iter_mut().find(|seen| (seen.topic, seen.partition) == (position.topic, position.partition)) {
            Some(seen) => seen.offset = seen.offset.max(position.offset),
            None => last.push(*position),
        }
    }
    last
}

/// The record of an event; the log chooses the partition by the key.
pub fn record(key: &str, event: &Event) -> Result<NewRecord, ApiError> {
    let value = codec::encode(event).map_err(|error| {
        tracing::error!(%error, "an event can't be written");
        ApiError::Fault
    })?;
    Ok(NewRecord::new(event.topic(), key.as_bytes().to_vec(), value))
}

/// An id that nobody has drawn before, in the order of time.
pub fn new_id() -> String {
    new_message_id(now_ms()).to_string()
}

pub fn new_message_id(at_ms: i64) -> MessageId {
    MessageId::from_parts(at_ms, rand::random())
}
