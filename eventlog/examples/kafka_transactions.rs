//! How long a transaction of one mail takes on Kafka, at low load and back to back, and how soon its fact is seen.
//!
//! `cargo run --release -p eventlog --features kafka --example kafka_transactions -- 127.0.0.1:9092`
#![allow(clippy::unwrap_used, reason = "a measurement may fail")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use eventlog::kafka::{KafkaLog, KafkaSettings};
use eventlog::{Limits, Log, Member, Tail};
use schemas::{NewRecord, Position, Topic};

const ROUNDS: usize = 100;
const LIMITS: Limits = Limits { records: 1000, bytes: 8 << 20, wait: Duration::from_secs(5) };

fn settings(brokers: String) -> KafkaSettings {
    KafkaSettings {
        brokers,
        prefix: format!("measured-{}-", std::process::id()),
        node_id: Some("measured".into()),
        partitions: 1,
        replication: 1,
        retention: None,
        max_record_bytes: 30 << 20,
        message_timeout: Duration::from_secs(10),
        start_timeout: Duration::from_secs(30),
        client: BTreeMap::new(),
    }
}

fn mail() -> NewRecord {
    NewRecord::new(Topic::MailRaw, "key", vec![7_u8; 10_000]).in_partition(0)
}

/// Polls one mail and commits its three facts: how long the commit took.
async fn handle_one(member: &mut dyn Member) -> Duration {
    let one = Limits { records: 1, ..LIMITS };
    let record = loop {
        if let Some(record) = member.poll(&one).await.unwrap().pop() {
            break record;
        }
    };
    let fact = |topic| NewRecord::new(topic, "key", vec![7_u8; 1000]).in_partition(0);
    let facts = vec![fact(Topic::MailParsed), fact(Topic::MailScored), fact(Topic::MailRouted)];
    let started = Instant::now();
    member.commit(facts, &[record.position.next()]).await.unwrap();
    started.elapsed()
}

async fn next(tail: &mut dyn Tail) {
    while tail.poll(&LIMITS).await.unwrap().is_empty() {}
}

fn say(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |share: usize| took.get(took.len() * share / 100).copied().unwrap_or_default();
    println!("{what}: p50 {:?}, p90 {:?}, p99 {:?}", at(50), at(90), at(99));
}

#[tokio::main]
async fn main() {
    let brokers = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9092".to_owned());
    let log = KafkaLog::open(settings(brokers)).await.unwrap();
    let mut member = log.join("measured", &[Topic::MailRaw]).await.unwrap();
    let mut tail = log.tail(&[Position::new(Topic::MailRouted, 0, 0)]).await.unwrap();
    let (mut appends, mut commits, mut seen) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let started = Instant::now();
        log.append(vec![mail()]).await.unwrap();
        appends.push(started.elapsed());
        commits.push(handle_one(member.as_mut()).await);
        next(tail.as_mut()).await;
        seen.push(started.elapsed());
    }
    say("append of one mail", appends);
    say("transaction of one mail, after the one before was seen", commits);
    say("from the append to the fact that a reader sees", seen);
    log.append((0..ROUNDS).map(|_| mail()).collect()).await.unwrap();
    let mut commits = Vec::new();
    for _ in 0..ROUNDS {
        commits.push(handle_one(member.as_mut()).await);
    }
    say("transaction of one mail, back to back", commits);
}
