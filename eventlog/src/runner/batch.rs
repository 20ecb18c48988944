//! One batch: every record handed to the stage, on several threads, and the outputs put back in order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use schemas::{NewRecord, Record};

use super::{Poison, Stage, dead_letter};
use crate::{LogError, Result};

/// A record and everything that is to be committed for it.
#[derive(Debug)]
pub(super) struct Concluded {
    pub record: Record,
    pub outputs: Vec<NewRecord>,
    pub poisoned: bool,
}

/// Processes the records on up to `workers` blocking threads. The answer is in the order of the records.
pub(super) async fn process(stage: &Arc<dyn Stage>, records: Vec<Record>, workers: usize) -> Result<Vec<Concluded>> {
    let records = Arc::new(records);
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for _ in 0..workers.clamp(1, records.len().max(1)) {
        let (stage, records, next) = (Arc::clone(stage), Arc::clone(&records), Arc::clone(&next));
        tasks.push(tokio::task::spawn_blocking(move || work(stage.as_ref(), &records, &next)));
    }
    let mut concluded = Vec::with_capacity(records.len());
    for task in tasks {
        let done = task.await.map_err(|error| LogError::Unavailable(format!("a worker ended: {error}")))?;
        concluded.extend(done);
    }
    concluded.sort_unstable_by_key(|(index, _)| *index);
    Ok(concluded.into_iter().map(|(_, concluded)| concluded).collect())
}

/// Takes one record after the other, so that a slow one holds up nobody but its own thread.
fn work(stage: &dyn Stage, records: &[Record], next: &AtomicUsize) -> Vec<(usize, Concluded)> {
    let mut done = Vec::new();
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some(record) = records.get(index) else { return done };
        done.push((index, conclude(stage, record)));
    }
}

/// What follows from the record, or what can be said when nothing does. A panic is poison.
fn conclude(stage: &dyn Stage, record: &Record) -> Concluded {
    match catch_unwind(AssertUnwindSafe(|| stage.process(record))) {
        Ok(Ok(outputs)) => Concluded { record: record.clone(), outputs, poisoned: false },
        Ok(Err(Poison(cause))) => given_up(stage, record, &cause),
        Err(panic) => given_up(stage, record, &format!("the stage panicked: {}", panic_text(panic.as_ref()))),
    }
}

/// The dead letter of the record, and what the stage can still say of it.
pub(super) fn given_up(stage: &dyn Stage, record: &Record, cause: &str) -> Concluded {
    let mut concluded = letter_only(stage, record, cause);
    match catch_unwind(AssertUnwindSafe(|| stage.give_up(record, cause))) {
        Ok(said) => concluded.outputs.extend(said),
        Err(panic) => {
            let text = panic_text(panic.as_ref());
            tracing::error!(stage = stage.name(), panic = text, "a stage panics when it gives a record up");
        }
    }
    concluded
}

/// The dead letter of the record and nothing else: for a record that even giving it up does not survive.
pub(super) fn letter_only(stage: &dyn Stage, record: &Record, cause: &str) -> Concluded {
    let position = record.position;
    tracing::warn!(
        stage = stage.name(), topic = %position.topic, partition = position.partition, offset = position.offset, cause,
        "a record can't be processed"
    );
    let outputs = dead_letter(stage.name(), record, cause).into_iter().collect();
    Concluded { record: record.clone(), outputs, poisoned: true }
}

/// The same with no output over the log's limit: the record that has such a one is given up, and what is still too
/// large is dropped.
pub(super) fn within(stage: &dyn Stage, concluded: Concluded, limit_bytes: usize) -> Concluded {
    let largest = concluded.outputs.iter().map(size_bytes).max().unwrap_or(0);
    if largest <= limit_bytes {
        return concluded;
    }
    let cause = format!("an output of {largest} bytes is over the log's limit of {limit_bytes}");
    let mut less = given_up(stage, &concluded.record, &cause);
    less.outputs.retain(|output| size_bytes(output) <= limit_bytes);
    less
}

fn size_bytes(record: &NewRecord) -> usize {
    let headers: usize = record.headers.iter().map(|header| header.name.len() + header.value.len()).sum();
    headers + record.key.as_ref().map_or(0, bytes::Bytes::len) + record.value.as_ref().map_or(0, bytes::Bytes::len)
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}
