//! The store's way to the bytes that lie on the log.

use std::sync::Arc;

use eventlog::embedded::EmbeddedLog;
use mailstore::{RawSource, StoreError};
use schemas::event::MailRaw;
use schemas::{Event, Position, codec};

pub struct RawOnLog(pub Arc<EmbeddedLog>);

impl RawSource for RawOnLog {
    fn read(&self, position: Position) -> mailstore::Result<Option<MailRaw>> {
        let record = self.0.read(position).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let Some(value) = record.and_then(|record| record.value) else { return Ok(None) };
        match codec::decode(position.topic, &value) {
            Ok(Event::Raw(raw)) => Ok(Some(raw)),
            Ok(_) => Ok(None),
            Err(error) => Err(StoreError::Damaged(format!("the mail at {} can't be read: {error}", position.offset))),
        }
    }
}
