//! Reading a topic from a place up to the end that it has at the call, record by record.

use std::ops::ControlFlow;
use std::time::Duration;

use eventlog::{Limits, LogError};
use schemas::record::Partition;
use schemas::{MessageId, Position, Record, Topic};

use crate::http::doors::Api;
use crate::http::error::ApiError;

const BATCH: Limits = Limits { records: 500, bytes: 2 << 20, wait: Duration::ZERO };

/// The ends of a topic now.
pub async fn ends(api: &Api, topic: Topic) -> Result<Vec<Position>, ApiError> {
    let bounds = api.doors.log.bounds(topic).await?;
    Ok(bounds.iter().map(|bounds| Position::new(topic, bounds.partition, bounds.end)).collect())
}

pub async fn starts(api: &Api, topic: Topic) -> Result<Vec<Position>, ApiError> {
    let bounds = api.doors.log.bounds(topic).await?;
    Ok(bounds.iter().map(|bounds| Position::new(topic, bounds.partition, bounds.earliest)).collect())
}

/// Hands every record between `from` and `ends` to `take`, in order within a partition, until it breaks off. What can't
/// be read is passed over.
pub async fn scan(
    api: &Api,
    from: Vec<Position>,
    ends: &[Position],
    mut take: impl FnMut(Record) -> ControlFlow<()> + Send,
) -> Result<(), ApiError> {
    for start in from {
        let Some(end) = ends.iter().find(|end| end.partition == start.partition) else { continue };
        if one(api, start, *end, &mut take).await?.is_break() {
            return Ok(());
        }
    }
    Ok(())
}

async fn one(
    api: &Api,
    start: Position,
    end: Position,
    take: &mut (impl FnMut(Record) -> ControlFlow<()> + Send),
) -> Result<ControlFlow<()>, ApiError> {
    let mut place = start;
    let mut tail = api.doors.log.tail(&[place]).await?;
    while place.offset < end.offset {
        let records = match tail.poll(&BATCH).await {
            Err(LogError::BadRecord { position, .. }) => {
                place = position.next();
                tail = api.doors.log.tail(&[place]).await?;
                continue;
            }
            polled => polled?,
        };
        // Before the end there may be gaps only.
        let Some(last) = records.last() else { break };
        place = last.position.next();
        for record in records {
            if record.position.offset < end.offset && take(record).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The partition that a message's records stand in: they follow `mail.raw`, which goes by the key.
pub async fn partition_of(api: &Api, message: &MessageId) -> Result<Partition, ApiError> {
    let count = api.doors.log.bounds(Topic::MailRaw).await?.len();
    let count = Partition::try_from(count).map_err(|_| ApiError::Fault)?;
    Ok(eventlog::partition::of_key(message.as_str().as_bytes(), count))
}

/// When a message arrived, as its id says (a ULID): in milliseconds since 1970.
pub fn arrived_at(message: &MessageId) -> i64 {
    const ALPHABET: &str = "0123456789abcdefghjkmnpqrstvwxyz";
    const DIGITS_OF_TIME: usize = 10;
    let digits = message.as_str().chars().take(DIGITS_OF_TIME);
    digits.fold(0_i64, |ms, digit| {
        let value = ALPHABET.find(digit).and_then(|value| i64::try_from(value).ok()).unwrap_or(0);
        ms.wrapping_mul(32).wrapping_add(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_arrival_is_read_from_the_id() {
        for ms in [0, 1_700_000_000_123, 0xffff_ffff_ffff] {
            assert_eq!(arrived_at(&MessageId::from_parts(ms, [0xa5; 10])), ms);
        }
    }
}
