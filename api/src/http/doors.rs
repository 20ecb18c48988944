//! What the doors lean on, handed in by whoever assembles the program, and the handlers' shared state made of it.

use std::sync::{Arc, Mutex};

use accounts::{Sealer, Table};
use async_trait::async_trait;
use eventlog::{Follower, Log, Progress};
use mailstore::{Totals, Upkeep};
use schemas::{Arrivals, MessageId, Standing};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::events::MAX_STREAMS;
use super::replay::Replays;
use super::socket::Incoming;
use super::spam::Classifier;

/// Big mails that are parsed at a time: each may take as much memory as the mail, and as long as a core is slow.
const MAX_PARSING: usize = 4;
/// Websockets that are being told why they are refused.
const MAX_REFUSALS: usize = 256;

/// Everything that the doors lead to.
pub struct Doors {
    pub log: Arc<dyn Log>,
    pub store: Arc<dyn Upkeep>,
    pub accounts: Arc<Follower<Table>>,
    /// Whether other nodes write to the log as well.
    pub is_shared: bool,
    /// What stands on the topic `schemas`.
    pub schemas: Arc<Follower<Standing>>,
    /// How far the store shows what is on the log.
    pub shown: Arc<Progress>,
    pub sealer: Sealer,
    pub settings: Settings,
    /// The id of a delivery: of this message, to this forward, asked for by this origin.
    pub delivery_id: fn(&MessageId, &str, &str) -> String,
    pub operations: Arc<dyn Operations>,
    /// Says what is spam.
    pub classifier: Arc<Classifier>,
    /// Computes scores and routes again.
    pub replays: Arc<dyn Replays>,
    /// Mail as it comes.
    pub incoming: Arc<dyn Incoming>,
    /// The metrics in Prometheus' text format.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// What is missing before mail can come in and be read; empty when all is well.
    pub ready: Box<dyn Fn() -> Vec<String> + Send + Sync>,
    /// Ends answers that would go on for ever.
    pub shutdown: CancellationToken,
}

/// What an operator may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The name under which this server receives mail.
    pub server_name: String,
    /// The largest mail that may be brought in.
    pub max_message_bytes: usize,
    pub hosts: Hosts,
    /// Pages that may open a websocket, besides those of this server; `*` is any.
    pub origins: Vec<String>,
}

/// Which names a request may call this server by. A web page whose name has been pointed at this machine (DNS
/// rebinding) calls it by its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    Any,
    /// `localhost` and loopback addresses, and these.
    LoopbackAnd(Vec<String>),
}

/// What only the assembled program can do.
#[async_trait]
pub trait Operations: Send + Sync + 'static {
    /// Folds the log into new tables beside the old and makes them the ones that are read.
    async fn rebuild(&self, report: &(dyn Fn(RebuildStep) + Send + Sync)) -> Result<Totals, OperationError>;
}

/// How far a rebuild has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RebuildStep {
    /// What is being done, for people.
    pub stage: String,
    /// Records, or whatever the stage counts.
    pub done: u64,
    pub total: u64,
}

/// Named for what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    #[error("it is being done already")]
    Busy,
    /// What was asked for can't be done.
    #[error("{0}")]
    Refused(String),
    /// Nothing has changed; the cause is for an operator.
    #[error("{0}")]
    Failed(String),
}

/// The state of every handler.
pub struct Api {
    pub doors: Arc<Doors>,
    /// Places for parsing big mail.
    pub(super) parsing: Arc<Semaphore>,
    /// Places for refusing websockets.
    pub(super) refusals: Arc<Semaphore>,
    /// Places for those who read the log.
    pub(super) streams: Arc<Semaphore>,
    /// One partial update of settings at a time: each reads, changes and writes the whole of them.
    pub(super) settings_turn: Semaphore,
    /// One decision about dead letters at a time: each looks at what was decided before.
    pub(super) letters_turn: Semaphore,
    /// The times of mail that is brought in.
    pub(super) arrivals: Mutex<Arrivals>,
}

impl Api {
    pub fn new(doors: Arc<Doors>) -> Arc<Self> {
        Arc::new(Self {
            doors,
            parsing: Arc::new(Semaphore::new(MAX_PARSING)),
            refusals: Arc::new(Semaphore::new(MAX_REFUSALS)),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            settings_turn: Semaphore::new(1),
            letters_turn: Semaphore::new(1),
            arrivals: Mutex::default(),
        })
    }

    /// Reads the accounts as they are now.
    pub(super) fn table<R>(&self, look: impl FnOnce(&Table) -> R) -> R {
        self.doors.accounts.read(look)
    }
}
