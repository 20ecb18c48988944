//! What can be read back: the views that are folded from the log, behind one trait with two bodies (embedded,
//! and on CQL). It knows the events, and nothing of how they reach it or who asks.

#[cfg(any(test, feature = "contract"))]
pub mod contract;
#[cfg(feature = "cql")]
pub mod cql;
mod dump;
pub mod embedded;
mod encoding;
pub mod message;
mod rebuilt;
mod row;
mod telemetry;
mod views;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use schemas::event::{Address, Attachment, Folder, MailRaw};
use schemas::{EntryId, Event, MessageId, Position};
use serde::{Deserialize, Serialize};

/// An event and the place where it stands. A store folds each place once, in any order of topics.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    pub position: Position,
    pub event: Event,
}

/// An entry as its readers see it: every column of its message and its own flags. Lists of a body may keep it whole, so
/// a field is never renamed, and what an older row lacks has its default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    pub id: String,
    pub inbox: String,
    pub original_inbox: String,
    pub recipients: Vec<String>,
    /// Milliseconds since 1970.
    pub received_at: i64,
    pub envelope: Envelope,
    pub from: Vec<Address>,
    pub to: Vec<Address>,
    pub cc: Vec<Address>,
    pub bcc: Vec<Address>,
    pub subject: String,
    pub links: Vec<String>,
    pub attachments: Vec<Attachment>,
    pub problems: Vec<String>,
    pub spam: f64,
    pub folder: Folder,
    /// The folder that it started in, wherever people have moved it since.
    pub delivered_to: Folder,
    pub read: bool,
    /// The account that starred it.
    pub saved_by: Option<String>,
    pub labels: Vec<String>,
}

/// What SMTP saw, without the bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Envelope {
    pub mail_from: String,
    pub peer_ip: Option<String>,
    pub received_by: String,
    pub helo: Option<String>,
    pub esmtp: bool,
    pub tls: bool,
    pub size_bytes: u64,
}

/// An entry in a list, written out: its message object, and what decides who may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub id: EntryId,
    pub inbox: String,
    /// The account that starred it.
    pub saved_by: Option<String>,
    /// [`message::Message`] as JSON.
    pub json: Box<[u8]>,
}

impl Listed {
    pub fn of(id: EntryId, entry: &Entry) -> Result<Self> {
        let json = serde_json::to_vec(&message::Message::from(entry))
            .map_err(|error| StoreError::Damaged(format!("{id} can't be written as JSON: {error}")))?;
        let (inbox, saved_by) = (entry.inbox.clone(), entry.saved_by.clone());
        Ok(Self { id, inbox, saved_by, json: json.into_boxed_slice() })
    }
}

/// Which entries, newest first: by time of receipt, then by id, both falling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    pub scope: Scope,
    /// Entries received at this time or before, in milliseconds since 1970.
    pub until_ms: Option<i64>,
    /// Entries that come after this one in the list.
    pub after: Option<EntryId>,
    pub limit: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    Inbox(String),
    /// What an account has starred.
    StarredBy(String),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub messages: u64,
    pub unread: u64,
}

/// What the sweep may remove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Entries received before this time go, unless they are starred.
    pub received_before_ms: Option<i64>,
    /// The oldest entries that are not starred go until the mail kept is not larger than this.
    pub max_bytes: Option<u64>,
    /// Places on `mail.raw` that the log is about to give up: bytes before them are copied out of the log, for every
    /// entry that stays.
    pub raw_before: Vec<Position>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    pub messages_removed: u64,
    /// Whose bytes are in the store alone from now on.
    pub messages_copied_out: u64,
}

/// Named for what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Try the same again later.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// Try the same again at once: other tables are in use by now.
    #[error("the tables of the store were replaced meanwhile: {0}")]
    Replaced(String),
    /// Stop: going on would lose or mix something.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// Stop: the store was filled from another log.
    #[error(
        "the store was filled from the log {stored}, and this is the log {given}: use the log that it was filled from, \
         or another data folder (an empty one is filled from this log)"
    )]
    OtherLog { stored: String, given: String },
}

