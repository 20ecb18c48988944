//! Several nodes in one group: partitions change hands, and nothing is lost or doubled.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use eventlog::kafka::KafkaLog;
use eventlog::runner::{BatchLimits, Poison, RunSettings, Stage, run_group};
use eventlog::{Limits, Log, Member, Result, Tail};
use schemas::record::Partition;
use schemas::{NewRecord, Position, Record, Topic};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::bench::BrokerBench;

pub const PARTITIONS: Partition = 3;
pub const FACTS: Topic = Topic::MailParsed;
const AT_MOST: Duration = Duration::from_secs(120);
const POLL: Limits = Limits { records: 1000, bytes: 1 << 20, wait: Duration::from_millis(200) };

/// One fact a record, in its partition; each takes this long.
struct Copies {
    pace: Duration,
}

impl Stage for Copies {
    fn name(&self) -> &'static str {
        "copies"
    }

    fn process(&self, record: &Record) -> std::result::Result<Vec<NewRecord>, Poison> {
        std::thread::sleep(self.pace);
        let value = record.value.clone().unwrap();
        Ok(vec![NewRecord::new(FACTS, "key", value).in_partition(record.position.partition)])
    }

    fn give_up(&self, _record: &Record, _cause: &str) -> Vec<NewRecord> {
        Vec::new()
    }
}

pub fn run(log: &Arc<KafkaLog>) -> (CancellationToken, JoinHandle<Result<()>>) {
    run_at(log, Duration::ZERO)
}

/// There is always a batch in work.
pub fn run_slowly(log: &Arc<KafkaLog>) -> (CancellationToken, JoinHandle<Result<()>>) {
    run_at(log, Duration::from_millis(1))
}

fn run_at(log: &Arc<KafkaLog>, pace: Duration) -> (CancellationToken, JoinHandle<Result<()>>) {
    let shutdown = CancellationToken::new();
    let (log, ending) = (Arc::clone(log) as Arc<dyn Log>, shutdown.clone());
    let settings = RunSettings { limits: BatchLimits { records: 7, bytes: 1 << 20 }, ..RunSettings::default() };
    let task = tokio::spawn(async move {
        run_group(log, "g", &[Topic::MailRaw], Arc::new(Copies { pace }), settings, ending).await
    });
    (shutdown, task)
}

async fn append(log: &KafkaLog, numbers: std::ops::Range<u32>) {
    let raw = |number: u32| NewRecord::new(Topic::MailRaw, "key", number.to_string()).in_partition(number % PARTITIONS);
    log.append(numbers.map(raw).collect()).await.unwrap();
}

/// The first records that a member is given, this many.
pub async fn poll(member: &mut dyn Member, count: usize) -> Vec<Record> {
    let deadline = Instant::now() + AT_MOST;
    let mut records = Vec::new();
    while records.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} records came", records.len());
        records.extend(member.poll(&POLL).await.unwrap());
    }
    records
}

/// Waits until this many different values stand on the topic.
pub async fn until_seen(log: &KafkaLog, topic: Topic, wanted: usize) {
    until_seen_in(log, topic, PARTITIONS, wanted).await;
}

/// The same on a log of so many partitions.
pub async fn until_seen_in(log: &KafkaLog, topic: Topic, partitions: Partition, wanted: usize) {
    let from: Vec<_> = (0..partitions).map(|partition| Position::new(topic, partition, 0)).collect();
    let mut tail = tail_at_last(log, &from).await;
    let mut seen = HashSet::new();
    while seen.len() < wanted {
        match tail.poll(&POLL).await {
            Ok(records) => seen.extend(records.into_iter().filter_map(|record| record.value)),
            Err(error) if error.is_transient() => tail = tail_at_last(log, &from).await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A broker that has just come back may not answer yet.
async fn tail_at_last(log: &KafkaLog, from: &[Position]) -> Box<dyn Tail> {
    let deadline = Instant::now() + AT_MOST;
    loop {
        match log.tail(from).await {
            Ok(tail) => return tail,
            Err(error) => assert!(error.is_transient() && Instant::now() < deadline, "{error}"),
        }
    }
}

/// How often each value stands on the topic, once there are as many different ones as wanted.
pub async fn values(log: &KafkaLog, topic: Topic, wanted: usize) -> BTreeMap<String, usize> {
    let from: Vec<_> = (0..PARTITIONS).map(|partition| Position::new(topic, partition, 0)).collect();
    let mut tail = tail_at_last(log, &from).await;
    let mut seen = BTreeMap::new();
    let deadline = Instant::now() + AT_MOST;
    // What is doubled may come behind the last that was missing: it is read on until nothing comes.
    loop {
        let polled = match tail.poll(&POLL).await {
            // It is counted from the beginning again.
            Err(error) if error.is_transient() => {
                seen.clear();
                tail = tail_at_last(log, &from).await;
                Vec::new()
            }
            polled => polled.unwrap(),
        };
        if polled.is_empty() && seen.len() >= wanted {
            return seen;
        }
        assert!(Instant::now() < deadline, "{} of {wanted} values came", seen.len());
        for record in polled {
            *seen.entry(String::from_utf8(record.value.unwrap().to_vec()).unwrap()).or_insert(0) += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_change_hands_lose_and_double_nothing() {
    let bench = BrokerBench::new(PARTITIONS).await;
    let (one, other) = (bench.open_as("one").await, bench.open_as("other").await);
    append(&one, 0..300).await;
    let (stop_one, ran_one) = run(&one);
    append(&one, 300..600).await;
    // The second comes while the first is at work.
    let (stop_other, ran_other) = run(&other);
    for round in 2..6 {
        append(&one, round * 300..(round + 1) * 300).await;
        values(&one, FACTS, (round as usize) * 300).await;
    }
    // The first goes, and the second takes what it had.
    stop_one.cancel();
    ran_one.await.unwrap().unwrap();
    append(&one, 1800..2100).await;
    let seen = values(&other, FACTS, 2100).await;
    let doubled: Vec<_> = seen.iter().filter(|(_, count)| **count != 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    stop_other.cancel();
    ran_other.await.unwrap().unwrap();
    let committed: u64 = other.committed("g").await.unwrap().iter().map(|at| at.offset).sum();
    assert_eq!(committed, 2100, "what stands on mail.raw has no gaps here");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_share_the_partitions() {
    let bench = BrokerBench::new(PARTITIONS).await;
    share(bench.open_as("one").await.as_ref(), bench.open_as("other").await.as_ref()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_without_a_node_share_the_partitions() {
    let mut bench = BrokerBench::new(PARTITIONS).await;
    bench.settings.node_id = None;
    share(bench.open_log().await.as_ref(), bench.open_log().await.as_ref()).await;
}

async fn share(one: &dyn Log, other: &dyn Log) {
    let mut first = one.join("g", &[Topic::MailRaw]).await.unwrap();
    let mut second = other.join("g", &[Topic::MailRaw]).await.unwrap();
    let deadline = Instant::now() + AT_MOST;
    loop {
        let (left, right) = tokio::join!(first.poll(&POLL), second.poll(&POLL));
        assert!(left.unwrap().is_empty() && right.unwrap().is_empty());
        let (left, right) = (first.positions(), second.positions());
        if !left.is_empty() && !right.is_empty() && left.len() + right.len() == PARTITIONS as usize {
            assert!(left.iter().all(|at| !right.contains(at)), "{left:?} {right:?}");
            return;
        }
        assert!(Instant::now() < deadline, "{left:?} {right:?}");
    }
}
