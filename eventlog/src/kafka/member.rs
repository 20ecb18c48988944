//! A reader in a group, whose outputs and positions go out in one transaction.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::topic_partition_list::Offset as KafkaOffset;
use schemas::{NewRecord, Position, Record, Topic};
use tokio::time::{Instant, timeout};

use super::assignment::{Assignment, Given};
use super::grouped::{GroupReader, Starts};
use super::inquirer::{End, Inquirer};
use super::reader::{LET_GO, Reader};
use super::settings::KafkaSettings;
use super::transactor::{Batch, Transactor};
use super::{ASK_TIMEOUT, convert};
use crate::{Limits, LogError, Member, Result, metric};

/// How long a poll or a commit waits for the group to give the member its partitions.
const JOIN_WAIT: Duration = Duration::from_secs(10);

pub(super) struct KafkaMember {
    topics: Vec<Topic>,
    max_record_bytes: usize,
    grouped: GroupReader,
    transactor: Transactor,
    /// How often partitions had changed hands when it was polled last.
    polled_at: Option<u64>,
    /// Once somebody else has the place, for ever.
    is_fenced: bool,
}

impl KafkaMember {
    pub async fn join(
        settings: &KafkaSettings,
        inquirer: &Arc<Inquirer>,
        group: &str,
        topics: &[Topic],
    ) -> Result<Self> {
        // One that is on its way out may still ask for its place, and would take it from the one that comes after it.
        let _ = timeout(LET_GO, inquirer.closing.subscribe().wait_for(|closing| *closing == 0)).await;
        let transactor = Transactor::start(settings, &inquirer.names, group).await?;
        Ok(Self {
            topics: topics.to_vec(),
            max_record_bytes: settings.max_record_bytes,
            grouped: GroupReader::join(settings, inquirer, group, topics)?,
            transactor,
            polled_at: None,
            is_fenced: false,
        })
    }

    /// Whether the group has given it partitions just now.
    async fn settle(&mut self) -> Result<bool> {
        let inquirer = Arc::clone(&self.grouped.reader.inquirer);
        let starts = |consumer: Arc<StreamConsumer<Assignment>>, given: Given| async move {
            // An open transaction of the one before may hold the positions: then they are asked for again.
            let asked = tokio::task::spawn_blocking(move || starts(&consumer, &inquirer, &given.partitions));
            asked.await.map_err(|cause| LogError::Unavailable(cause.to_string()))?
        };
        let is_given = self.grouped.settle(starts).await?;
        if is_given {
            metrics::counter!(metric::REBALANCES, "group" => self.grouped.group.clone()).increment(1);
        }
        Ok(is_given)
    }

    async fn poll_reader(&mut self, limits: &Limits) -> Result<Vec<Record>> {
        let joined_by = Instant::now() + JOIN_WAIT;
        let mut deadline = Reader::<Assignment>::deadline(limits);
        loop {
            if self.settle().await? {
                deadline = Reader::<Assignment>::deadline(limits);
            }
            if let Some(records) = self.grouped.reader.take(limits).await? {
                return Ok(records);
            }
            let until = if self.grouped.given.is_some() { deadline } else { deadline.max(joined_by) };
            if !self.grouped.wait(until).await? {
                return Ok(Vec::new());
            }
        }
    }

    /// A member without partitions has no say in the group.
    async fn assigned(&mut self) -> Result<()> {
        let deadline = Instant::now() + JOIN_WAIT;
        while self.grouped.given.is_none() {
            if !self.settle().await? && !self.grouped.wait(deadline).await? {
                let group = &self.grouped.group;
                return Err(LogError::Unavailable(format!("the group {group} has given no partitions yet")));
            }
        }
        Ok(())
    }

    /// Whether the commit can be made at all. Nothing has been written yet.
    async fn check(&self, outputs: &[NewRecord], positions: &[Position]) -> Result<()> {
        let inquirer = &self.grouped.reader.inquirer;
        for output in outputs {
            inquirer.check_partition(output.topic, output.partition.unwrap_or(0))?;
            convert::check_size(output, self.max_record_bytes)?;
        }
        let places = self.grouped.reader.positions();
        let mut ahead = Vec::new();
        for position in positions {
            if !self.topics.contains(&position.topic) {
                let text = format!("{}/{} is not read by this member", position.topic, position.partition);
                return Err(LogError::Refused(text));
            }
            inquirer.check_partition(position.topic, position.partition)?;
            let place = places.iter().find(|at| at.topic == position.topic && at.partition == position.partition);
            match place {
                None => {
                    let text = format!("{}/{} went to another member", position.topic, position.partition);
                    return Err(LogError::Moved(text));
                }
                Some(place) if position.offset > place.offset => ahead.push(*position),
                Some(_) => {}
            }
        }
        inquirer.check(&ahead).await
    }

