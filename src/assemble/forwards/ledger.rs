//! What follows from an attempt, appended in one go: the attempt, what is due from now on or its end, the letter of what
//! was given up, and the event that switches a forward off.

use std::ops::ControlFlow;
use std::sync::Arc;

use async_trait::async_trait;
use eventlog::Log;
use schemas::event::{AccountChange, AccountEvent, DeadLetter, ForwardAttempt, ForwardDue};
use schemas::record::{Offset, Partition};
use schemas::{Event, MessageId, NewRecord, Position, Record, Topic, codec};
use sinks::forward::{Clock, Ledger, LedgerError, Next, Recorded, SwitchedOff, SystemClock};

use super::GROUP;

/// The attempts of one delivery lie within three days; a forward that is switched off meanwhile holds them longer.
const STORY_MS: i64 = 30 * 24 * 60 * 60 * 1000;

pub struct OnLog {
    pub log: Arc<dyn Log>,
}

#[async_trait]
impl Ledger for OnLog {
    async fn record(&self, recorded: &Recorded) -> Result<Offset, LedgerError> {
        let positions = self.log.append(records(recorded)?).await.map_err(failed)?;
        let due = positions.iter().find(|position| position.topic == Topic::ForwardDue);
        due.map(|position| position.offset).ok_or_else(|| failed("the log gave no place"))
    }

    async fn attempts(&self, partition: Partition, delivery_id: &str) -> Result<Vec<ForwardAttempt>, LedgerError> {
        let since = SystemClock.now_ms().saturating_sub(STORY_MS);
        let starts = self.log.offsets_at(Topic::ForwardAttempts, since).await.map_err(failed)?;
        let ends = self.log.bounds(Topic::ForwardAttempts).await.map_err(failed)?;
        let start = starts.into_iter().find(|start| start.partition == partition);
        let end = ends.iter().find(|bounds| bounds.partition == partition).map_or(0, |bounds| bounds.end);
        let (Some(start), end) = (start, Position::new(Topic::ForwardAttempts, partition, end)) else {
            return Ok(Vec::new());
        };
        let mut attempts = Vec::new();
        let take = |record: Record| {
            if record.key.as_deref() == Some(delivery_id.as_bytes())
                && let Some(value) = &record.value
                && let Ok(Event::Attempt(attempt)) = codec::decode(Topic::ForwardAttempts, value)
            {
                attempts.push(attempt);
            }
            ControlFlow::Continue(())
        };
        eventlog::scan(self.log.as_ref(), vec![start], &[end], take).await.map_err(failed)?;
        Ok(attempts)
    }
}

fn records(recorded: &Recorded) -> Result<Vec<NewRecord>, LedgerError> {
    let Recorded { partition, due, attempt, next, off } = recorded;
    let key = due.delivery_id.clone();
    let attempted = value(&Event::Attempt(attempt.clone()))?;
    let mut records = vec![NewRecord::new(Topic::ForwardAttempts, key.clone(), attempted).in_partition(*partition)];
    records.push(match next {
        Next::Due(due) => {
            NewRecord::new(Topic::ForwardDue, key, value(&Event::Due(due.clone()))?).in_partition(*partition)
        }
        Next::Ended { .. } => tombstone(key, *partition),
    });
    if let Next::Ended { story: Some(story) } = next {
        records.push(letter(*partition, due, story)?);
    }
    if let Some(off) = off {
        records.push(switched_off(off, attempt.at)?);
    }
    Ok(records)
}

fn tombstone(key: String, partition: Partition) -> NewRecord {
    NewRecord { value: None, ..NewRecord::new(Topic::ForwardDue, key, bytes::Bytes::new()).in_partition(partition) }
}

/// The letter holds what was due. It stands under the delivery's id, since what was due may be compacted away.
fn letter(partition: Partition, due: &ForwardDue, story: &str) -> Result<NewRecord, LedgerError> {
    let origin = format!("{}/{partition}/{}", Topic::ForwardDue, due.delivery_id);
    let routed = Position::new(Topic::MailRouted, partition, due.routed_offset.unsigned_abs());
    let letter = DeadLetter {
        origin: origin.clone(),
        topic: Topic::ForwardDue.name().to_owned(),
        partition: i32::try_from(partition).unwrap_or(i32::MAX),
        offset: -1,
        stage: GROUP.to_owned(),
        cause: format!("{story} (routed at {}/{}/{})", routed.topic, routed.partition, routed.offset),
        timestamp: due.arrived_at,
        key: Some(due.delivery_id.clone().into_bytes()),
        headers: Vec::new(),
        value: value(&Event::Due(due.clone()))?.to_vec(),
    };
    Ok(NewRecord::new(Topic::DeadLetters, origin, value(&Event::Dead(letter))?))
}

/// By the server itself.
fn switched_off(off: &SwitchedOff, at: i64) -> Result<NewRecord, LedgerError> {
    let change = AccountChange::ForwardSwitched {
        forward: off.forward.clone(),
        owner: off.owner.clone(),
        on: false,
        cause: off.cause.clone(),
    };
    let event_id = MessageId::from_parts(at, rand::random()).to_string();
    let event = Event::Account(AccountEvent { event_id, at, by: None, change });
    Ok(NewRecord::new(Topic::Accounts, off.forward.clone(), value(&event)?))
}

fn value(event: &Event) -> Result<bytes::Bytes, LedgerError> {
    codec::encode(event).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> LedgerError {
    LedgerError(error.to_string())
}
