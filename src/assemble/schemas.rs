//! The topic `schemas` at the start: what is missing there is put there, what this program lacks is learnt, and the ids
//! that values are written with are settled, before anything else is written.

use std::collections::HashMap;
use std::ops::ControlFlow;

use anyhow::Context;
use eventlog::Log;
use schemas::event::ReleasedSchema;
use schemas::{Event, NewRecord, Position, Record, Standing, Topic, codec, standing};

/// `outside`: our schemas with the ids of an outside registry, where there is one.
pub async fn settle(log: &dyn Log, outside: Option<&[ReleasedSchema]>) -> anyhow::Result<()> {
    let records = records(log).await?;
    let mut standing = Standing::default();
    for record in &records {
        let place = record.position.offset;
        standing.take(record).with_context(|| format!("the schema at offset {place}"))?;
    }
    let has = |key: &str| records.iter().any(|record| record.key.as_deref() == Some(key.as_bytes()));
    let mut missing = Vec::new();
    for schema in schemas::released() {
        let key = standing::key(&schema, false);
        if !has(&key) {
            missing.push(record(key, schema)?);
        }
    }
    match outside {
        Some(outside) => missing.extend(numbered(&standing, outside)?),
        None => warn_of_others(&standing),
    }
    if !missing.is_empty() {
        log.append(missing).await?;
    }
    Ok(())
}

/// Writes with the ids of the registry from now on, and returns what has to stand on the topic so that every node
/// reads them.
fn numbered(standing: &Standing, outside: &[ReleasedSchema]) -> anyhow::Result<Vec<NewRecord>> {
    let mut ids = HashMap::new();
    let mut missing = Vec::new();
    for (ours, theirs) in schemas::released().into_iter().zip(outside) {
        let topic: Topic = theirs.subject.trim_end_matches("-value").parse()?;
        // Where ids are learnt from, they are ours.
        if topic == Topic::Schemas {
            continue;
        }
        codec::learn(theirs.id, topic, &theirs.schema)
            .with_context(|| format!("the registry's id {} for {}", theirs.id, theirs.subject))?;
        ids.insert(ours.id, theirs.id);
        let in_use = standing.version(&theirs.subject, theirs.version).map(|known| known.id);
        if in_use != Some(theirs.id) {
            missing.push(record(standing::key(theirs, true), theirs.clone())?);
        }
    }
    codec::write_with(ids)?;
    Ok(missing)
}

/// Two nodes that number differently are read by each other, but not by who reads with that registry alone.
fn warn_of_others(standing: &Standing) {
    let ours = schemas::released();
    let in_use = |schema: &ReleasedSchema| standing.version(&schema.subject, schema.version).map(|known| known.id);
    if ours.iter().any(|schema| in_use(schema).is_some_and(|id| id != schema.id)) {
        tracing::warn!(
            "ids of an outside schema registry stand on this log, and this node writes its own: set schema_registry.url on every node"
        );
    }
}

fn record(key: String, schema: ReleasedSchema) -> anyhow::Result<NewRecord> {
    Ok(NewRecord::new(Topic::Schemas, key, codec::encode(&Event::Schema(schema))?))
}

async fn records(log: &dyn Log) -> anyhow::Result<Vec<Record>> {
    let bounds = log.bounds(Topic::Schemas).await?;
    let start = bounds.iter().map(|bounds| Position::new(Topic::Schemas, bounds.partition, bounds.earliest)).collect();
    let ends: Vec<Position> =
        bounds.iter().map(|bounds| Position::new(Topic::Schemas, bounds.partition, bounds.end)).collect();
    let mut records = Vec::new();
    eventlog::scan(log, start, &ends, |record| {
        records.push(record);
        ControlFlow::Continue(())
    })
    .await?;
    Ok(records)
}
