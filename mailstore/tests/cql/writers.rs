//! Several writers at once, also of one partition, and some that were frozen: they end where one alone ends. What one
//! has answered, all others read.

use std::sync::Arc;
use std::time::Duration;

use mailstore::contract::{Chance, ModelLog, dump, mail_by_chance};
use mailstore::cql::{CqlSettings, CqlStore};
use mailstore::embedded::EmbeddedStore;
use mailstore::{ListQuery, RawBytes, Retention, Scope, Store, StoreError, Upkeep};

use crate::proxy::Proxy;
use crate::server::{keyspace, settings, shared};

const SEEDS: u64 = 4;
/// No more than what is sent for the batch in which a writer is frozen.
const BATCH_BYTES: usize = 40_000;
/// Where a switch is stopped: about when it was announced, when it is made, and when it was made.
const SWITCH_STOPS: [usize; 3] = [120, 280, 420];
/// Whoever says nothing for so long has given up.
const SILENT: Duration = Duration::from_millis(300);
const POLL: Duration = Duration::from_millis(50);
const LIMIT: Duration = Duration::from_secs(60);

/// What the embedded body, the reference, makes of this log.
pub async fn reference(log: &ModelLog, sweep: Option<&Retention>) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let db = fjall::Database::builder(folder.path()).open().unwrap();
    let store = EmbeddedStore::open(db, "log", RawBytes::CopiedIn).unwrap();
    log.fold(&*store, &mut Chance::seeded(77)).await;
    if let Some(retention) = sweep {
        store.sweep(retention).await.unwrap();
    }
    dump(&*store).await
}

