//! A house for tests: log, store and accounts in a temporary folder, three accounts, and the doors.

use std::sync::{Arc, Mutex};

use accounts::{Sealer, Table};
use api::http::{
    Ask, Classifier, Doors, Hosts, Incoming, Listening, NotListening, OperationError, Operations, RebuildStep,
    Settings, replay,
};
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use eventlog::embedded::{DatabaseSettings, EmbeddedLog, EmbeddedSettings, open_database};
use eventlog::{Bounds, Follower, Limits, Log, LogError, LogId, Member, Progress, Tail};
use mailstore::embedded::EmbeddedStore;
use mailstore::{Fact, RawBytes, RawSource, Store, StoreError, Totals, Upkeep};
use processors::spam::{Counts, MODEL_NAME, Model, Models};
use schemas::event::{AccountChange, AccountEvent, Door, MailRaw, Peer};
use schemas::{Event, MessageId, NewRecord, Position, Record, Topic, codec};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// When the first mail of a test arrives: 2020-07-05T22:25:41.408Z.
pub const FIRST_MS: i64 = 1_593_987_941_408;
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

pub struct House {
    pub router: Router,
    pub log: Arc<Faulty>,
    pub store: Arc<EmbeddedStore>,
    pub doors: Arc<Doors>,
    pub missing: Arc<Mutex<Vec<String>>>,
    pub incoming: Arc<Feeds>,
    delivered: Mutex<u8>,
    shutdown: CancellationToken,
    _folder: TempDir,
}

