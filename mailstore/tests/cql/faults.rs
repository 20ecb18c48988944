//! The server is killed, or stands still: folds fail with "later", go on by themselves, and end where they would have.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use mailstore::contract::{Chance, ModelLog, dump, mail_by_chance};
use mailstore::cql::{CqlSettings, CqlStore};
use mailstore::{Counts, Entry, Fact, ListQuery, Result, Store};
use rustix::process::Signal;
use schemas::{EntryId, MessageId, Position};

use crate::server::{Server, keyspace};
use crate::writers::reference;

const MESSAGES: u64 = 150;
/// Batches folded before the fault.
const BEFORE: u64 = 40;
const FROZEN: Duration = Duration::from_secs(30);
/// For everything to be there afterwards.
const LIMIT: Duration = Duration::from_secs(300);

/// Does as a sink does: what fails for now is tried again.
struct Patient {
    store: Arc<CqlStore>,
    applied: AtomicU64,
    refused: AtomicU64,
}

#[async_trait]
impl Store for Patient {
    async fn positions(&self) -> Result<Vec<Position>> {
        self.store.positions().await
    }

    async fn apply(&self, facts: Vec<Fact>, positions: &[Position]) -> Result<()> {
        loop {
            match self.store.apply(facts.clone(), positions).await {
                Err(error) if error.is_transient() => {
                    self.refused.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                outcome => {
                    self.applied.fetch_add(1, Ordering::SeqCst);
                    return outcome;
                }
            }
        }
    }

    async fn list(&self, query: &ListQuery) -> Result<Vec<Entry>> {
        self.store.list(query).await
    }

    async fn entry(&self, id: &EntryId) -> Result<Option<Entry>> {
        self.store.entry(id).await
    }

    async fn counts(&self, inbox: &str) -> Result<Counts> {
        self.store.counts(inbox).await
    }

    async fn raw(&self, id: &MessageId) -> Result<Option<Bytes>> {
        self.store.raw(id).await
    }
}

async fn folds_through(server: &Server, fault: impl AsyncFnOnce(&Server)) {
    let log = Arc::new(ModelLog::default());
    mail_by_chance(&log, &mut Chance::seeded(9), MESSAGES, 2);
    let settings = CqlSettings {
        request_limit: Duration::from_secs(2),
        ..CqlSettings::new(vec![server.address.clone()], keyspace())
    };
    let store = CqlStore::open(&settings, "log").await.unwrap();
    let patient = Arc::new(Patient { store: store.clone(), applied: AtomicU64::new(0), refused: AtomicU64::new(0) });
    let (folded, of_log) = (patient.clone(), log.clone());
    let fold = tokio::spawn(async move { of_log.fold(&*folded, &mut Chance::seeded(10)).await });
    while patient.applied.load(Ordering::SeqCst) < BEFORE {
        assert!(!fold.is_finished(), "too little was folded");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    fault(server).await;
    tokio::time::timeout(LIMIT, fold).await.unwrap().unwrap();
    assert!(patient.refused.load(Ordering::SeqCst) > 0, "the fault was not seen");
    assert_eq!(dump(&*store).await, reference(&log, None).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn folds_go_on_after_the_server_was_killed() {
    let server = Server::start().await;
    folds_through(&server, async |server| {
        server.signal(Signal::KILL);
        server.start_again().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn folds_go_on_after_the_server_stood_still() {
    let server = Server::start().await;
    folds_through(&server, async |server| {
        server.signal(Signal::STOP);
        tokio::time::sleep(FROZEN).await;
        server.signal(Signal::CONT);
    })
    .await;
}
