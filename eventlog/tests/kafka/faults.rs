//! What the broker does to the log: frozen, killed, not there yet. Each test has a broker of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use eventlog::follow::CATCH_UP_LIMIT;
use eventlog::kafka::{KafkaLog, KafkaSettings};
use eventlog::{Follower, Log, LogError};
use rustix::process::Signal;
use schemas::{NewRecord, Position, Topic};
use tokio_util::sync::CancellationToken;

use super::bench::settings;
use super::broker::Broker;
use super::nodes::{self, FACTS, PARTITIONS};

const MESSAGE_TIMEOUT: Duration = Duration::from_secs(3);
/// No recovery takes as long; only a failing test waits for it, and a machine that is busy with other things.
const AT_MOST: Duration = Duration::from_secs(120);

fn impatient(broker: &Broker) -> KafkaSettings {
    KafkaSettings { message_timeout: MESSAGE_TIMEOUT, ..settings(broker.address.clone(), 1) }
}

fn account(value: &str) -> NewRecord {
    NewRecord::new(Topic::Accounts, "key", value.to_owned())
}

fn fold(table: &mut Vec<String>, record: &schemas::Record) {
    table.push(String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned());
}

/// Appends until it works, as whoever was told to come again does.
async fn append_at_last(log: &KafkaLog, value: &str) -> Position {
    append_all_at_last(log, vec![account(value)]).await[0]
}