impl StoreError {
    /// Whether the same may go well another time.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Replaced(_))
    }
}

pub type Result<T> = std::result::Result<T, StoreError>;

/// Where a store has the bytes of its messages. Said when it is opened, and the same for as long as it is kept.
#[derive(Clone)]
pub enum RawBytes {
    /// On the log, and in the store only from when the log gives them up.
    OnLog(Arc<dyn RawSource>),
    /// In the store, from the fold of their message on: for a log that others keep, and that is far to read from.
    CopiedIn,
}

/// Where the bytes of a message that a store holds by reference lie: in the log.
pub trait RawSource: Send + Sync + 'static {
    /// The record of `mail.raw` at this place; `None` when the log has given it up.
    fn read(&self, position: Position) -> Result<Option<MailRaw>>;
}

/// The views of the mail, as their readers and the sink use them.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Where the fold stands: in each partition it has seen, the next place to fold.
    async fn positions(&self) -> Result<Vec<Position>>;

    /// Folds the facts and moves the positions, both or neither. What lies behind the positions is ignored. All facts
    /// of a message stand in one partition. Waits for no sync: what a crash takes back is folded again.
    async fn apply(&self, facts: Vec<Fact>, positions: &[Position]) -> Result<()>;

    /// At most 1000 entries. An entry is shown when `mail.raw`, `mail.parsed` and `mail.routed` are folded and it is
    /// not deleted, in whatever order those came.
    async fn list(&self, query: &ListQuery) -> Result<Vec<Entry>>;

    /// The same entries as [`Store::list`], in the same order, written out: for whoever passes them on.
    async fn listed(&self, query: &ListQuery) -> Result<Vec<Arc<Listed>>> {
        let write = |entry: &Entry| {
            let id = entry.id.parse().map_err(|_| StoreError::Damaged(format!("{:?} is no entry's id", entry.id)))?;
            Listed::of(id, entry).map(Arc::new)
        };
        self.list(query).await?.iter().map(write).collect()
    }

    async fn entry(&self, id: &EntryId) -> Result<Option<Entry>>;

    async fn counts(&self, inbox: &str) -> Result<Counts>;

    /// The bytes of a message as it arrived; `None` when no entry of it is shown.
    async fn raw(&self, id: &MessageId) -> Result<Option<Bytes>>;
}

/// What an operator does to a store.
#[async_trait]
pub trait Upkeep: Store {
    /// Removes what is deleted or past its retention. Everything is durable when it returns, so the log may then give
    /// up what `raw_before` names. Refused (try later) during a rebuild.
    async fn sweep(&self, retention: &Retention) -> Result<Swept>;

    /// Every view as canonical JSON lines, in one order, whatever order the facts came in.
    async fn dump(&self, line: &mut (dyn FnMut(String) -> std::io::Result<()> + Send)) -> Result<()>;

    /// New, empty tables beside these: fold into them, then [`Upkeep::switch`]. Keep the store until then: when it is
    /// dropped, the next sweep gives the new tables up.
    async fn rebuild(&self) -> Result<Box<dyn Store>>;

    /// Copies into the tables being rebuilt every message whose bytes lie before these places on `mail.raw`, with its
    /// flags and bytes: the log does not hold it any more. Of the others it copies what no log tells, that is, what
    /// retention has removed. May come before, between or after the folds; says how many messages it carried.
    async fn carry_over(&self, raw_before: &[Position]) -> Result<u64>;

    /// Makes the rebuilt tables the ones that are read and folded into, and drops the old. Refused (try later) while
    /// they stand behind the old ones in a partition, or nowhere at all; a partition in which they have no position is
    /// taken as one that the log holds nothing of. Folds into this store may go on all the time.
    async fn switch(&self) -> Result<()>;

    /// Messages and entries: in the tables being read, and in those being rebuilt.
    async fn totals(&self) -> Result<(Totals, Option<Totals>)>;
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub messages: u64,
    pub entries: u64,
}
