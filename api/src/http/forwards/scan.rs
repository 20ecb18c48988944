//! Reading a topic from a place up to the end that it has at the call, record by record.

use std::ops::ControlFlow;

use schemas::record::Partition;
use schemas::{MessageId, Position, Record, Topic};

use crate::http::doors::Api;
use crate::http::error::ApiError;

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
    take: impl FnMut(Record) -> ControlFlow<()> + Send,
) -> Result<(), ApiError> {
    Ok(eventlog::scan(api.doors.log.as_ref(), from, ends, take).await?)
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
