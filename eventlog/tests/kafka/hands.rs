//! Members that are frozen, killed, and come and go, while records keep coming: every one is handled once, and by
//! itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use eventlog::kafka::KafkaLog;
use eventlog::{Log, LogError, Shares as _};
use rustix::process::Signal;
use schemas::{NewRecord, Topic};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::bench::BrokerBench;
use super::nodes::{self, FACTS, PARTITIONS};
use super::process::Process;
use super::shares::Kept;

/// A session and the time-out of a transaction that was open are 10 s each; the rest is for a machine that is busy.
const TAKEN_OVER: Duration = Duration::from_secs(120);
const AT_MOST: Duration = Duration::from_secs(120);
/// Past the session and past the transaction's time-out.
const FROZEN: Duration = Duration::from_secs(16);

/// Records that keep coming, as numbers.
struct Load {
    log: Arc<KafkaLog>,
    count: Arc<AtomicU32>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Load {
    fn start(log: &Arc<KafkaLog>) -> Self {
        let (count, stop) = (Arc::new(AtomicU32::new(0)), CancellationToken::new());
        let task = tokio::spawn({
            let (log, count, stop) = (Arc::clone(log), Arc::clone(&count), stop.clone());
            async move {
                let mut ticks = tokio::time::interval(Duration::from_millis(20));
                while stop.run_until_cancelled(ticks.tick()).await.is_some() {
                    let from = count.load(Ordering::SeqCst);
                    append(&log, from..from + 6).await;
                    count.store(from + 6, Ordering::SeqCst);
                }
            }
        });
        Self { log: Arc::clone(log), count, stop, task }
    }

    /// Waits until as many more have come as come in a second.
    async fn more(&self) {
        let wanted = self.count.load(Ordering::SeqCst) + 300;
        while self.count.load(Ordering::SeqCst) < wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until everything that has come by now is handled: how long that took.
    async fn handled(&self, limit: Duration) -> Duration {
        let (started, count) = (Instant::now(), self.count.load(Ordering::SeqCst) as usize);
        let within = tokio::time::timeout(limit, nodes::until_seen(&self.log, FACTS, count)).await;
        assert!(within.is_ok(), "{count} records were not handled within {limit:?}");
        started.elapsed()
    }

    /// No more come: all that came are handled, each once.
    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
        let count = self.count.load(Ordering::SeqCst) as usize;
        let seen = nodes::values(&self.log, FACTS, count).await;
        let doubled: Vec<_> = seen.iter().filter(|(_, times)| **times != 1).collect();
        assert_eq!((seen.len(), doubled), (count, Vec::new()));
        let committed: u64 = self.log.committed("g").await.unwrap().iter().map(|at| at.offset).sum();
        assert_eq!(committed as usize, count, "nothing is left to be handled");
    }
}

async fn append(log: &KafkaLog, numbers: std::ops::Range<u32>) {
    let raw = |number: u32| NewRecord::new(Topic::MailRaw, "key", number.to_string()).in_partition(number % PARTITIONS);
    log.append(numbers.map(raw).collect()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_frozen_past_its_session_loses_its_work_to_the_others_and_thawed_it_is_one_again() {
    let bench = BrokerBench::new(PARTITIONS).await;
    let log = bench.open_as("watcher").await;
    let load = Load::start(&log);
    // It has all of them, and a part once the other has joined.
    let mut frozen = Process::start(&bench.settings, "frozen");
    load.handled(AT_MOST).await;
    let other = Process::start(&bench.settings, "other");
    load.more().await;
    frozen.signal(Signal::STOP);
    let begun = Instant::now();
    load.more().await;
    let took = load.handled(TAKEN_OVER).await;
    println!("frozen: handled after {took:?}");
    tokio::time::sleep(FROZEN.saturating_sub(begun.elapsed())).await;
    frozen.signal(Signal::CONT);
    load.handled(AT_MOST).await;
    other.signal(Signal::KILL);
    load.more().await;
    let took = load.handled(TAKEN_OVER).await;
    println!("the other killed: handled after {took:?}");
    assert!(frozen.is_running());
    load.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_member_had_is_taken_over_by_the_others() {
    let bench = BrokerBench::new(PARTITIONS).await;
    let log = bench.open_as("watcher").await;
    let load = Load::start(&log);
    let killed = Process::start(&bench.settings, "killed");
    load.handled(AT_MOST).await;
    let mut other = Process::start(&bench.settings, "other");
    load.more().await;
    killed.signal(Signal::KILL);
    load.more().await;
    let took = load.handled(TAKEN_OVER).await;
    println!("killed: handled after {took:?}");
    // The same node comes back at once, and is killed again and again.
    for _ in 0..5 {
        let killed = Process::start(&bench.settings, "killed");
        load.more().await;
        killed.signal(Signal::KILL);
    }
    load.handled(TAKEN_OVER).await;
    assert!(other.is_running());
    load.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_come_and_go_under_load_lose_and_double_nothing() {
    for nodes in [true, false] {
        let mut bench = BrokerBench::new(PARTITIONS).await;
        let node = |name: &str| nodes.then(|| name.to_owned());
        bench.settings.node_id = node("stays");
        let stays = bench.open_log().await;
        let load = Load::start(&stays);
        let (stop, ran) = nodes::run_slowly(&stays);
        for round in 0..4 {
            let mut guests = Vec::new();
            for guest in 0..2 {
                bench.settings.node_id = node(&format!("guest-{round}-{guest}"));
                guests.push(nodes::run_slowly(&bench.open_log().await));
            }
            load.more().await;
            load.more().await;
            for (stop, ran) in guests {
                stop.cancel();
                ran.await.unwrap().unwrap();
            }
        }
        let took = load.handled(TAKEN_OVER).await;
        println!("the guests have gone: handled after {took:?}");
        stop.cancel();
        // What the last batch left is handled by whoever comes.
        ran.await.unwrap().unwrap();
        let (stop, ran) = nodes::run_slowly(&stays);
        load.handled(TAKEN_OVER).await;
        load.end().await;
        stop.cancel();
        ran.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_takes_the_place_of_another_stops_it_even_when_nothing_comes() {
    let bench = BrokerBench::new(PARTITIONS).await;
    let (first, second) = (bench.open_as("node").await, bench.open_as("node").await);
    append(&first, 0..3).await;
    let (_stop_first, first_ran) = nodes::run(&first);
    nodes::values(&first, FACTS, 3).await;
    let (stop, ran) = nodes::run(&second);
    let stopped = tokio::time::timeout(AT_MOST, first_ran).await.unwrap().unwrap();
    assert!(matches!(stopped, Err(LogError::Fenced(_))), "{stopped:?}");
    append(&second, 3..6).await;
    assert_eq!(nodes::values(&second, FACTS, 6).await.len(), 6);
    stop.cancel();
    ran.await.unwrap().unwrap();
}

/// So a broker that was killed and has an older state of the group fences a member, though nobody has its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_fenced_by_nobody_who_stays_takes_its_seat_again() {
    let bench = BrokerBench::new(PARTITIONS).await;
    let (first, second) = (bench.open_as("node").await, bench.open_as("node").await);
    append(&first, 0..3).await;
    let (stop, ran) = nodes::run(&first);
    nodes::values(&first, FACTS, 3).await;
    // It takes the seat, and no transactions.
    let mut passing = second.share("g", &[Topic::MailRaw], Arc::new(Kept::default())).await.unwrap();
    while passing.positions().is_empty() {
        let _ = passing.poll(&eventlog::Limits { records: 1, bytes: 1, wait: Duration::ZERO }).await.unwrap();
    }
    drop(passing);
    append(&second, 3..6).await;
    assert_eq!(nodes::values(&second, FACTS, 6).await.len(), 6, "the first goes on by itself");
    stop.cancel();
    ran.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_partitions_are_given_anew_is_dropped_whole() {
    let bench = BrokerBench::new(PARTITIONS).await;
    let (one, other) = (bench.open_as("one").await, bench.open_as("other").await);
    append(&one, 0..3).await;
    let mut first = one.join("g", &[Topic::MailRaw]).await.unwrap();
    let polled = nodes::poll(first.as_mut(), 3).await;
    let mut second = other.join("g", &[Topic::MailRaw]).await.unwrap();
    let taken = tokio::spawn(async move {
        let polled = nodes::poll(second.as_mut(), 1).await;
        (second, polled)
    });
    // It polls on while the partitions change hands, and still has the batch from before.
    let deadline = Instant::now() + AT_MOST;
    while first.positions().len() == PARTITIONS as usize || first.positions().is_empty() {
        assert!(Instant::now() < deadline, "{:?}", first.positions());
        let _ = first.poll(&eventlog::Limits { records: 1, bytes: 1, wait: Duration::ZERO }).await.unwrap();
    }
    let lost = taken.await.unwrap();
    let gone = polled.iter().find(|record| record.position.partition == lost.1[0].position.partition).unwrap();
    let fact = NewRecord::new(FACTS, "key", "stale").in_partition(gone.position.partition);
    let refused = first.commit(vec![fact], &[gone.position.next()]).await;
    assert!(matches!(refused, Err(LogError::Moved(_))), "{refused:?}");
    assert!(one.bounds(FACTS).await.unwrap().iter().all(|bounds| bounds.end == 0), "nothing half");
}
