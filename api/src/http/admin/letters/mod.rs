//! `dead.letters`: what could not be processed, and what was decided about it.
//!
//! The letters of a record are known by where it stood (`topic/partition/offset`), which is their key. A decision is a
//! record without a value under the same key, whose headers say what it was: who only reads the topic sees the letter's
//! end, and the topic stays as it is. A record that is put back stands at a new place; if it fails again it has a
//! letter of its own.

mod decide;
mod list;
mod outcome;
mod show;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use schemas::event::DeadLetter;
use schemas::{Event, Position, Record, Topic, codec};
use serde::Deserialize;

use crate::http::doors::Api;
use crate::http::error::ApiError;

pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/dead-letters", get(list::list))
        .route("/dead-letters/{topic}/{partition}/{offset}", get(show::show))
        .route("/dead-letters/{topic}/{partition}/{offset}/retry", post(decide::retry))
        .route("/dead-letters/{topic}/{partition}/{offset}/drop", post(decide::drop_it))
}

/// Where the record stood, as the path says it.
#[derive(Debug, Deserialize)]
struct Origin {
    topic: String,
    partition: u32,
    offset: u64,
}

impl Origin {
    fn position(&self) -> Result<Position, ApiError> {
        let topic = self.topic.parse::<Topic>().map_err(|error| ApiError::NotFound(error.to_string().into()))?;
        Ok(Position::new(topic, self.partition, self.offset))
    }
}

/// As the key of its letters is written.
fn name_of(origin: Position) -> String {
    format!("{}/{}/{}", origin.topic, origin.partition, origin.offset)
}

/// The letter in a record of the topic.
fn letter(record: &Record) -> Option<DeadLetter> {
    match codec::decode(Topic::DeadLetters, record.value.as_deref()?) {
        Ok(Event::Dead(letter)) => Some(letter),
        _ => None,
    }
}
