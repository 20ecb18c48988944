//! Mail that is computed again: from the log, a partition after the other, and, where the log has given it up, from the
//! store.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use accounts::MAX_COPIES;
use api::http::OperationError;
use api::http::replay::Ask;
use bytes::Bytes;
use eventlog::{Limits, Log, Scan};
use mailstore::{Entry, Store, Upkeep};
use schemas::event::{MailRaw, MailRouted};
use schemas::record::Partition;
use schemas::{EntryId, Event, MessageId, Position, Record, Topic, codec};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::failed;
use super::marks::FROM_STORE;

const RAW: Topic = Topic::MailRaw;
const BATCH_BYTES: usize = 8 << 20;
/// A broker may take this long to bring what it has.
const WAIT: Duration = Duration::from_secs(5);
const ONE: Limits = Limits { records: 1, bytes: 0, wait: WAIT };
/// The log takes a mail a little after its arrival, and clocks differ.
const SLACK_MS: i64 = 60 * 60 * 1000;
/// Mails of the store that wait to be computed.
const WAITING: usize = 64;

/// A mail that somebody is shown.
pub struct Mail {
    pub id: MessageId,
    pub partition: Partition,
    pub raw_offset: i64,
    /// As it arrived, where the log has it; else only its bytes.
    pub raw: Option<MailRaw>,
    pub content: Bytes,
    pub shown: Vec<Entry>,
}

/// A stretch of a partition of `mail.raw`.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    pub partition: Partition,
    pub from: u64,
    pub end: u64,
}

/// The stretches that hold what is asked for.
pub async fn stretches(log: &dyn Log, ask: &Ask) -> Result<Vec<Stretch>, OperationError> {
    let starts = match ask.since_ms {
        Some(since) => log.offsets_at(RAW, since.saturating_sub(SLACK_MS)).await.map_err(failed)?,
        None => Vec::new(),
    };
    let ends = match ask.until_ms {
        Some(until) => log.offsets_at(RAW, until.saturating_add(SLACK_MS)).await.map_err(failed)?,
        None => Vec::new(),
    };
    let at = |places: &[Position], partition| {
        places.iter().find(|place| place.partition == partition).map(|place| place.offset)
    };
    let bounds = log.bounds(RAW).await.map_err(failed)?;
    let stretch = |bounds: &eventlog::Bounds| Stretch {
        partition: bounds.partition,
        from: at(&starts, bounds.partition).unwrap_or(0).max(bounds.earliest),
        end: at(&ends, bounds.partition).unwrap_or(bounds.end).min(bounds.end),
    };
    Ok(bounds.iter().map(stretch).collect())
}

/// Reads a stretch, so many mails at a time.
pub struct OnLog {
    log: Arc<dyn Log>,
    scan: Scan,
    /// The next record.
    pub place: u64,
    end: u64,
}

impl OnLog {
    pub fn new(log: &Arc<dyn Log>, stretch: &Stretch) -> Self {
        let at = |offset| vec![Position::new(RAW, stretch.partition, offset)];
        let scan = Scan::new(at(stretch.from), at(stretch.end));
        Self { log: Arc::clone(log), scan, place: stretch.from, end: stretch.end }
    }

    /// The next mails and their places; `None` at the end. What can't be read has its letter, and is passed over.
    pub async fn next(&mut self, records: usize) -> Result<Option<Vec<(u64, MailRaw)>>, OperationError> {
        let limits = Limits { records, bytes: BATCH_BYTES, wait: WAIT };
        let read = self.scan.next(self.log.as_ref(), &limits).await.map_err(failed)?;
        self.place = self.scan.reached().first().map_or(self.end, |at| at.offset.min(self.end));
        let mails = |records: Vec<Record>| {
            records.iter().filter_map(|record| Some((record.position.offset, mail_of(record)?))).collect()
        };
        Ok(read.map(mails))
    }
}

fn mail_of(record: &Record) -> Option<MailRaw> {
    match codec::decode(RAW, record.value.as_deref()?) {
        Ok(Event::Raw(raw)) => Some(raw),
        Ok(_) | Err(_) => None,
    }
}

/// Whether a mail that arrived then is asked for.
pub fn is_in_time(ask: &Ask, arrived_at: i64) -> bool {
    ask.since_ms.is_none_or(|since| arrived_at >= since) && ask.until_ms.is_none_or(|until| arrived_at <= until)
}

/// The entries of a mail that are shown; only the first, where that is enough.
pub async fn shown(store: &dyn Store, raw: &MailRaw, all: bool) -> Result<Vec<Entry>, OperationError> {
    let mut shown = Vec::new();
    // Copies are numbered behind the recipients.
    let most = u32::try_from(raw.recipients.len() + MAX_COPIES).unwrap_or(u32::MAX);
    for index in 0..most {
        let id = EntryId { message: raw.message_id.clone(), index };
        shown.extend(store.entry(&id).await.map_err(failed)?);
        if !all && !shown.is_empty() {
            break;
        }
    }
    Ok(shown)
}

