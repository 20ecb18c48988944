//! The runner over an embedded log: what is committed, what is parked, what stops.

mod follow;
mod groups;
mod projections;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use schemas::event::DeadLetter;
use schemas::{Event, NewRecord, Position, Record, Topic, codec};
use tokio_util::sync::CancellationToken;

use super::{Poison, Stage};
use crate::contract::{SOON, record, texts};
use crate::embedded::bench::FolderBench;
use crate::{Log, LogError, Result};

const RAW: Topic = Topic::MailRaw;
const FACTS: Topic = Topic::MailParsed;

/// Answers each record with its text in capitals; some texts ask for trouble.
#[derive(Default)]
struct Capitals {
    faults_left: AtomicU32,
}

fn text(record: &Record) -> String {
    String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned()
}

#[async_trait]
impl Stage for Capitals {
    fn name(&self) -> &'static str {
        "capitals"
    }

    async fn prepare(&self) -> Result<()> {
        let left = self.faults_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_ok() { Err(LogError::Unavailable("on cue".into())) } else { Ok(()) }
    }

    fn process(&self, raw: &Record) -> std::result::Result<Vec<NewRecord>, Poison> {
        match text(raw).as_str() {
            "poison" => Err(Poison("tastes bad".into())),
            "panic" => panic!("as it was told"),
            "large" => Ok(vec![record(FACTS, raw.position.partition, &"x".repeat(1 << 20))]),
            other => Ok(vec![record(FACTS, raw.position.partition, &other.to_uppercase())]),
        }
    }

    fn give_up(&self, raw: &Record, cause: &str) -> Vec<NewRecord> {
        assert!(!cause.contains("as it was told"), "giving up may panic as well");
        vec![record(FACTS, raw.position.partition, &format!("given up: {}", text(raw)))]
    }
}

async fn append(log: &dyn Log, values: &[&str]) {
    log.append(values.iter().map(|value| record(RAW, 0, value)).collect()).await.unwrap();
}

/// The first `count` records of a topic.
async fn first_of(log: &dyn Log, topic: Topic, count: usize) -> Vec<Record> {
    let mut tail = log.tail(&[Position::new(topic, 0, 0)]).await.unwrap();
    let mut records = Vec::new();
    while records.len() < count {
        let more = tail.poll(&SOON).await.unwrap();
        assert!(!more.is_empty(), "{:?}", texts(&records));
        records.extend(more);
    }
    records
}

async fn letters(log: &dyn Log, count: usize) -> Vec<DeadLetter> {
    let records = first_of(log, Topic::DeadLetters, count).await;
    let letters = records.iter().map(|record| codec::decode(Topic::DeadLetters, record.value.as_ref().unwrap()));
    letters.map(|event| if let Event::Dead(letter) = event.unwrap() { letter } else { panic!() }).collect()
}

fn opened() -> (FolderBench, Arc<dyn Log>) {
    let bench = FolderBench::new(1);
    let log = bench.open_log();
    (bench, log)
}

/// Ends what it is given to when it is dropped.
struct Ending(CancellationToken);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

const LONG: Duration = Duration::from_secs(20);
