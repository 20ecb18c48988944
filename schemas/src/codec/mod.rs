//! Events to bytes and back: the schema registry's wire format (0x00, schema id big-endian, Avro datum).
//!
//! A value is written with the newest schema of its topic, and read with the schema that it names: one that this
//! program was built with, or one that [`learn`] was told of, since a newer program may have written to the same log.
//! A schema that isn't the newest is resolved to the newest by the names of fields, records and symbols (Avro
//! 1.11, "Schema Resolution"): what is new gets its default, what is gone is dropped.
//!
//! Bytes are not trusted: whatever they claim, reading them ends in an event or in a [`CodecError`], and nothing
//! longer than [`MAX_VALUE_BYTES`] is ever set aside for them.

mod bounds;
mod compiled;
mod learned;
mod resolve;

use std::fmt::Display;

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::compiled::Compiled;
use crate::{Event, Topic};

pub use self::learned::{MAX_LEARNED, MAX_SCHEMA_BYTES, learn};

/// The longest value, in bytes. The largest mail that may be configured has to stay below it by some KiB for its
/// envelope, and once more for the dead letter that may have to hold the whole record.
pub const MAX_VALUE_BYTES: usize = 64 * 1024 * 1024;

const MAGIC: u8 = 0;
/// The magic byte and the schema id.
const PREFIX_BYTES: usize = 5;
/// What the small fields of an event usually take: a first guess, so that the buffer seldom grows.
const USUAL_BYTES: usize = 512;
/// Causes are for people: Avro's may quote whole schemas.
const MAX_CAUSE_CHARS: usize = 300;

/// A value could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("the value is empty")]
    Empty,
    #[error("the value does not start with the magic byte 0x00 but with {0:#04x}")]
    Magic(u8),
    #[error("the value ends inside the schema id")]
    Short,
    #[error("the value has {bytes} bytes, more than {MAX_VALUE_BYTES}")]
    TooLong { bytes: usize },
    #[error("schema id {0} does not stand on the topic `schemas`")]
    UnknownSchema(i32),
    #[error("schema id {id} belongs to {found}, not to {expected}")]
    OtherTopic { id: i32, found: String, expected: Topic },
    #[error("the datum does not fit its schema: {0}")]
    Datum(String),
    #[error("schema id {id} can't be used: {cause}")]
    Schema { id: i32, cause: String },
}

/// The value of a record that holds this event.
pub fn encode(event: &Event) -> Result<Bytes, CodecError> {
    let compiled = compiled::newest(event.topic())?;
    let mut value = Vec::with_capacity(PREFIX_BYTES + USUAL_BYTES + large_bytes(event));
    value.push(MAGIC);
    value.extend_from_slice(&compiled.release.id.to_be_bytes());
    write_event(&compiled.writer, event, &mut value)?;
    if value.len() > MAX_VALUE_BYTES {
        return Err(CodecError::TooLong { bytes: value.len() });
    }
    Ok(Bytes::from(value))
}

/// The event that a value of this topic holds.
pub fn decode(topic: Topic, value: &[u8]) -> Result<Event, CodecError> {
    let (id, datum) = split(value)?;
    if let Some(known) = compiled::by_id(id)? {
        check_topic(id, known.release.topic, topic)?;
        let newest = compiled::newest(topic)?;
        if known.release.id == newest.release.id {
            return read_event(topic, &newest.reader, datum);
        }
        return read_resolved(topic, &known.reader, known.schema, newest, datum);
    }
    let learned = learned::by_id(id).ok_or(CodecError::UnknownSchema(id))?;
    check_topic(id, learned.topic, topic)?;
    let newest = compiled::newest(topic)?;
    let reader = GenericDatumReader::builder(&learned.schema).build().map_err(cause_of_datum)?;
    read_resolved(topic, &reader, &learned.schema, newest, datum)
}

/// The schema id that a value names.
pub fn schema_id(value: &[u8]) -> Result<i32, CodecError> {
    split(value).map(|(id, _)| id)
}

/// The event as people and scripts read it: the names of the schema, times in milliseconds, bytes as base64.
pub fn event_json(event: &Event) -> serde_json::Value {
    let json = match event {
        Event::Raw(raw) => serde_json::to_value(raw),
        Event::Parsed(parsed) => serde_json::to_value(parsed),
        Event::Scored(scored) => serde_json::to_value(scored),
        Event::Routed(routed) => serde_json::to_value(routed),
        Event::Action(action) => serde_json::to_value(action),
        Event::Correction(correction) => serde_json::to_value(correction),
        Event::Model(model) => serde_json::to_value(model),
        Event::Account(account) => serde_json::to_value(account),
        Event::Due(due) => serde_json::to_value(due),
        Event::Attempt(attempt) => serde_json::to_value(attempt),
        Event::Dead(dead) => serde_json::to_value(dead),
        Event::Schema(schema) => serde_json::to_value(schema),
    };
    json.unwrap_or(serde_json::Value::Null) // No event has a map, whose keys are all that could fail.
}