async fn narrow(keyspace: &str) -> CqlSettings {
    CqlSettings { bucket_rows: 5, ..settings(keyspace).await }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_is_the_same_on_both_bodies() {
    let log = ModelLog::default();
    mail_by_chance(&log, &mut Chance::seeded(3), 120, 3);
    let store = CqlStore::open(&narrow(&keyspace()).await, "log").await.unwrap();
    log.fold(&*store, &mut Chance::seeded(4)).await;
    assert_eq!(dump(&*store).await, reference(&log, None).await);
}

/// Two sinks believe that every partition is theirs.
#[tokio::test(flavor = "multi_thread")]
async fn two_writers_of_the_same_partitions_end_where_one_ends() {
    for seed in 0..SEEDS {
        let log = Arc::new(ModelLog::default());
        mail_by_chance(&log, &mut Chance::seeded(seed), 50, 2);
        let settings = narrow(&keyspace()).await;
        let mut folds = Vec::new();
        for writer in 0..2 {
            let (log, store) = (log.clone(), CqlStore::open(&settings, "log").await.unwrap());
            folds.push(tokio::spawn(async move {
                log.fold(&*store, &mut Chance::seeded(100 * seed + writer)).await;
                store
            }));
        }
        let mut dumps = Vec::new();
        for fold in folds {
            dumps.push(fold.await.unwrap());
        }
        let expected = reference(&log, None).await;
        for store in dumps {
            assert_eq!(dump(&*store).await, expected, "seed {seed}");
        }
    }
}

/// A writer stops in the middle of a batch, wherever that is. Another one takes its partitions over, folds everything,
/// and removes what is old. Then the first one goes on with what it was about to write.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_thaws_changes_nothing() {
    let server = shared().await;
    let mut stopped_in_the_middle = 0;
    for seed in 0..3 * SEEDS {
        let mut chance = Chance::seeded(1000 + seed);
        let log = Arc::new(ModelLog::default());
        mail_by_chance(&log, &mut chance, 25, 1);
        let settings = narrow(&keyspace()).await;
        let proxy = Proxy::start(server.clone()).await;
        // It stands still for as long as the other one takes, however slow the machine is.
        let nodes = vec![proxy.address.clone()];
        let through_proxy = CqlSettings { nodes, request_limit: LIMIT, ..settings.clone() };
        let frozen = CqlStore::open(&through_proxy, "log").await.unwrap();
        log.fold(&*frozen, &mut chance).await;
        // What it is about to fold while it freezes.
        mail_by_chance(&log, &mut chance, 12, 1);
        proxy.close_after(chance.below(BATCH_BYTES));
        let (facts, ends) = (log.facts(), log.ends());
        let fold = tokio::spawn(async move { frozen.apply(facts, &ends).await });
        let has_ended = tokio::select! {
            () = proxy.closed() => false,
            () = async { while !fold.is_finished() { tokio::task::yield_now().await } } => true,
        };
        stopped_in_the_middle += u64::from(!has_ended);
        // Of it the other one knows nothing, and it goes further.
        mail_by_chance(&log, &mut chance, 12, 1);
        let other = CqlStore::open(&settings, "log").await.unwrap();
        log.fold(&*other, &mut chance).await;
        let received_before_ms = Some(1_700_000_000_000 + 6);
        let retention = Retention { received_before_ms, ..Retention::default() };
        other.sweep(&retention).await.unwrap();
        proxy.open();
        fold.await.unwrap().unwrap();
        let expected = reference(&log, Some(&retention)).await;
        assert_eq!(dump(&*other).await, expected, "seed {seed}, had ended before: {has_ended}");
    }
    assert!(stopped_in_the_middle >= SEEDS, "too few were frozen: {stopped_in_the_middle}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_has_answered_another_reads() {
    let log = ModelLog::default();
    let settings = narrow(&keyspace()).await;
    let (one, other) =
        (CqlStore::open(&settings, "log").await.unwrap(), CqlStore::open(&settings, "log").await.unwrap());
    for round in 0..5 {
        mail_by_chance(&log, &mut Chance::seeded(round), 20, 2);
        log.fold(&*one, &mut Chance::seeded(round)).await;
        let query =
            ListQuery { scope: Scope::Inbox("ann@a.example".to_owned()), until_ms: None, after: None, limit: 1000 };
        let (read, written) = (other.list(&query).await.unwrap(), one.list(&query).await.unwrap());
        assert!(!read.is_empty() && read == written);
        assert_eq!(other.counts("ann@a.example").await.unwrap(), one.counts("ann@a.example").await.unwrap());
        let mut positions = other.positions().await.unwrap();
        positions.sort();
        assert_eq!(positions, log.ends());
    }
}

/// Readers and writers in other processes go over to the new tables by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn a_switch_is_seen_by_other_processes() {
    let log = ModelLog::default();
    let settings = narrow(&keyspace()).await;
    let (one, other) =
        (CqlStore::open(&settings, "log").await.unwrap(), CqlStore::open(&settings, "log").await.unwrap());
    mail_by_chance(&log, &mut Chance::seeded(1), 40, 2);
    log.fold(&*other, &mut Chance::seeded(2)).await;
    let next = one.rebuild().await.unwrap();
    assert!(matches!(other.sweep(&Retention::default()).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(other.rebuild().await, Err(StoreError::Unavailable(_))));
    log.fold(&*next, &mut Chance::seeded(3)).await;
    one.switch().await.unwrap();
    let query = ListQuery { scope: Scope::Inbox("ann@a.example".to_owned()), until_ms: None, after: None, limit: 1000 };
    assert_eq!(other.list(&query).await.unwrap(), one.list(&query).await.unwrap());
    mail_by_chance(&log, &mut Chance::seeded(4), 20, 2);
    log.fold(&*other, &mut Chance::seeded(5)).await;
    assert_eq!(dump(&*one).await, reference(&log, None).await);
}

/// A process stops on its way to a switch, wherever that is. The others fold again once it has been silent, and when
/// it goes on it changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_switch_that_is_never_ended_keeps_nobody_from_folding() {
    for stop in SWITCH_STOPS {
        let mut chance = Chance::seeded(2000);
        let log = ModelLog::default();
        mail_by_chance(&log, &mut chance, 10, 2);
        let settings = CqlSettings { abandoned_after: SILENT, ..narrow(&keyspace()).await };
        let proxy = Proxy::start(shared().await).await;
        let through_proxy = CqlSettings { nodes: vec![proxy.address.clone()], ..settings.clone() };
        let other = CqlStore::open(&settings, "log").await.unwrap();
        log.fold(&*other, &mut chance).await;
        let stopping = CqlStore::open(&through_proxy, "log").await.unwrap();
        let next = stopping.rebuild().await.unwrap();
        log.fold(&*next, &mut chance).await;
        proxy.close_after(stop);
        let switch = tokio::spawn(async move { (stopping.switch().await, next) });
        tokio::time::timeout(LIMIT, proxy.closed()).await.unwrap();
        swept_in_the_end(&other).await;
        mail_by_chance(&log, &mut chance, 10, 2);
        log.fold(&*other, &mut chance).await;
        proxy.open();
        drop(switch.await.unwrap());
        mail_by_chance(&log, &mut chance, 10, 2);
        log.fold(&*other, &mut chance).await;
        let expected = reference(&log, None).await;
        assert_eq!(dump(&*other).await, expected, "stopped after {stop} bytes");
        let next = other.rebuild().await.unwrap();
        log.fold(&*next, &mut chance).await;
        other.switch().await.unwrap();
        assert_eq!(dump(&*other).await, expected, "stopped after {stop} bytes: a rebuild goes on as ever");
    }
}

/// Refused as long as somebody may still be switching.
async fn swept_in_the_end(store: &CqlStore) {
    let swept = async {
        while let Err(error) = store.sweep(&Retention::default()).await {
            assert!(error.is_transient(), "{error}");
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(LIMIT, swept).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_another_log_is_refused() {
    let settings = settings(&keyspace()).await;
    drop(CqlStore::open(&settings, "one").await.unwrap());
    let refused = CqlStore::open(&settings, "two").await.err();
    assert!(matches!(refused, Some(StoreError::OtherLog { stored, given }) if stored == "one" && given == "two"));
    CqlStore::open(&settings, "one").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_are_taken_once_and_a_store_that_lacks_them_is_refused() {
    let mut settings = settings(&keyspace()).await;
    settings.migrate = false;
    let refused = CqlStore::open(&settings, "one").await.err();
    assert!(matches!(refused, Some(StoreError::Damaged(cause)) if cause.contains("migrate")));
    assert_eq!(mailstore::cql::migrate(&settings).await.unwrap().len(), 1);
    assert_eq!(mailstore::cql::migrate(&settings).await.unwrap(), [] as [&str; 0]);
    let store = CqlStore::open(&settings, "one").await.unwrap();
    assert_eq!(store.positions().await.unwrap(), []);
}
