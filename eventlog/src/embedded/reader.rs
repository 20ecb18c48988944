//! Readers of the log, in a group and without one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::select_all;
use schemas::record::{Offset, Partition};
use schemas::{NewRecord, Position, Record, Topic};
use tokio::sync::watch;
use tokio::time::Instant;

use super::core::Core;
use super::facts::Epoch;
use crate::{Limits, LogError, Member, Result, Tail};

/// Where a reader is, and what wakes it.
pub(super) struct Reader {
    core: Arc<Core>,
    places: BTreeMap<(Topic, Partition), Offset>,
    changed: Vec<watch::Receiver<()>>,
    /// Which partition is read first: each in turn, so that a busy one does not starve the others.
    turn: usize,
}

impl Reader {
    pub fn new(core: Arc<Core>, from: &[Position]) -> Self {
        let places: BTreeMap<_, _> = from.iter().map(|at| ((at.topic, at.partition), at.offset)).collect();
        let mut topics: Vec<Topic> = places.keys().map(|(topic, _)| *topic).collect();
        topics.dedup();
        let changed = topics.into_iter().filter_map(|topic| core.changed(topic)).collect();
        Self { core, places, changed, turn: 0 }
    }

    /// Dropping the future loses nothing: the places move when the records are handed out.
    async fn poll(&mut self, limits: &Limits) -> Result<Vec<Record>> {
        let deadline = Instant::now() + limits.wait;
        loop {
            self.core.fault.check()?;
            for changed in &mut self.changed {
                changed.mark_unchanged();
            }
            let ready = self.ready()?;
            if !ready.is_empty() {
                let records = self.read(ready, *limits).await?;
                for record in &records {
                    let position = record.position;
                    self.places.insert((position.topic, position.partition), position.next().offset);
                }
                if !records.is_empty() {
                    return Ok(records);
                }
            }
            if !self.wait(deadline).await {
                return Ok(Vec::new());
            }
        }
    }

    fn positions(&self) -> Vec<Position> {
        let places = self.places.iter();
        places.map(|(&(topic, partition), &offset)| Position::new(topic, partition, offset)).collect()
    }

    /// The places at which there is something, the one whose turn it is first.
    fn ready(&mut self) -> Result<Vec<Position>> {
        let mut ready = Vec::new();
        for (&(topic, partition), &offset) in &self.places {
            let position = Position::new(topic, partition, offset);
            if self.core.check(position)? {
                ready.push(position);
            }
        }
        if !ready.is_empty() {
            self.turn = (self.turn + 1) % ready.len();
            ready.rotate_left(self.turn);
        }
        Ok(ready)
    }

    async fn read(&self, ready: Vec<Position>, limits: Limits) -> Result<Vec<Record>> {
        let core = Arc::clone(&self.core);
        let read = tokio::task::spawn_blocking(move || read_from(&core, ready, limits));
        read.await.unwrap_or_else(|error| Err(LogError::Unavailable(format!("a read ended: {error}"))))
    }

    /// `false` when nothing has changed by the deadline.
    async fn wait(&mut self, deadline: Instant) -> bool {
        if self.changed.is_empty() {
            tokio::time::sleep_until(deadline).await;
            return false;
        }
        let any = select_all(self.changed.iter_mut().map(|changed| Box::pin(changed.changed())));
        tokio::time::timeout_at(deadline, any).await.is_ok_and(|(changed, ..)| changed.is_ok())
    }
}

fn read_from(core: &Core, ready: Vec<Position>, limits: Limits) -> Result<Vec<Record>> {
    let mut records: Vec<Record> = Vec::new();
    let mut bytes_left = limits.bytes;
    for position in ready {
        let records_left = limits.records.max(1).saturating_sub(records.len());
        if records_left == 0 || (bytes_left == 0 && !records.is_empty()) {
            break;
        }
        let read = match core.read(position, records_left, bytes_left) {
            Ok(read) => read,
            // What was read of other partitions is good; the error comes again with the next poll.
            Err(_) if !records.is_empty() => break,
            Err(error) => return Err(error),
        };
        bytes_left = bytes_left.saturating_sub(read.iter().map(Record::size_bytes).sum());
        records.extend(read);
    }
    Ok(records)
}

pub(super) struct EmbeddedTail {
    pub reader: Reader,
}

#[async_trait]
impl Tail for EmbeddedTail {
    async fn poll(&mut self, limits: &Limits) -> Result<Vec<Record>> {
        self.reader.poll(limits).await
    }

    fn positions(&self) -> Vec<Position> {
        self.reader.positions()
    }
}

pub(super) struct EmbeddedMember {
    pub reader: Reader,
    pub group: Arc<str>,
    pub epoch: Arc<Epoch>,
}

/// How often a waiting member looks whether it was fenced.
const FENCE_CHECK: Duration = Duration::from_secs(1);

#[async_trait]
impl Member for EmbeddedMember {
    async fn poll(&mut self, limits: &Limits) -> Result<Vec<Record>> {
        let wait = limits.wait.min(FENCE_CHECK);
        self.check()?;
        let records = self.reader.poll(&Limits { wait, ..*limits }).await?;
        self.check()?;
        Ok(records)
    }

    async fn commit(&mut self, outputs: Vec<NewRecord>, positions: &[Position]) -> Result<()> {
        if outputs.iter().any(|output| output.topic == Topic::MailRaw) {
            return Err(LogError::Refused(
                "outputs of a commit can't go to mail.raw: it is written by appends only".into(),
            ));
        }
        let core = Arc::clone(&self.reader.core);
        for &position in positions {
            if !self.reader.places.contains_key(&(position.topic, position.partition)) {
                let text = format!("{}/{} is not read by this member", position.topic, position.partition);
                return Err(LogError::Refused(text));
            }
            core.check(position)?;
        }
        let placed = core.place(outputs)?;
        let (group, epoch, moved) = (Arc::clone(&self.group), Arc::clone(&self.epoch), positions.to_vec());
        let commit = tokio::task::spawn_blocking(move || core.facts.commit(&group, &epoch, &placed, &moved));
        commit.await.unwrap_or_else(|error| Err(LogError::Unavailable(format!("a commit ended: {error}"))))?;
        for position in positions {
            let place = self.reader.places.entry((position.topic, position.partition)).or_insert(position.offset);
            *place = position.offset.max(*place);
        }
        Ok(())
    }

    fn positions(&self) -> Vec<Position> {
        self.reader.positions()
    }
}

impl EmbeddedMember {
    fn check(&self) -> Result<()> {
        if self.epoch.is_current() { Ok(()) } else { Err(LogError::Fenced(self.group.to_string())) }
    }
}
