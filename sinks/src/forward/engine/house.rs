//! A house for the engine on paused time: a log, a store, a table of forwards and targets, all in memory.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use mailstore::{Counts, Entry, Fact, ListQuery, StoreError};
use schemas::event::{Folder, ForwardAttempt, ForwardDue, ForwardKind, ForwardPayload};
use schemas::record::{Offset, Partition};
use schemas::{EntryId, MessageId, Position};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::super::courier::{Attempted, Called, Delivery};
use super::super::directory::{Standing, Target};
use super::super::due::delivery_id;
use super::super::ledger::{LedgerError, Next, Recorded};
use super::*;

pub const START_MS: i64 = 1_700_000_000_000;
pub const PARTITION: Partition = 2;

/// What a target answers to a call, and how long it takes for that.
type Answer = Box<dyn Fn(&Delivery) -> (Duration, Attempted) + Send + Sync>;

/// A call as its target saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub delivery_id: String,
    pub forward: String,
    pub attempt: i32,
    pub at_ms: i64,
    pub arrived_at: i64,
}

pub struct House {
    pub started: Instant,
    /// `forward.due`; the index is the offset.
    pub due: Mutex<Vec<DueRecord>>,
    pub recorded: Mutex<Vec<Recorded>>,
    pub calls: Mutex<Vec<Seen>>,
    pub answer: Mutex<Answer>,
    pub forwards: Mutex<HashMap<String, Standing>>,
    /// What the table says once it has caught up.
    pub forwards_at_end: Mutex<HashMap<String, Standing>>,
    pub deleted: Mutex<HashSet<MessageId>>,
    /// Offsets on `mail.routed`.
    routed: Mutex<HashMap<MessageId, u64>>,
    /// What the log says is due.
    open: watch::Sender<HashMap<String, ForwardDue>>,
    /// Offsets of `mail.routed` before this are shown.
    pub shown: watch::Sender<u64>,
    pub caught_up: watch::Sender<bool>,
    /// Records that the log will not take.
    pub refusals: AtomicUsize,
    pub in_flight: AtomicUsize,
    pub most_in_flight: AtomicUsize,
    engine: Mutex<Option<Arc<Engine>>>,
}

pub fn delivered() -> Attempted {
    Attempted { outcome: Called::Delivered, status: Some(200), answer: "ok".to_owned() }
}

pub fn failed() -> Attempted {
    let outcome = Called::Later { retry_after: None, cause: "the target is down".to_owned() };
    Attempted { outcome, status: Some(503), answer: String::new() }
}

pub fn called(ordered: bool, kind: ForwardKind) -> Standing {
    Standing::Called(Box::new(Target {
        kind,
        target: "https://target.example/secret-path".to_owned(),
        payload: ForwardPayload::Full,
        ordered,
        secrets: vec!["whsec_secret".to_owned()],
        slack_to_from: false,
        account: "ann".to_owned(),
    }))
}

impl House {
    /// Everything shows, and the forwards `a` and `b` are webhooks that answer.
    pub fn new() -> Arc<Self> {
        let webhook = |name: &str| (name.to_owned(), called(false, ForwardKind::Webhook));
        Arc::new(Self {
            started: Instant::now(),
            due: Mutex::default(),
            recorded: Mutex::default(),
            calls: Mutex::default(),
            answer: Mutex::new(Box::new(|_| (Duration::from_millis(10), delivered()))),
            forwards: Mutex::new([webhook("a"), webhook("b")].into()),
            forwards_at_end: Mutex::default(),
            deleted: Mutex::default(),
            routed: Mutex::default(),
            open: watch::Sender::new(HashMap::new()),
            shown: watch::Sender::new(u64::MAX),
            caught_up: watch::Sender::new(true),
            refusals: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
            engine: Mutex::default(),
        })
    }