    /// What was read before partitions changed hands may be somebody else's by now, or have been.
    fn check_hands(&self) -> Result<()> {
        let is_polled_since = self.polled_at.is_none_or(|at| at == self.grouped.changes);
        if is_polled_since && !self.grouped.is_changing() {
            return Ok(());
        }
        Err(LogError::Moved(format!("the group {} has given its partitions anew", self.grouped.group)))
    }

    async fn transact(&mut self, outputs: Vec<NewRecord>, positions: &[Position]) -> Result<()> {
        if !positions.is_empty() {
            self.assigned().await?;
            self.check_hands()?;
        }
        self.check(&outputs, positions).await?;
        let offsets = convert::list(&self.grouped.reader.inquirer.names, positions)?;
        let member = self.grouped.given.as_ref().and_then(|given| given.member.clone());
        self.transactor.commit(Batch { outputs, offsets, member }).await?;
        for position in positions {
            self.grouped.reader.skip_to(*position);
        }
        Ok(())
    }

    fn fence<T>(&mut self, outcome: Result<T>) -> Result<T> {
        self.is_fenced |= matches!(outcome, Err(LogError::Fenced(_)));
        outcome
    }

    fn check_fence(&self) -> Result<()> {
        if self.is_fenced { Err(LogError::Fenced(self.grouped.group.clone())) } else { Ok(()) }
    }
}

/// Where the group stands in these partitions, or their earliest record where it has no position: for the consumer,
/// and as we say it.
fn starts(consumer: &StreamConsumer<Assignment>, inquirer: &Inquirer, given: &[(String, i32)]) -> Result<Starts> {
    let mut asked = TopicPartitionList::new();
    for (topic, partition) in given {
        asked.add_partition(topic, *partition);
    }
    let committed = consumer.committed_offsets(asked, ASK_TIMEOUT).map_err(convert::unavailable)?;
    let mut starts = TopicPartitionList::new();
    let mut places = Vec::new();
    for element in committed.elements() {
        element.error().map_err(convert::unavailable)?;
        let topic = inquirer.names.topic(element.topic())?;
        let start = match element.offset() {
            KafkaOffset::Offset(at) => (KafkaOffset::Offset(at), convert::offset(at)?),
            _ => (KafkaOffset::Beginning, 0),
        };
        starts.add_partition_offset(element.topic(), element.partition(), start.0).map_err(convert::unavailable)?;
        places.push(convert::position(topic, element.partition(), 0)?);
        if let Some(place) = places.last_mut() {
            place.offset = start.1;
        }
    }
    fill_earliest(inquirer, &starts, &mut places)?;
    Ok((starts, places))
}

/// The places of partitions that are read from the beginning.
fn fill_earliest(inquirer: &Inquirer, starts: &TopicPartitionList, places: &mut [Position]) -> Result<()> {
    for (element, place) in starts.elements().iter().zip(places) {
        if element.offset() == KafkaOffset::Beginning {
            let bounds = inquirer.find_bounds(place.topic, End::Committed)?;
            let held = bounds.iter().find(|held| held.partition == place.partition);
            place.offset = held.map_or(0, |held| held.earliest);
        }
    }
    Ok(())
}

#[async_trait]
impl Member for KafkaMember {
    async fn poll(&mut self, limits: &Limits) -> Result<Vec<Record>> {
        self.check_fence()?;
        let polled = self.poll_reader(limits).await;
        self.polled_at = Some(self.grouped.changes);
        self.fence(polled)
    }

    async fn commit(&mut self, outputs: Vec<NewRecord>, positions: &[Position]) -> Result<()> {
        self.check_fence()?;
        let committed = self.transact(outputs, positions).await;
        self.fence(committed)
    }

    fn positions(&self) -> Vec<Position> {
        self.grouped.reader.positions()
    }
}
