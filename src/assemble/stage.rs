//! The processors as a stage of the runner: a record of `mail.raw` in, the three facts out, in the same partition.

use std::sync::Arc;

use accounts::Table;
use async_trait::async_trait;
use eventlog::Follower;
use eventlog::runner::{Poison, Stage};
use processors::Facts;
use processors::spam::Models;
use schemas::event::MailRaw;
use schemas::{Event, NewRecord, Record, Standing, codec};

/// The group that stands behind what was processed.
pub const GROUP: &str = "processors";

pub struct Processors {
    pub accounts: Arc<Follower<Table>>,
    pub models: Arc<Follower<Models>>,
    pub schemas: Arc<Follower<Standing>>,
}

#[async_trait]
impl Stage for Processors {
    fn name(&self) -> &'static str {
        GROUP
    }

    /// Whoever reserved an address before this mail is processed gets it, and what a newer program wrote has its schema.
    async fn prepare(&self) -> eventlog::Result<()> {
        tokio::try_join!(self.accounts.catch_up(), self.models.catch_up(), self.schemas.catch_up()).map(drop)
    }

    fn process(&self, record: &Record) -> Result<Vec<NewRecord>, Poison> {
        let raw = decode(record)?;
        let offset = raw_offset(record);
        let facts = self
            .models
            .read(|models| self.accounts.read(|accounts| processors::process(&raw, offset, accounts, models)));
        records(record, facts)
    }

    fn give_up(&self, record: &Record, cause: &str) -> Vec<NewRecord> {
        let Ok(raw) = decode(record) else { return Vec::new() };
        let facts = self.accounts.read(|accounts| processors::minimal(&raw, raw_offset(record), accounts, cause));
        records(record, facts).unwrap_or_default()
    }
}

fn decode(record: &Record) -> Result<MailRaw, Poison> {
    let value = record.value.as_ref().ok_or_else(|| Poison("the record has no value".to_owned()))?;
    match codec::decode(record.position.topic, value) {
        Ok(Event::Raw(raw)) => Ok(raw),
        Ok(other) => Err(Poison(format!("the record holds an event of {}", other.topic()))),
        Err(error) => Err(Poison(error.to_string())),
    }
}

fn raw_offset(record: &Record) -> i64 {
    i64::try_from(record.position.offset).unwrap_or(i64::MAX)
}

fn records(record: &Record, facts: Facts) -> Result<Vec<NewRecord>, Poison> {
    let key = facts.parsed.message_id.to_string();
    let events = [Event::Parsed(facts.parsed), Event::Scored(facts.scored), Event::Routed(facts.routed)];
    let mut records = Vec::with_capacity(events.len());
    for event in events {
        let value = codec::encode(&event).map_err(|error| Poison(error.to_string()))?;
        records.push(NewRecord::new(event.topic(), key.clone(), value).in_partition(record.position.partition));
    }
    Ok(records)
}