fn split(value: &[u8]) -> Result<(i32, &[u8]), CodecError> {
    if value.len() > MAX_VALUE_BYTES {
        return Err(CodecError::TooLong { bytes: value.len() });
    }
    match value {
        [] => Err(CodecError::Empty),
        [MAGIC, a, b, c, d, datum @ ..] => Ok((i32::from_be_bytes([*a, *b, *c, *d]), datum)),
        [MAGIC, ..] => Err(CodecError::Short),
        [other, ..] => Err(CodecError::Magic(*other)),
    }
}

fn check_topic(id: i32, found: Topic, expected: Topic) -> Result<(), CodecError> {
    if found == expected {
        return Ok(());
    }
    Err(CodecError::OtherTopic { id, found: found.name().to_owned(), expected })
}

fn write_event(writer: &GenericDatumWriter<'_>, event: &Event, to: &mut Vec<u8>) -> Result<(), CodecError> {
    match event {
        Event::Raw(raw) => write(writer, raw, to),
        Event::Parsed(parsed) => write(writer, parsed, to),
        Event::Scored(scored) => write(writer, scored, to),
        Event::Routed(routed) => write(writer, routed, to),
        Event::Action(action) => write(writer, action, to),
        Event::Correction(correction) => write(writer, correction, to),
        Event::Model(model) => write(writer, model, to),
        Event::Account(account) => write(writer, account, to),
        Event::Due(due) => write(writer, due, to),
        Event::Attempt(attempt) => write(writer, attempt, to),
        Event::Dead(dead) => write(writer, dead, to),
        Event::Schema(schema) => write(writer, schema, to),
    }
}

fn write<T: Serialize>(writer: &GenericDatumWriter<'_>, event: &T, to: &mut Vec<u8>) -> Result<(), CodecError> {
    writer.write_ser(to, event).map_err(cause_of_datum)?;
    Ok(())
}

fn read_event(topic: Topic, reader: &GenericDatumReader<'_>, datum: &[u8]) -> Result<Event, CodecError> {
    Ok(match topic {
        Topic::MailRaw => Event::Raw(read(reader, datum)?),
        Topic::MailParsed => Event::Parsed(read(reader, datum)?),
        Topic::MailScored => Event::Scored(read(reader, datum)?),
        Topic::MailRouted => Event::Routed(read(reader, datum)?),
        Topic::MailActions => Event::Action(read(reader, datum)?),
        Topic::SpamCorrections => Event::Correction(read(reader, datum)?),
        Topic::SpamModels => Event::Model(read(reader, datum)?),
        Topic::Accounts => Event::Account(read(reader, datum)?),
        Topic::ForwardDue => Event::Due(read(reader, datum)?),
        Topic::ForwardAttempts => Event::Attempt(read(reader, datum)?),
        Topic::DeadLetters => Event::Dead(read(reader, datum)?),
        Topic::Schemas => Event::Schema(read(reader, datum)?),
    })
}

fn read<T: DeserializeOwned>(reader: &GenericDatumReader<'_>, mut datum: &[u8]) -> Result<T, CodecError> {
    let event = reader.read_deser(&mut datum).map_err(cause_of_datum)?;
    check_end(datum)?;
    Ok(event)
}

/// The long way: Avro's own resolution picks the first record of a union that has the right shape, whatever its name,
/// so values are resolved here, written with the newest schema, and read from that.
fn read_resolved(
    topic: Topic,
    reader: &GenericDatumReader<'_>,
    written: &apache_avro::Schema,
    newest: &Compiled,
    mut datum: &[u8],
) -> Result<Event, CodecError> {
    let value = reader.read_value(&mut datum).map_err(cause_of_datum)?;
    check_end(datum)?;
    let resolved = resolve::resolve(value, written, newest.schema).map_err(|cause| CodecError::Datum(cut(&cause)))?;
    let mut rewritten = Vec::with_capacity(USUAL_BYTES);
    newest.writer.write_value_ref(&mut rewritten, &resolved).map_err(cause_of_datum)?;
    read_event(topic, &newest.reader, &rewritten)
}

fn check_end(rest: &[u8]) -> Result<(), CodecError> {
    if rest.is_empty() {
        return Ok(());
    }
    Err(CodecError::Datum(format!("{} bytes follow its end", rest.len())))
}

fn cause_of_datum(error: impl Display) -> CodecError {
    CodecError::Datum(cut(&error.to_string()))
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_CAUSE_CHARS).collect()
}

/// The bytes that the one large field of an event takes.
fn large_bytes(event: &Event) -> usize {
    match event {
        Event::Raw(raw) => raw.content.len(),
        Event::Parsed(parsed) => {
            parsed.text.as_ref().map_or(0, String::len) + parsed.html.as_ref().map_or(0, String::len)
        }
        Event::Model(model) => model.counts.len(),
        Event::Correction(correction) => correction.tokens.len() * size_of::<u64>(),
        Event::Dead(dead) => dead.value.len(),
        Event::Schema(schema) => schema.schema.len(),
        Event::Attempt(attempt) => attempt.answer.len(),
        Event::Scored(_) | Event::Routed(_) | Event::Action(_) | Event::Account(_) | Event::Due(_) => 0,
    }
}
