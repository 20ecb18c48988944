//! A replay's mark, and how far a replay came that was cut off: both are read from the log.

use std::collections::{BTreeMap, HashSet};

use api::http::OperationError;
use api::http::replay::Ask;
use eventlog::Log;
use schemas::record::Partition;
use schemas::{Event, MessageId, Topic, codec};
use sha2::{Digest, Sha256};

use super::mail::each;

const DIGITS: usize = 16;

/// The mark of a replay: the same for the same question, asked of the same models and tables.
pub fn mark(kind: &str, ask: &Ask, with: &[String]) -> String {
    let mut digest = Sha256::new();
    let number = |number: Option<i64>| number.map_or_else(String::new, |number| number.to_string());
    let parts = [number(ask.since_ms), number(ask.until_ms), ask.inbox.clone().unwrap_or_default()];
    for part in parts.iter().chain(with) {
        digest.update(part.len().to_be_bytes());
        digest.update(part.as_bytes());
    }
    let digits: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).take(DIGITS / 2).collect();
    format!("{kind}-{digits}")
}

/// What a replay has done before it was cut off.
#[derive(Debug, Default)]
pub struct Done {
    /// In each partition: the last place on `mail.raw` whose mail is done, and mail that has none, since its bytes came
    /// from the store.
    partitions: BTreeMap<Partition, Far>,
}

#[derive(Debug, Default)]
struct Far {
    raw_offset: Option<i64>,
    from_store: HashSet<MessageId>,
    records: u64,
}

impl Done {
    /// Records under this mark, as far as no other replay's follow them in their partition.
    pub async fn under(log: &dyn Log, topic: Topic, mark: &str) -> Result<Self, OperationError> {
        let mut done = Self::default();
        each(log, topic, |record| {
            let event = record.value.as_deref().and_then(|value| codec::decode(topic, value).ok());
            done.take(record.position.partition, event, mark);
        })
        .await?;
        Ok(done)
    }

    fn take(&mut self, partition: Partition, event: Option<Event>, mark: &str) {
        let (replay, raw_offset, id) = match event {
            Some(Event::Scored(scored)) => (scored.replay, scored.raw_offset, scored.message_id),
            Some(Event::Routed(routed)) => (routed.replay, routed.raw_offset, routed.message_id),
            _ => return,
        };
        match replay {
            Some(replay) if replay == mark => {
                let far = self.partitions.entry(partition).or_default();
                far.records += 1;
                if raw_offset == FROM_STORE {
                    far.from_store.insert(id);
                } else {
                    far.raw_offset = far.raw_offset.max(Some(raw_offset));
                }
            }
            Some(_) => drop(self.partitions.remove(&partition)),
            None => {}
        }
    }

    /// Where to go on in a partition of `mail.raw`.
    pub fn next(&self, partition: Partition) -> u64 {
        let far = self.partitions.get(&partition).and_then(|far| far.raw_offset);
        far.and_then(|offset| u64::try_from(offset).ok()).map_or(0, |offset| offset + 1)
    }

    pub fn has(&self, partition: Partition, id: &MessageId) -> bool {
        self.partitions.get(&partition).is_some_and(|far| far.from_store.contains(id))
    }

    pub fn records(&self) -> u64 {
        self.partitions.values().map(|far| far.records).sum()
    }
}

/// The place on `mail.raw` of mail whose bytes came from the store: one that the log has given up. Facts go with the
/// mail that they are about, and this one goes no sooner: the mail's own first facts stood before it.
pub const FROM_STORE: i64 = 0;
