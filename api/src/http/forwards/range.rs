//! Which attempts are meant: a time, an outcome, a message, a delivery, read from a query or a body.

use schemas::MessageId;
use schemas::event::{AttemptOutcome, ForwardAttempt};

use super::MAX_ID_BYTES;
use super::scan::arrived_at;
use crate::http::error::ApiError;
use crate::http::time;

/// Without a time, attempts are looked for in the last week.
const USUAL_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// A message's first attempt may be logged a little before its arrival by another clock.
const SLACK_MS: i64 = 60 * 1000;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    pub since_ms: i64,
    pub until_ms: Option<i64>,
    pub outcome: Option<AttemptOutcome>,
    pub message: Option<MessageId>,
    pub delivery: Option<String>,
    /// Whether anything narrows it down.
    pub is_narrow: bool,
}

impl Range {
    /// Reads `since`, `until`, `outcome`, `message` and `delivery` with what gives a text of that name.
    pub fn read(mut text: impl FnMut(&str) -> Result<Option<String>, ApiError>) -> Result<Self, ApiError> {
        let mut get = |name: &str| Ok::<_, ApiError>(text(name)?.filter(|text| !text.is_empty()));
        let instant = |name: &str, text: Option<String>| {
            let read =
                text.map(|text| time::from(&text).ok_or_else(|| ApiError::invalid(format!("{name} is not a time"))));
            read.transpose()
        };
        let since = instant("since", get("since")?)?;
        let until_ms = instant("until", get("until")?)?;
        let outcome = get("outcome")?.map(|text| outcome_of(&text)).transpose()?;
        let message = get("message")?.map(|text| message_of(&text)).transpose()?;
        let delivery = get("delivery")?;
        if delivery.as_ref().is_some_and(|id| id.len() > MAX_ID_BYTES) {
            return Err(ApiError::invalid("delivery is not the id of one"));
        }
        let usual = || match &message {
            Some(message) => arrived_at(message).saturating_sub(SLACK_MS),
            // The id says nothing of when it was.
            None if delivery.is_some() => 0,
            None => time::now_ms().saturating_sub(USUAL_MS),
        };
        let since_ms = since.unwrap_or_else(usual);
        let is_narrow =
            since.is_some() || until_ms.is_some() || outcome.is_some() || message.is_some() || delivery.is_some();
        Ok(Self { since_ms, until_ms, outcome, message, delivery, is_narrow })
    }

    /// Whether an attempt is meant, whatever its outcome.
    pub fn holds(&self, attempt: &ForwardAttempt) -> bool {
        attempt.at >= self.since_ms
            && self.until_ms.is_none_or(|until| attempt.at <= until)
            && self.message.as_ref().is_none_or(|message| attempt.message_id == *message)
            && self.delivery.as_ref().is_none_or(|id| attempt.delivery_id == *id)
    }
}

/// A message's id, or an entry's.
fn message_of(text: &str) -> Result<MessageId, ApiError> {
    let id = text.split('-').next().unwrap_or_default();
    id.parse().map_err(|_| ApiError::invalid("message is not the id of one"))
}

const OUTCOMES: [AttemptOutcome; 5] = [
    AttemptOutcome::Delivered,
    AttemptOutcome::Later,
    AttemptOutcome::Refused,
    AttemptOutcome::Exhausted,
    AttemptOutcome::Dropped,
];

fn outcome_of(text: &str) -> Result<AttemptOutcome, ApiError> {
    OUTCOMES.into_iter().find(|known| word(*known) == text).ok_or_else(|| {
        let words: Vec<&str> = OUTCOMES.into_iter().map(word).collect();
        ApiError::invalid(format!("outcome is not one of {}", words.join(", ")))
    })
}

pub const fn word(outcome: AttemptOutcome) -> &'static str {
    match outcome {
        AttemptOutcome::Delivered => "delivered",
        AttemptOutcome::Later => "later",
        AttemptOutcome::Refused => "refused",
        AttemptOutcome::Exhausted => "exhausted",
        AttemptOutcome::Dropped => "dropped",
        AttemptOutcome::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Range, ApiError> {
        Range::read(|name| Ok(pairs.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())))
    }

    #[test]
    fn a_range_is_narrowed_by_what_is_said_and_what_is_wrong_is_refused() {
        assert!(!read(&[]).unwrap().is_narrow);
        let range = read(&[("since", "2025-11-24T10:00:00Z"), ("outcome", "exhausted")]).unwrap();
        assert!(range.is_narrow && range.outcome == Some(AttemptOutcome::Exhausted) && range.since_ms > 0);
        for wrong in [("since", "yesterday"), ("until", "7"), ("outcome", "lost"), ("message", "../x")] {
            assert!(read(&[wrong]).is_err(), "{wrong:?}");
        }
        let delivery = "d".repeat(MAX_ID_BYTES);
        assert!(read(&[("delivery", &delivery)]).is_ok());
        assert!(read(&[("delivery", &format!("{delivery}d"))]).is_err());
    }
}
