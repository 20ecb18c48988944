//! Readers that share partitions of which the positions are kept elsewhere: each goes on where those stand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use eventlog::runner::{BatchLimits, Projection, ProjectionError, Share, project_shared};
use eventlog::{Limits, Log, LogError, Progress, Result, Shares, Starts, Tail};
use schemas::{NewRecord, Position, Record, Topic};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::bench::BrokerBench;

const PARTITIONS: u32 = 3;
const AT_MOST: Duration = Duration::from_secs(90);
const POLL: Limits = Limits { records: 1000, bytes: 1 << 20, wait: Duration::from_millis(200) };

/// Positions, and what was applied, in memory.
#[derive(Default)]
pub struct Kept {
    positions: Mutex<Vec<Position>>,
    applied: Mutex<BTreeMap<String, usize>>,
}

#[async_trait]
impl Starts for Kept {
    async fn positions(&self) -> Result<Vec<Position>> {
        Ok(self.positions.lock().unwrap().clone())
    }
}

#[async_trait]
impl Projection for Kept {
    fn name(&self) -> &'static str {
        "kept"
    }

    async fn positions(&self) -> std::result::Result<Vec<Position>, ProjectionError> {
        Ok(self.positions.lock().unwrap().clone())
    }

    async fn apply(&self, records: Vec<Record>, positions: &[Position]) -> std::result::Result<(), ProjectionError> {
        for record in records {
            let text = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
            *self.applied.lock().unwrap().entry(text).or_insert(0) += 1;
        }
        let mut known = self.positions.lock().unwrap();
        known.retain(|at| !positions.iter().any(|to| (to.topic, to.partition) == (at.topic, at.partition)));
        known.extend(positions);
        Ok(())
    }
}

async fn append(log: &dyn Log, numbers: std::ops::Range<u32>) {
    let raw = |number: u32| NewRecord::new(Topic::MailRaw, "key", number.to_string()).in_partition(number % PARTITIONS);
    log.append(numbers.map(raw).collect()).await.unwrap();
}

async fn read(tail: &mut dyn Tail, wanted: usize) -> Vec<Record> {
    let (mut records, deadline) = (Vec::new(), Instant::now() + AT_MOST);
    while records.len() < wanted {
        records.extend(tail.poll(&POLL).await.unwrap());
        assert!(Instant::now() < deadline, "{} of {wanted} came", records.len());
    }
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_begins_where_the_kept_positions_stand_and_at_the_earliest_where_there_are_none() {
    let bench = BrokerBench::new(PARTITIONS).await;
    let log = bench.open_as("one").await;
    append(log.as_ref(), 0..30).await;
    let kept = Arc::new(Kept::default());
    kept.positions.lock().unwrap().push(Position::new(Topic::MailRaw, 1, 8));
    let mut tail = log.share("s", &[Topic::MailRaw], kept).await.unwrap();
    let mut records = read(tail.as_mut(), 22).await;
    records.sort_by_key(|record| record.position);
    let firsts: Vec<u64> = (0..PARTITIONS)
        .map(|partition| records.iter().find(|record| record.position.partition == partition).unwrap().position.offset)
        .collect();
    assert_eq!((records.len(), firsts), (22, vec![0, 8, 0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_position_that_never_was_stops_the_reader() {
    let bench = BrokerBench::new(PARTITIONS).await;
    let log = bench.open_as("one").await;
    let kept = Arc::new(Kept::default());
    kept.positions.lock().unwrap().push(Position::new(Topic::MailRaw, 1, 8));
    let mut tail = log.share("s", &[Topic::MailRaw], kept).await.unwrap();
    let deadline = Instant::now() + AT_MOST;
    loop {
        match tail.poll(&POLL).await {
            Err(LogError::OutOfRange { position, .. }) => return assert_eq!(position.partition, 1),
            polled => assert!(polled.unwrap().is_empty() && Instant::now() < deadline),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_of_a_shared_projection_change_hands_and_everything_is_applied() {
    let bench = BrokerBench::new(PARTITIONS).await;
    let kept = Arc::new(Kept::default());
    let mut running = Vec::new();
    for name in ["one", "other"] {
        let log = bench.open_as(name).await;
        let (progress, has) = (Arc::new(Progress::new()), watch::Sender::default());
        let (topics, limits) = (vec![Topic::MailRaw], BatchLimits { records: 7, bytes: 1 << 20 });
        let told = has.subscribe();
        let share = Share { log: log.clone(), group: "s", topics, limits, progress, has };
        let stop = CancellationToken::new();
        let task = tokio::spawn(project_shared(share, kept.clone(), stop.clone()));
        running.push((log, told, stop, task));
    }
    let has = |number: usize| running[number].1.borrow().len();
    let until = async |what: &dyn Fn() -> bool| {
        let deadline = Instant::now() + AT_MOST;
        while !what() {
            assert!(Instant::now() < deadline, "{:?}", kept.positions.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    until(&|| has(0) > 0 && has(1) > 0 && has(0) + has(1) == PARTITIONS as usize).await;
    append(running[0].0.as_ref(), 0..300).await;
    until(&|| kept.applied.lock().unwrap().len() == 300).await;
    running[0].2.cancel();
    until(&|| has(0) == 0 && has(1) == PARTITIONS as usize).await;
    append(running[0].0.as_ref(), 300..600).await;
    until(&|| kept.applied.lock().unwrap().len() == 600).await;
    let more: usize = kept.applied.lock().unwrap().values().map(|count| count - 1).sum();
    assert_eq!(more, 0, "nobody was frozen, so nothing was applied twice");
    running[1].2.cancel();
    for (_, _, _, task) in running {
        task.await.unwrap().unwrap();
    }
}