    /// A new engine over what the log holds.
    pub fn engine(self: &Arc<Self>) -> Arc<Engine> {
        let engine = Engine::new(
            Parts {
                store: Arc::clone(self) as _,
                shown: Arc::clone(self) as _,
                directory: Arc::clone(self) as _,
                courier: Arc::clone(self) as _,
                ledger: Arc::clone(self) as _,
                clock: Arc::clone(self) as _,
            },
            Settings::default(),
        );
        engine.fold(self.due.lock().unwrap().clone());
        *self.engine.lock().unwrap() = Some(Arc::clone(&engine));
        engine
    }

    /// Runs a new engine until the token is cancelled.
    pub fn run(self: &Arc<Self>) -> (CancellationToken, JoinHandle<usize>) {
        let shutdown = CancellationToken::new();
        (shutdown.clone(), tokio::spawn(self.engine().run(shutdown)))
    }

    pub fn answer(&self, answer: impl Fn(&Delivery) -> (Duration, Attempted) + Send + Sync + 'static) {
        *self.answer.lock().unwrap() = Box::new(answer);
    }

    pub fn stand(&self, forward: &str, standing: Standing) {
        self.forwards.lock().unwrap().insert(forward.to_owned(), standing);
    }

    /// Makes the message with this number due to a forward: the delivery's id.
    pub fn make_due(&self, forward: &str, number: i64) -> String {
        let message_id = message(number);
        let id = delivery_id(&message_id, forward, "");
        self.routed.lock().unwrap().insert(message_id.clone(), u64::try_from(number).unwrap());
        let due = ForwardDue {
            delivery_id: id.clone(),
            forward: forward.to_owned(),
            message_id,
            index: 0,
            routed_offset: number,
            arrived_at: START_MS - 1_000_000 + number,
            next_at: 0,
            attempts: 0,
            origin: String::new(),
        };
        self.append(id.clone(), Some(due));
        id
    }

    pub fn calls_to(&self, forward: &str) -> Vec<Seen> {
        self.calls.lock().unwrap().iter().filter(|call| call.forward == forward).cloned().collect()
    }

    pub fn attempts_of(&self, id: &str) -> Vec<ForwardAttempt> {
        let recorded = self.recorded.lock().unwrap();
        recorded.iter().map(|one| one.attempt.clone()).filter(|attempt| attempt.delivery_id == id).collect()
    }

    /// What the log says is due.
    pub fn still_due(&self) -> HashMap<String, ForwardDue> {
        self.open.borrow().clone()
    }

    /// Waits until nothing is due.
    pub async fn all_done(&self) {
        self.open.subscribe().wait_for(HashMap::is_empty).await.unwrap();
    }

    /// The record comes round to the engine a little later.
    fn append(&self, delivery_id: String, due: Option<ForwardDue>) -> Offset {
        self.open.send_modify(|open| match &due {
            Some(due) => _ = open.insert(delivery_id.clone(), due.clone()),
            None => _ = open.remove(&delivery_id),
        });
        let record = {
            let mut log = self.due.lock().unwrap();
            let offset = Offset::try_from(log.len()).unwrap();
            let record = DueRecord { partition: PARTITION, offset, timestamp_ms: self.now_ms(), delivery_id, due };
            log.push(record.clone());
            record
        };
        let offset = record.offset;
        if let Some(engine) = self.engine.lock().unwrap().clone() {
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(3)).await;
                engine.fold([record]);
            });
        }
        offset
    }
}

pub fn message(number: i64) -> MessageId {
    MessageId::from_parts(START_MS + number, [1; 10])
}

fn entry(id: &EntryId) -> Entry {
    Entry {
        id: id.to_string(),
        inbox: "ann@example.org".to_owned(),
        original_inbox: "ann@example.org".to_owned(),
        recipients: Vec::new(),
        received_at: START_MS,
        envelope: mailstore::Envelope::default(),
        from: Vec::new(),
        to: Vec::new(),
        cc: Vec::new(),
        bcc: Vec::new(),
        subject: String::new(),
        links: Vec::new(),
        attachments: Vec::new(),
        problems: Vec::new(),
        spam: 0.5,
        folder: Folder::Inbox,
        delivered_to: Folder::Inbox,
        read: false,
        saved_by: None,
        labels: Vec::new(),
    }
}