/// What was refused may stand there all the same, and then twice.
async fn append_all_at_last(log: &KafkaLog, records: Vec<NewRecord>) -> Vec<Position> {
    let deadline = Instant::now() + AT_MOST;
    loop {
        match log.append(records.clone()).await {
            Ok(positions) => return positions,
            Err(LogError::Unavailable(cause)) => assert!(Instant::now() < deadline, "{cause}"),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_broker_makes_appends_fail_in_time_and_thawed_it_takes_them_again() {
    let broker = Broker::start().await;
    let log = KafkaLog::open(impatient(&broker)).await.unwrap();
    log.append(vec![account("before")]).await.unwrap();
    broker.signal(Signal::STOP);
    let started = Instant::now();
    let refused = log.append(vec![account("while it is frozen")]).await;
    let took = started.elapsed();
    assert!(matches!(refused, Err(LogError::Unavailable(_))), "{refused:?}");
    assert!(took < MESSAGE_TIMEOUT * 2, "{took:?}");
    broker.signal(Signal::CONT);
    append_at_last(&log, "after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_and_writers_outlive_a_broker_that_is_killed_and_started_again() {
    let broker = Broker::start().await;
    let log = KafkaLog::open(impatient(&broker)).await.unwrap();
    let shutdown = CancellationToken::new();
    let follower =
        Follower::start(Arc::clone(&log) as Arc<dyn Log>, Topic::Accounts, Vec::new(), 0, fold, shutdown.clone());
    let before = log.append(vec![account("before")]).await.unwrap()[0];
    assert!(follower.reach(before.next().offset, AT_MOST).await);
    broker.signal(Signal::KILL);
    let refused = log.append(vec![account("while it is gone")]).await;
    assert!(matches!(refused, Err(LogError::Unavailable(_))), "{refused:?}");
    broker.start_again().await;
    let after = append_at_last(&log, "after").await;
    assert!(follower.reach(after.next().offset, AT_MOST).await);
    let table = follower.read(Clone::clone);
    assert_eq!((table.first().unwrap().as_str(), table.last().unwrap().as_str()), ("before", "after"));
    shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_can_not_catch_up_says_so_in_time_and_goes_on_by_itself() {
    let broker = Broker::start().await;
    let log = KafkaLog::open(impatient(&broker)).await.unwrap();
    let shutdown = CancellationToken::new();
    let table =
        Follower::start(Arc::clone(&log) as Arc<dyn Log>, Topic::Accounts, Vec::new(), 0, fold, shutdown.clone());
    log.append(vec![account("before")]).await.unwrap();
    table.catch_up().await.unwrap();
    broker.signal(Signal::STOP);
    let started = Instant::now();
    let refused = table.catch_up().await;
    assert!(started.elapsed() < CATCH_UP_LIMIT * 2, "{:?}", started.elapsed());
    assert!(matches!(&refused, Err(LogError::Unavailable(text)) if text.contains("accounts")), "{refused:?}");
    broker.signal(Signal::CONT);
    append_at_last(&log, "after").await;
    let deadline = Instant::now() + AT_MOST;
    while table.catch_up().await.is_err() {
        assert!(Instant::now() < deadline);
    }
    assert_eq!(table.read(|table| table.last().cloned()), Some("after".to_owned()));
    shutdown.cancel();
}

/// Past every time-out: of sessions, transactions and messages.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_outlives_a_broker_that_is_frozen_for_30_s_and_has_no_lag_soon_after() {
    const EACH: u32 = 3000;
    let broker = Broker::start().await;
    let settings = settings(broker.address.clone(), PARTITIONS);
    let log = KafkaLog::open(settings).await.unwrap();
    let (stop, ran) = nodes::run_slowly(&log);
    let raw = |number: u32| NewRecord::new(Topic::MailRaw, "key", number.to_string()).in_partition(number % PARTITIONS);
    log.append((0..EACH).map(raw).collect()).await.unwrap();
    // There is a batch in work.
    nodes::until_seen(&log, FACTS, 1).await;
    broker.signal(Signal::STOP);
    tokio::time::sleep(Duration::from_secs(30)).await;
    broker.signal(Signal::CONT);
    let thawed = Instant::now();
    append_at_last(&log, "the broker is back").await;
    append_all_at_last(&log, (EACH..2 * EACH).map(raw).collect()).await;
    let handled = nodes::until_seen(&log, FACTS, 2 * EACH as usize);
    assert!(tokio::time::timeout(AT_MOST, handled).await.is_ok(), "it is not handled within {AT_MOST:?}");
    println!("thawed: no lag after {:?}", thawed.elapsed());
    let facts = nodes::values(&log, FACTS, 2 * EACH as usize).await;
    assert_eq!(facts, nodes::values(&log, Topic::MailRaw, 2 * EACH as usize).await, "each once");
    stop.cancel();
    ran.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_start_waits_for_a_broker_up_to_its_limit() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let limit = Duration::from_secs(2);
    let settings = KafkaSettings { start_timeout: limit, ..settings(nobody.to_string(), 1) };
    let started = Instant::now();
    let refused = KafkaLog::open(settings).await.err();
    assert!(matches!(&refused, Some(LogError::Unavailable(text)) if text.contains(&nobody.to_string())), "{refused:?}");
    assert!((limit..limit * 3).contains(&started.elapsed()), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_start_goes_on_when_the_broker_comes() {
    let broker = Broker::start().await;
    broker.signal(Signal::STOP);
    let opening = tokio::spawn(KafkaLog::open(impatient(&broker)));
    tokio::task::yield_now().await;
    broker.signal(Signal::CONT);
    let log = opening.await.unwrap().unwrap();
    log.append(vec![account("a")]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_outlives_a_broker_that_is_killed_under_it_and_loses_and_doubles_nothing() {
    const EACH: u32 = 400;
    let broker = Broker::start().await;
    let settings = settings(broker.address.clone(), PARTITIONS);
    let log = KafkaLog::open(settings).await.unwrap();
    let (stop, ran) = nodes::run(&log);
    let raw = |number: u32| NewRecord::new(Topic::MailRaw, "key", number.to_string()).in_partition(number % PARTITIONS);
    log.append((0..EACH).map(raw).collect()).await.unwrap();
    // The group is at work.
    nodes::values(&log, FACTS, 1).await;
    broker.signal(Signal::KILL);
    broker.start_again().await;
    append_at_last(&log, "the broker is back").await;
    append_all_at_last(&log, (EACH..2 * EACH).map(raw).collect()).await;
    let facts = nodes::values(&log, FACTS, 2 * EACH as usize).await;
    assert_eq!(facts, nodes::values(&log, Topic::MailRaw, 2 * EACH as usize).await);
    stop.cancel();
    ran.await.unwrap().unwrap();
}
