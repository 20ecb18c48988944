//! Where mail is routed to now: the first record of each, which stand in the order of `mail.raw`, and what replays have
//! put in their place since.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use api::http::OperationError;
use eventlog::{Limits, Log, Scan};
use schemas::event::MailRouted;
use schemas::record::Partition;
use schemas::{Event, MessageId, Position, Record, Topic, codec};

use super::failed;
use super::mail::each;

const ROUTED: Topic = Topic::MailRouted;
const BATCH: Limits = Limits { records: 512, bytes: 4 << 20, wait: Duration::from_secs(5) };

/// What replays have made of messages, the last of each.
pub struct Replayed(HashMap<MessageId, MailRouted>);

impl Replayed {
    pub async fn read(log: &dyn Log) -> Result<Self, OperationError> {
        let mut replayed = HashMap::new();
        each(log, ROUTED, |record| {
            if let Some(routed) = routed_of(&record).filter(|routed| routed.replay.is_some()) {
                replayed.insert(routed.message_id.clone(), routed);
            }
        })
        .await?;
        Ok(Self(replayed))
    }

    /// Where a message is now, of which this was the first record.
    pub fn now(&self, first: MailRouted) -> (MailRouted, f64) {
        let score = first.score;
        (self.0.get(&first.message_id).cloned().unwrap_or(first), score)
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
