//! Writing to the database: appends from outside by one thread, commits by whoever commits, both under one lock, so
//! that offsets rise and nothing becomes readable before an append that stands in front of it is synced.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Instant;

use fjall::{OwnedWriteBatch, PersistMode};
use schemas::record::{Offset, Partition};
use schemas::{NewRecord, Position, Topic};
use tokio::sync::oneshot;

use super::{Facts, groups, shelf};
use crate::embedded::queue::Waiting;
use crate::embedded::{body, now_ms};
use crate::{LogError, Result, metric};

/// Records that are to be appended together, each with its partition.
pub(super) struct Append {
    pub records: Vec<(Partition, NewRecord)>,
    pub answer: oneshot::Sender<Result<Vec<Position>>>,
}

/// Which member of a group somebody is, and which one is the group's now.
#[derive(Debug)]
pub(in crate::embedded) struct Epoch {
    own: u64,
    current: Arc<AtomicU64>,
}

impl Epoch {
    pub fn is_current(&self) -> bool {
        self.current.load(Ordering::Acquire) == self.own
    }
}

/// A batch that is being put together, and what is to be said when it is written.
struct Draft {
    batch: OwnedWriteBatch,
    /// The next offset and the last time of each partition that is touched.
    ends: BTreeMap<(Topic, Partition), (Offset, i64)>,
    now_ms: i64,
    counted: BTreeMap<Topic, (u64, u64)>,
}

impl Facts {
    /// The thread of the appends: until the queue is closed and empty.
    pub(super) fn run(&self) {
        while let Some(group) = self.queue.take_all() {
            let written = self.fault.check().and_then(|()| self.write_group(&group));
            match written {
                Ok(answers) => {
                    for (waiting, positions) in group.into_iter().zip(answers) {
                        let _ = waiting.item.answer.send(Ok(positions));
                    }
                }
                Err(error) => {
                    for waiting in group {
                        let again = match &error {
                            LogError::Full(text) => LogError::Full(text.clone()),
                            LogError::Unavailable(text) => LogError::Unavailable(text.clone()),
                            other => LogError::Unavailable(other.to_string()),
                        };
                        let _ = waiting.item.answer.send(Err(again));
                    }
                }
            }
        }
    }

    fn write_group(&self, group: &[Waiting<Append>]) -> Result<Vec<Vec<Position>>> {
        let all = group.iter().flat_map(|waiting| &waiting.item.records);
        self.space.for_event(all.map(|(_, record)| body::size_bytes(record) as u64).sum())?;
        // Held over the sync: a commit that came between would make what stands before it readable.
        let _writing = self.lock();
        let mut draft = self.draft();
        let mut answers = Vec::with_capacity(group.len());
        for waiting in group {
            let records = &waiting.item.records;
            let positions: Result<Vec<_>> =
                records.iter().map(|(partition, record)| self.add(&mut draft, *partition, record)).collect();
            answers.push(positions?);
        }
        let Draft { batch, ends, counted, .. } = draft;
        batch.commit().map_err(|error| self.write_fault(&error))?;
        let started = Instant::now();
        self.database.persist(PersistMode::SyncAll).map_err(|error| self.write_fault(&error))?;
        metrics::histogram!(metric::SYNC_SECONDS, "part" => "facts").record(started.elapsed());
        metrics::histogram!(metric::GROUP_APPENDS, "part" => "facts").record(group.len() as f64);
        self.publish(&ends, &counted)?;
        Ok(answers)
    }

    /// Writes the outputs and moves the group's positions, both or neither, if the member is still the group's.
    /// Blocks, as long as a sync takes.
    pub fn commit(
        &self,
        group: &str,
        epoch: &Epoch,
        outputs: &[(Partition, NewRecord)],
        positions: &[Position],
    ) -> Result<()> {
        self.fault.check()?;
        self.space.for_commit(outputs.iter().map(|(_, record)| body::size_bytes(record) as u64).sum())?;
        let _writing = self.lock();
        if !epoch.is_current() {
            return Err(LogError::Fenced(group.to_owned()));
        }
        let mut draft = self.draft();
        for (partition, record) in outputs {
            self.add(&mut draft, *partition, record)?;
        }
        let Draft { mut batch, ends, counted, .. } = draft;
        for position in positions {
            let key = groups::key(group, position.topic, position.partition);
            batch.insert(&self.groups, key, position.offset.to_be_bytes());
        }
        batch.commit().map_err(|error| self.write_fault(&error))?;
        self.publish(&ends, &counted)
    }

    /// The member that joins now is the group's; who was it before is fenced, and has nothing under way when this
    /// returns. Blocks, as long as a sync takes.
    pub fn join(&self, group: &str) -> Epoch {
        let mut writing = self.lock();
        let current = writing.entry(group.to_owned()).or_default();
        let own = current.fetch_add(1, Ordering::AcqRel) + 1;
        Epoch { own, current: Arc::clone(current) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<AtomicU64>>> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draft(&self) -> Draft {
        Draft { batch: self.database.batch(), ends: BTreeMap::new(), now_ms: now_ms(), counted: BTreeMap::new() }
    }

    fn add(&self, draft: &mut Draft, partition: Partition, record: &NewRecord) -> Result<Position> {
        let topic = record.topic;
        let no_partition = || LogError::Refused(format!("there is no partition {partition} of {topic}"));
        let shelf = self.shelf(topic).ok_or_else(no_partition)?;
        let place = shelf.place(partition).ok_or_else(no_partition)?;
        let (next, last_ms) = draft
            .ends
            .entry((topic, partition))
            .or_insert_with(|| (place.end.load(Ordering::Acquire), place.last_ms.load(Ordering::Acquire)));
        let offset = *next;
        *last_ms = draft.now_ms.max(*last_ms);
        draft.batch.insert(&shelf.keyspace, shelf::key(partition, offset), body::encode(record, *last_ms));
        *next += 1;
        let counted = draft.counted.entry(topic).or_default();
        counted.0 += 1;
        counted.1 += body::size_bytes(record) as u64;
        Ok(Position::new(topic, partition, offset))
    }

    /// Lets readers have what was written.
    fn publish(
        &self,
        ends: &BTreeMap<(Topic, Partition), (Offset, i64)>,
        counted: &BTreeMap<Topic, (u64, u64)>,
    ) -> Result<()> {
        for (&(topic, partition), &(end, last_ms)) in ends {
            if let Some(place) = self.shelf(topic).and_then(|shelf| shelf.place(partition)) {
                place.last_ms.store(last_ms, Ordering::Release);
                place.end.store(end, Ordering::Release);
            }
        }
        for (&topic, &(records, bytes)) in counted {
            if let Some(shelf) = self.shelf(topic) {
                shelf.changed.send_replace(());
                shelf.close_large_memtable().map_err(|error| self.write_fault(&error))?;
            }
            metrics::counter!(metric::APPENDED_RECORDS, "topic" => topic.name()).increment(records);
            metrics::counter!(metric::APPENDED_BYTES, "topic" => topic.name()).increment(bytes);
        }
        Ok(())
    }
}
