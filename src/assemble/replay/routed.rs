//! Where mail is routed to now: the first record of each, which stand in the order of `mail.raw`, and what replays have
//! put in their place since.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use api::http::OperationError;
use eventlog::{Limits, Log, Scan};
use schemas::event::MailRouted;
use schemas::record::Partition;
use schemas::{Event, MessageId, Position, Record, Topic, codec};

use super::failed;
use super::mail::{Older, each};

const ROUTED: Topic = Topic::MailRouted;
const BATCH: Limits = Limits { records: 512, bytes: 4 << 20, wait: Duration::from_secs(5) };

/// What replays have made of messages, the last of each; and which messages stand on the log, of those that by their
/// time may be older.
pub struct Replayed {
    last: HashMap<MessageId, MailRouted>,
    on_log: HashSet<MessageId>,
}

impl Replayed {
    pub async fn read(log: &dyn Log, older: &Older) -> Result<Self, OperationError> {
        let (mut last, mut on_log) = (HashMap::new(), HashSet::new());
        each(log, ROUTED, |record| {
            let Some(routed) = routed_of(&record) else { return };
            if routed.replay.is_some() {
                last.insert(routed.message_id.clone(), routed);
            } else if older.may_be(&routed) {
                on_log.insert(routed.message_id);
            }
        })
        .await?;
        Ok(Self { last, on_log })
    }

    pub fn is_on_log(&self, id: &MessageId) -> bool {
        self.on_log.contains(id)
    }

    /// Where a message is now, of which this was the first record.
    pub fn now(&self, first: MailRouted) -> (MailRouted, f64) {
        let score = first.score;
        (self.last.get(&first.message_id).cloned().unwrap_or(first), score)
    }
}

/// The first records of a partition, read in step with its mail.
pub struct First {
    log: Arc<dyn Log>,
    scan: Scan,
    read: HashMap<i64, MailRouted>,
    far: i64,
}

impl First {
    pub async fn new(log: &Arc<dyn Log>, partition: Partition) -> Result<Self, OperationError> {
        let bounds = log.bounds(ROUTED).await.map_err(failed)?;
        let bounds = bounds.iter().find(|bounds| bounds.partition == partition);
        let (earliest, end) = bounds.map_or((0, 0), |bounds| (bounds.earliest, bounds.end));
        let at = |offset| vec![Position::new(ROUTED, partition, offset)];
        Ok(Self { log: Arc::clone(log), scan: Scan::new(at(earliest), at(end)), read: HashMap::new(), far: -1 })
    }

    /// The first record about the mail at this place; `None` where it is not routed yet. Asked in rising order.
    pub async fn of(&mut self, raw_offset: i64) -> Result<Option<MailRouted>, OperationError> {
        while self.far < raw_offset {
            let read = self.scan.next(self.log.as_ref(), &BATCH).await.map_err(failed)?;
            let Some(records) = read else { break };
            for routed in records.iter().filter_map(routed_of).filter(|routed| routed.replay.is_none()) {
                self.far = self.far.max(routed.raw_offset);
                if routed.raw_offset >= raw_offset {
                    self.read.insert(routed.raw_offset, routed);
                }
            }
        }
        Ok(self.read.remove(&raw_offset))
    }
}

fn routed_of(record: &Record) -> Option<MailRouted> {
    match codec::decode(ROUTED, record.value.as_deref()?) {
        Ok(Event::Routed(routed)) => Some(routed),
        Ok(_) | Err(_) => None,
    }
}
