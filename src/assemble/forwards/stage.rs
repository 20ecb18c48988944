//! What is routed becomes due: one record of `forward.due` a message and forward, in the partition of the message,
//! committed together with the position in `mail.routed`.

use std::sync::Arc;

use async_trait::async_trait;
use eventlog::Follower;
use eventlog::runner::{Poison, Stage};
use schemas::event::MailRouted;
use schemas::{Event, NewRecord, Record, Standing, Topic, codec};
use sinks::forward::due;

use super::GROUP;

pub struct MakesDue {
    pub schemas: Arc<Follower<Standing>>,
}

#[async_trait]
impl Stage for MakesDue {
    fn name(&self) -> &'static str {
        GROUP
    }

    /// What a newer program has routed is read by its own schema.
    async fn prepare(&self) -> eventlog::Result<()> {
        self.schemas.catch_up().await
    }

    fn process(&self, record: &Record) -> Result<Vec<NewRecord>, Poison> {
        let routed = decode(record)?;
        let offset = i64::try_from(record.position.offset).unwrap_or(i64::MAX);
        let mut records = Vec::new();
        for one in due(&routed, offset) {
            let key = one.delivery_id.clone();
            let value = codec::encode(&Event::Due(one)).map_err(|error| Poison(error.to_string()))?;
            records.push(NewRecord::new(Topic::ForwardDue, key, value).in_partition(record.position.partition));
        }
        Ok(records)
    }

    /// What can't be read tells nobody; its letter says so.
    fn give_up(&self, _: &Record, _: &str) -> Vec<NewRecord> {
        Vec::new()
    }
}

fn decode(record: &Record) -> Result<MailRouted, Poison> {
    let value = record.value.as_ref().ok_or_else(|| Poison("the record has no value".to_owned()))?;
    match codec::decode(record.position.topic, value) {
        Ok(Event::Routed(routed)) => Ok(routed),
        Ok(other) => Err(Poison(format!("the record holds an event of {}", other.topic()))),
        Err(error) => Err(Poison(error.to_string())),
    }
}