/// Which mail of the store the log has given up, as far as times tell: some of it may stand on the log all the same.
pub struct Older {
    /// In each partition that has given up something: the place of its first mail, and when that arrived.
    first: BTreeMap<Partition, (u64, i64)>,
    partitions: Partition,
}

impl Older {
    pub async fn than(log: &dyn Log) -> Result<Self, OperationError> {
        let bounds = log.bounds(RAW).await.map_err(failed)?;
        let mut first = BTreeMap::new();
        for bounds in bounds.iter().filter(|bounds| bounds.earliest > 0) {
            let place = Position::new(RAW, bounds.partition, bounds.earliest);
            let records = log.tail(&[place]).await.map_err(failed)?.poll(&ONE).await.map_err(failed)?;
            let arrived_at = records.first().and_then(mail_of).map_or(i64::MAX, |raw| raw.arrived_at);
            first.insert(bounds.partition, (bounds.earliest, arrived_at));
        }
        Ok(Self { first, partitions: u32::try_from(bounds.len()).unwrap_or(u32::MAX) })
    }

    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    pub fn partition(&self, id: &MessageId) -> Partition {
        eventlog::partition::of_key(id.as_str().as_bytes(), self.partitions)
    }

    fn takes(&self, id: &MessageId, received_at: i64) -> bool {
        let first = self.first.get(&self.partition(id));
        first.is_some_and(|(_, first)| received_at <= first.saturating_add(SLACK_MS))
    }

    /// Whether a mail that stands on the log may be taken for one that does not.
    pub fn may_be(&self, routed: &MailRouted) -> bool {
        let earliest = self.first.get(&self.partition(&routed.message_id)).map_or(0, |(earliest, _)| *earliest);
        let is_on_log = u64::try_from(routed.raw_offset).is_ok_and(|offset| offset >= earliest);
        is_on_log && self.takes(&routed.message_id, routed.arrived_at)
    }
}

/// A message of the store's dump.
#[derive(Deserialize)]
struct Line {
    id: MessageId,
    entries: Vec<Entry>,
}

/// The messages of the store that are older, while they are read.
pub struct InStore {
    messages: mpsc::Receiver<(MessageId, Vec<Entry>)>,
    reading: JoinHandle<mailstore::Result<()>>,
}

impl InStore {
    pub fn read(store: Arc<dyn Upkeep>, older: Arc<Older>) -> Self {
        let (sender, messages) = mpsc::channel(WAITING);
        // The store hands its lines over one by one and can't wait in between, so it is read in a thread that may.
        let reading = tokio::task::spawn_blocking(move || {
            let gone = |_| std::io::Error::from(std::io::ErrorKind::BrokenPipe);
            let mut take = |line: String| {
                // The other views say nothing more.
                let Ok(Line { id, entries }) = serde_json::from_str(&line) else { return Ok(()) };
                let received_at = entries.first().map_or(i64::MAX, |entry| entry.received_at);
                if !older.takes(&id, received_at) {
                    return Ok(());
                }
                sender.blocking_send((id, entries)).map_err(gone)
            };
            futures::executor::block_on(store.dump(&mut take))
        });
        Self { messages, reading }
    }

    /// The next one with its entries, in order of the ids; `None` when all were read.
    pub async fn next(&mut self) -> Result<Option<(MessageId, Vec<Entry>)>, OperationError> {
        if let Some(message) = self.messages.recv().await {
            return Ok(Some(message));
        }
        (&mut self.reading).await.map_err(failed)?.map_err(failed)?;
        Ok(None)
    }
}

/// A message of the store, with its bytes; `None` where they are gone.
pub async fn from_store(
    store: &dyn Store,
    older: &Older,
    id: MessageId,
    shown: Vec<Entry>,
) -> Result<Option<Mail>, OperationError> {
    let Some(content) = store.raw(&id).await.map_err(failed)? else { return Ok(None) };
    let partition = older.partition(&id);
    Ok(Some(Mail { id, partition, raw_offset: FROM_STORE, raw: None, content, shown }))
}

/// The messages that came from the store, so that the log's are not computed twice.
pub type Had = HashSet<MessageId>;

/// Hands every record that a topic holds now to `take`, in order within a partition.
pub async fn each(log: &dyn Log, topic: Topic, mut take: impl FnMut(Record) + Send) -> Result<(), OperationError> {
    let bounds = log.bounds(topic).await.map_err(failed)?;
    let places = |offset: fn(&eventlog::Bounds) -> u64| -> Vec<Position> {
        bounds.iter().map(|bounds| Position::new(topic, bounds.partition, offset(bounds))).collect()
    };
    let taken = |record| {
        take(record);
        ControlFlow::Continue(())
    };
    eventlog::scan(log, places(|bounds| bounds.earliest), &places(|bounds| bounds.end), taken).await.map_err(failed)
}