/// Every mail scores 0.5 by it.
fn knows_nothing() -> Models {
    let mut models = Models::default();
    models.fold(&Counts::default().to_event(MODEL_NAME, 1, 0)).unwrap();
    models
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl House {
    /// With the accounts `root` (an administrator), `ann` and `bob`, whose keys are `k_root`, `k_ann` and `k_bob`.
    pub async fn new() -> Self {
        Self::with(Hosts::Any).await
    }

    pub async fn with(hosts: Hosts) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = open_database(&folder.path().join("db"), DatabaseSettings::default()).unwrap();
        let settings = EmbeddedSettings { reserve_bytes: 0, ..EmbeddedSettings::default() };
        let embedded = EmbeddedLog::open(database.clone(), folder.path(), settings).unwrap();
        let segments = RawBytes::OnLog(Arc::new(Segments(Arc::clone(&embedded))));
        let store = EmbeddedStore::open(database, &embedded.id().0, segments).unwrap();
        let log = Arc::new(Faulty { inner: embedded, fault: Mutex::new(Fault::None) });
        let shutdown = CancellationToken::new();
        let as_log: Arc<dyn Log> = log.clone();
        let accounts = Follower::start(as_log.clone(), Topic::Accounts, Table::default(), 0, fold, shutdown.clone());
        let shown = Arc::new(Progress::new());
        tokio::spawn(follow_actions(as_log.clone(), store.clone(), Arc::clone(&shown), shutdown.clone()));
        let missing = Arc::new(Mutex::new(Vec::new()));
        let incoming = Arc::new(Feeds::default());
        let what_is_missing = Arc::clone(&missing);
        let doors = Arc::new(Doors {
            log: as_log,
            store: store.clone(),
            accounts,
            shown,
            sealer: Sealer::new([7; 32]),
            settings: Settings {
                server_name: "mail.test".into(),
                max_message_bytes: MAX_MESSAGE_BYTES,
                hosts,
                origins: vec!["https://app.test".into()],
            },
            delivery_id: |message, forward, origin| format!("dlv_{message}{forward}{origin}"),
            operations: Arc::new(NoOperations),
            replays: Arc::new(NoOperations),
            classifier: Classifier::new(Model::starter),
            incoming: incoming.clone(),
            metrics: Box::new(|| "postlog_up 1\n".to_owned()),
            ready: Box::new(move || what_is_missing.lock().unwrap().clone()),
            shutdown: shutdown.clone(),
        });
        let router = api::http::router(Arc::clone(&doors));
        let delivered = Mutex::new(0);
        let house = Self { router, log, store, doors, missing, incoming, delivered, shutdown, _folder: folder };
        for (account, admin) in [("root", true), ("ann", false), ("bob", false)] {
            house.account(account, admin).await;
        }
        house
    }

    async fn account(&self, account: &str, admin: bool) {
        let id = account.to_owned();
        let key_sha256 = accounts::key_sha256(&format!("k_{account}"));
        self.change(AccountChange::AccountCreated { account: id.clone(), email: format!("{id}@x.org"), admin }).await;
        self.change(AccountChange::KeyCreated { account: id, name: "first".into(), key_sha256 }).await;
    }

    /// A change that the server itself makes.
    pub async fn change(&self, change: AccountChange) {
        let event = AccountEvent { event_id: "setup".into(), at: FIRST_MS, by: None, change };
        self.append(Event::Account(event), None).await;
        self.doors.accounts.catch_up().await.unwrap();
    }

    pub async fn append(&self, event: Event, partition: Option<u32>) -> Position {
        let value = codec::encode(&event).unwrap();
        let record = NewRecord { partition, ..NewRecord::new(event.topic(), "key", value) };
        self.log.append(vec![record]).await.unwrap()[0]
    }

    /// A mail as if it came by SMTP, a second after the one before it. Returns its id.
    pub async fn deliver(&self, to: &[&str], content: &str) -> MessageId {
        let count = {
            let mut delivered = self.delivered.lock().unwrap();
            *delivered += 1;
            *delivered
        };
        let arrived_at = FIRST_MS + i64::from(count - 1) * 1000;
        self.deliver_at(arrived_at, [count; 10], to, content).await
    }

    pub async fn deliver_at(&self, arrived_at: i64, random: [u8; 10], to: &[&str], content: &str) -> MessageId {
        let raw = MailRaw {
            message_id: MessageId::from_parts(arrived_at, random),
            arrived_at,
            door: Door::Smtp,
            peer: Some(Peer { ip: "192.0.2.7".into(), port: 4711 }),
            received_by: "mail.test".into(),
            helo: Some("client.test".into()),
            esmtp: true,
            tls: None,
            login: None,
            mail_from: "sender@y.org".into(),
            recipients: to.iter().map(ToString::to_string).collect(),
            smtputf8: false,
            content: content.replace('\n', "\r\n").into_bytes(),
        };
        let position = self.append(Event::Raw(raw.clone()), Some(0)).await;
        self.fold(position, raw.clone()).await;
        raw.message_id
    }

    /// What processors and store sink do with a message.
    pub async fn fold(&self, position: Position, raw: MailRaw) {
        let offset = i64::try_from(position.offset).unwrap();
        let facts = self.doors.accounts.read(|table| processors::process(&raw, offset, table, &knows_nothing()));
        let mut folded = vec![Fact { position, event: Event::Raw(raw) }];
        for event in [Event::Parsed(facts.parsed), Event::Scored(facts.scored), Event::Routed(facts.routed)] {
            folded.push(Fact { position: self.append(event.clone(), Some(position.partition)).await, event });
        }
        let positions: Vec<Position> = folded.iter().map(|fact| fact.position.next()).collect();
        self.store.apply(folded, &positions).await.unwrap();
    }

    /// `GET /api/me ann`: a method, a path and whose key.
    pub async fn ask(&self, line: &str) -> Answer {
        self.send(line, "").await
    }

    pub async fn send(&self, line: &str, body: &str) -> Answer {
        let mut words = line.split_whitespace();
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let mut request = Request::builder().method(method).uri(path);
        if let Some(account) = words.next().filter(|account| *account != "none") {
            request = request.header("Mailsac-Key", format!("k_{account}"));
        }
        for word in words {
            let (name, value) = word.split_once('=').unwrap();
            request = request.header(name, value);
        }
        self.request(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    pub async fn request(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn fold(table: &mut Table, record: &Record) {
    let Some(value) = &record.value else { return };
    if let Ok(Event::Account(event)) = codec::decode(Topic::Accounts, value) {
        table.fold(record.position.offset, &event);
    }
}

async fn follow_actions(log: Arc<dyn Log>, store: Arc<dyn Store>, shown: Arc<Progress>, shutdown: CancellationToken) {
    let mut tail = log.tail(&[Position::new(Topic::MailActions, 0, 0)]).await.unwrap();
    let limits = Limits { records: 1000, bytes: 1 << 20, wait: std::time::Duration::from_secs(1) };
    while let Some(Ok(records)) = shutdown.run_until_cancelled(tail.poll(&limits)).await {
        let facts: Vec<Fact> = records
            .iter()
            .map(|record| Fact {
                position: record.position,
                event: codec::decode(Topic::MailActions, record.value.as_ref().unwrap()).unwrap(),
            })
            .collect();
        let Some(last) = facts.last() else { continue };
        let next = last.position.next();
        store.apply(facts, &[next]).await.unwrap();
        shown.advance(&[next]);
    }
}

struct Segments(Arc<EmbeddedLog>);

impl RawSource for Segments {
    fn read(&self, position: Position) -> Result<Option<MailRaw>, StoreError> {
        let record = self.0.read(position).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(record.and_then(|record| match codec::decode(Topic::MailRaw, &record.value?) {
            Ok(Event::Raw(raw)) => Some(raw),
            _ => None,
        }))
    }
}

/// What was asked of it, and what it says to each who asks.
#[derive(Default)]
pub struct Feeds {
    pub asked: Mutex<Vec<Ask>>,
    pub answers: Mutex<std::collections::VecDeque<Result<Box<dyn Listening>, NotListening>>>,
}

#[async_trait]
impl Incoming for Feeds {
    async fn listen(&self, ask: Ask) -> Result<Box<dyn Listening>, NotListening> {
        self.asked.lock().unwrap().push(ask);
        self.answers.lock().unwrap().pop_front().unwrap_or(Err(NotListening::Unavailable))
    }
}

struct NoOperations;

#[async_trait]
impl replay::Replays for NoOperations {
    async fn score(&self, _: replay::Ask, _: &replay::Report<'_>) -> Result<replay::ScoreReport, OperationError> {
        Ok(replay::ScoreReport::default())
    }

    async fn route(&self, _: replay::Ask, _: &replay::Report<'_>) -> Result<replay::RouteReport, OperationError> {
        Ok(replay::RouteReport::default())
    }
}

#[async_trait]
impl Operations for NoOperations {
    async fn rebuild(&self, report: &(dyn Fn(RebuildStep) + Send + Sync)) -> Result<Totals, OperationError> {
        report(RebuildStep { stage: "folding".into(), done: 1, total: 2 });
        Ok(Totals { messages: 3, entries: 4 })
    }
}

/// How the log fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    Full,
    Damaged,
    /// It takes what is appended, and nobody ever sees it.
    Hidden,
    /// Somebody else's event for the same address lands just before.
    Raced,
}

/// A log that fails on cue.
pub struct Faulty {
    inner: Arc<EmbeddedLog>,
    pub fault: Mutex<Fault>,
}

#[async_trait]
impl Log for Faulty {
    fn id(&self) -> &LogId {
        self.inner.id()
    }

    async fn append(&self, records: Vec<NewRecord>) -> eventlog::Result<Vec<Position>> {
        let fault = *self.fault.lock().unwrap();
        match fault {
            Fault::None => self.inner.append(records).await,
            Fault::Full => Err(LogError::Full("the disk is full".into())),
            Fault::Damaged => Err(LogError::Damaged("/data/secret/path".into())),
            Fault::Hidden => Ok(records.iter().map(|record| Position::new(record.topic, 0, 1_000_000)).collect()),
            Fault::Raced => {
                for record in &records {
                    let Ok(Event::Account(mut event)) = codec::decode(record.topic, record.value.as_ref().unwrap())
                    else {
                        continue;
                    };
                    event.event_id = "faster".into();
                    event.by = Some("bob".into());
                    if let AccountChange::AddressReserved { owner, .. } = &mut event.change {
                        "bob".clone_into(owner);
                    }
                    let value = codec::encode(&Event::Account(event)).unwrap();
                    self.inner.append(vec![NewRecord::new(record.topic, "key", value)]).await?;
                }
                self.inner.append(records).await
            }
        }
    }

    async fn join(&self, group: &str, topics: &[Topic]) -> eventlog::Result<Box<dyn Member>> {
        self.inner.join(group, topics).await
    }

    async fn tail(&self, from: &[Position]) -> eventlog::Result<Box<dyn Tail>> {
        self.inner.tail(from).await
    }

    async fn bounds(&self, topic: Topic) -> eventlog::Result<Vec<Bounds>> {
        self.inner.bounds(topic).await
    }

    async fn offsets_at(&self, topic: Topic, timestamp_ms: i64) -> eventlog::Result<Vec<Position>> {
        self.inner.offsets_at(topic, timestamp_ms).await
    }

    async fn truncate(&self, before: &[Position]) -> eventlog::Result<()> {
        self.inner.truncate(before).await
    }

    async fn committed(&self, group: &str) -> eventlog::Result<Vec<Position>> {
        self.inner.committed(group).await
    }
}

/// The store, for tests that look past the doors.
pub async fn totals(house: &House) -> Totals {
    house.store.totals().await.unwrap().0
}
