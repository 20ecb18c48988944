//! The shared language: what a topic is called, what a record looks like, and the type, schema and bytes of every
//! event that Postlog writes. It knows nothing of who writes, reads or stores them.
//!
//! # A value
//! The value of every record is in the schema registry's wire format: the byte 0x00, the schema id (four bytes,
//! big-endian), the event in Avro's binary encoding. The schemas are the files `avsc/<topic>.v<version>.avsc`, each
//! with a doc for every field; ids are the same in every installation, and stand with their schemas on the topic
//! `schemas`. A record without a value is a tombstone.
//!
//! # Conventions of every event
//! - Times are milliseconds since 1970-01-01 UTC, and so typed (`timestamp-millis`).
//! - `message_id` is a ULID in lower case; an entry is `<message_id>-<index>`.
//! - `raw_offset` is the offset of the message on `mail.raw`, in the partition of the record itself.
//! - Names that may repeat (mail headers) are arrays of records, never maps.
//! - A `change` is a union of records, one a kind of change. Kinds and symbols are only ever added.
//! - In JSON ([`codec::event_json`]) names are those of the schema, bytes are base64, a change is `{"Kind": {…}}`.
//!
//! # To change an event
//! A released file is never edited: copy it to the next version, add a field with a default (or a kind of change, or
//! a symbol), add its row to [`released::RELEASES`], change the Rust type, and run the tests with `BLESS=1`, which
//! records the file's fingerprint and writes golden bytes. The tests fail when the new schema can't read what earlier
//! ones wrote, when programs with an earlier schema can't read what it writes, and when a released file has changed.
//! A program that lacks a schema learns it from the topic `schemas` ([`codec::learn`]): it drops the fields that it
//! doesn't know and reads an unknown symbol as the enum's default; an unknown kind of change is an error.

pub mod arrival;
pub mod codec;
pub mod event;
pub mod id;
mod octets;
pub mod record;
pub mod released;
pub mod standing;
pub mod topic;

pub use arrival::Arrivals;
pub use event::Event;
pub use id::{EntryId, MessageId};
pub use record::{NewRecord, Position, Record};
pub use released::released;
pub use standing::Standing;
pub use topic::Topic;