impl Clock for House {
    fn now_ms(&self) -> i64 {
        START_MS + i64::try_from(self.started.elapsed().as_millis()).unwrap()
    }
}

#[async_trait]
impl Courier for House {
    async fn deliver(&self, delivery: &Delivery) -> Attempted {
        self.calls.lock().unwrap().push(Seen {
            delivery_id: delivery.due.delivery_id.clone(),
            forward: delivery.due.forward.clone(),
            attempt: delivery.attempt(),
            at_ms: self.now_ms(),
            arrived_at: delivery.due.arrived_at,
        });
        let in_flight = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_in_flight.fetch_max(in_flight, Ordering::SeqCst);
        let (takes, attempted) = (self.answer.lock().unwrap_or_else(PoisonError::into_inner))(delivery);
        tokio::time::sleep(takes).await;
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        attempted
    }
}

#[async_trait]
impl Directory for House {
    fn find(&self, forward: &str) -> Standing {
        self.forwards.lock().unwrap().get(forward).cloned().unwrap_or(Standing::Gone)
    }

    async fn catch_up(&self) -> Result<(), String> {
        let at_end = self.forwards_at_end.lock().unwrap().clone();
        self.forwards.lock().unwrap().extend(at_end);
        Ok(())
    }
}

#[async_trait]
impl Ledger for House {
    async fn record(&self, recorded: &Recorded) -> Result<Offset, LedgerError> {
        let refuse = |left: usize| left.checked_sub(1);
        if self.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, refuse).is_ok() {
            return Err(LedgerError("the log is closed".to_owned()));
        }
        assert_eq!(recorded.partition, PARTITION);
        self.recorded.lock().unwrap().push(recorded.clone());
        let next = match &recorded.next {
            Next::Due(due) => Some(due.clone()),
            Next::Ended { .. } => None,
        };
        Ok(self.append(recorded.due.delivery_id.clone(), next))
    }

    async fn attempts(&self, _: Partition, delivery_id: &str) -> Result<Vec<ForwardAttempt>, LedgerError> {
        Ok(self.attempts_of(delivery_id))
    }
}

#[async_trait]
impl Shown for House {
    async fn reach(&self, position: Position, limit: Duration) -> bool {
        let mut shown = self.shown.subscribe();
        matches!(timeout(limit, shown.wait_for(|shown| *shown >= position.offset)).await, Ok(Ok(_)))
    }

    async fn caught_up(&self, _: Partition, limit: Duration) -> bool {
        let mut caught_up = self.caught_up.subscribe();
        matches!(timeout(limit, caught_up.wait_for(|caught_up| *caught_up)).await, Ok(Ok(_)))
    }
}

#[async_trait]
impl Store for House {
    async fn positions(&self) -> mailstore::Result<Vec<Position>> {
        Ok(Vec::new())
    }

    async fn apply(&self, _: Vec<Fact>, _: &[Position]) -> mailstore::Result<()> {
        Err(StoreError::Unavailable("nothing is applied here".to_owned()))
    }

    async fn list(&self, _: &ListQuery) -> mailstore::Result<Vec<Entry>> {
        Ok(Vec::new())
    }

    async fn entry(&self, id: &EntryId) -> mailstore::Result<Option<Entry>> {
        let shown = *self.shown.borrow();
        let is_shown = self.routed.lock().unwrap()[&id.message] < shown;
        let deleted = self.deleted.lock().unwrap().contains(&id.message);
        Ok((is_shown && !deleted).then(|| entry(id)))
    }

    async fn counts(&self, _: &str) -> mailstore::Result<Counts> {
        Ok(Counts::default())
    }

    async fn raw(&self, _: &MessageId) -> mailstore::Result<Option<Bytes>> {
        Ok(None)
    }
}
