//! The dead letter of a record that can't be processed: where it stood, why, and the record, cut where it is too long.

use schemas::event::{DeadLetter, HeaderField};
use schemas::{Event, NewRecord, Record, Topic, codec};

/// The longest value that a dead letter carries. What is longer is cut, with a note: the whole record stands where
/// the letter says, as long as its topic keeps it.
pub const DEAD_LETTER_VALUE_BYTES: usize = 1 << 20;
/// The longest cause, in characters: causes may quote what a peer sent.
pub const DEAD_LETTER_CAUSE_CHARS: usize = 500;
/// The longest key, and the longest sum of headers.
const SMALL_FIELD_BYTES: usize = 16 << 10;

/// The record of `dead.letters`; `None` when even that can't be written.
pub fn dead_letter(stage: &str, record: &Record, cause: &str) -> Option<NewRecord> {
    let position = record.position;
    let origin = format!("{}/{}/{}", position.topic, position.partition, position.offset);
    let letter = DeadLetter {
        origin: origin.clone(),
        topic: position.topic.name().to_owned(),
        partition: i32::try_from(position.partition).unwrap_or(i32::MAX),
        offset: i64::try_from(position.offset).unwrap_or(i64::MAX),
        stage: stage.to_owned(),
        cause: noted_cause(record, cause),
        timestamp: record.timestamp_ms,
        key: record.key.as_ref().map(|key| cut(key, SMALL_FIELD_BYTES).to_vec()),
        headers: headers(record),
        value: record.value.as_ref().map(|value| cut(value, DEAD_LETTER_VALUE_BYTES).to_vec()).unwrap_or_default(),
    };
    match codec::encode(&Event::Dead(letter)) {
        Ok(value) => Some(NewRecord::new(Topic::DeadLetters, origin, value)),
        Err(error) => {
            tracing::error!(topic = %position.topic, partition = position.partition, offset = position.offset, %error, "a dead letter can't be written");
            None
        }
    }
}

fn noted_cause(record: &Record, cause: &str) -> String {
    let mut text: String = cause.chars().take(DEAD_LETTER_CAUSE_CHARS).collect();
    let size_bytes = record.value.as_ref().map_or(0, bytes::Bytes::len);
    if size_bytes > DEAD_LETTER_VALUE_BYTES {
        text.push_str(&format!(" (value cut from {size_bytes} to {DEAD_LETTER_VALUE_BYTES} bytes)"));
    }
    if record.value.is_none() {
        text.push_str(" (without a value)");
    }
    text
}

fn headers(record: &Record) -> Vec<HeaderField> {
    let mut room = SMALL_FIELD_BYTES;
    let mut fields = Vec::new();
    for header in &record.headers {
        let Some(left) = room.checked_sub(header.name.len() + header.value.len()) else { break };
        room = left;
        let value = String::from_utf8_lossy(&header.value).into_owned();
        fields.push(HeaderField { name: header.name.clone(), value });
    }
    fields
}

fn cut(bytes: &[u8], limit: usize) -> &[u8] {
    bytes.get(..limit).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use schemas::Position;
    use schemas::record::Header;

    use super::*;

    fn record(value: Option<Vec<u8>>) -> Record {
        Record {
            position: Position::new(Topic::MailRaw, 2, 9),
            timestamp_ms: 5,
            key: Some(Bytes::from_static(b"k")),
            headers: vec![Header { name: "a".into(), value: Bytes::from_static(b"\xff") }],
            value: value.map(Bytes::from),
        }
    }

    fn letter(record: &Record, cause: &str) -> DeadLetter {
        let written = dead_letter("parse", record, cause).unwrap();
        match codec::decode(Topic::DeadLetters, written.value.as_ref().unwrap()).unwrap() {
            Event::Dead(letter) => letter,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_dead_letter_says_where_the_record_stood_and_why() {
        let letter = letter(&record(Some(vec![1, 2])), "no sense");
        assert_eq!((letter.origin.as_str(), letter.offset, letter.partition), ("mail.raw/2/9", 9, 2));
        assert_eq!((letter.stage.as_str(), letter.cause.as_str(), letter.timestamp), ("parse", "no sense", 5));
        assert_eq!((letter.key, letter.value), (Some(b"k".to_vec()), vec![1, 2]));
        assert_eq!(letter.headers[0].value, "\u{fffd}");
    }

    #[test]
    fn a_value_at_the_limit_is_whole_and_one_past_it_is_cut_with_a_note() {
        let whole = letter(&record(Some(vec![7; DEAD_LETTER_VALUE_BYTES])), "c");
        assert_eq!((whole.value.len(), whole.cause.as_str()), (DEAD_LETTER_VALUE_BYTES, "c"));
        let cut = letter(&record(Some(vec![7; DEAD_LETTER_VALUE_BYTES + 1])), "c");
        assert_eq!(cut.value.len(), DEAD_LETTER_VALUE_BYTES);
        assert!(cut.cause.contains("cut from 1048577"), "{}", cut.cause);
    }

    #[test]
    fn a_cause_is_cut_at_its_limit() {
        assert_eq!(letter(&record(None), &"ü".repeat(600)).cause.matches('ü').count(), DEAD_LETTER_CAUSE_CHARS);
    }
}
