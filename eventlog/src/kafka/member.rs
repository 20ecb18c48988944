//! A reader in a group, whose outputs and positions go out in one transaction.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{Consumer as _, ConsumerGroupMetadata, StreamConsumer};
use rdkafka::topic_partition_list::Offset as KafkaOffset;
use schemas::{NewRecord, Position, Record, Topic};
use tokio::time::{Instant, timeout, timeout_at};

use super::assignment::{Assignment, Change, Given};
use super::inquirer::{End, Inquirer};
use super::reader::{LET_GO, Reader};
use super::settings::KafkaSettings;
use super::transactor::{Batch, Transactor};
use super::{ASK_TIMEOUT, convert};
use crate::{Limits, LogError, Member, Result, metric};

/// How long a poll or a commit waits for the group to give the member its partitions.
const JOIN_WAIT: Duration = Duration::from_secs(10);
/// How long to wait before the group's positions are asked for again.
const RETRY_WAIT: Duration = Duration::from_millis(200);

pub(super) struct KafkaMember {
    group: String,
    topics: Vec<Topic>,
    max_record_bytes: usize,
    reader: Reader<Assignment>,
    transactor: Transactor,
    /// Whether the group has given it partitions, be it none.
    is_assigned: bool,
    /// Who it is while it has them.
    member: Option<Arc<ConsumerGroupMetadata>>,
    /// How often partitions were given to it or taken from it.
    changes: u64,
    /// What that number was when it was polled last.
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
        let names = &inquirer.names;
        let transactor = Transactor::start(settings, names, group).await?;
        let config = settings.member_config(&names.group(group));
        let consumer: StreamConsumer<Assignment> =
            config.create_with_context(Assignment::default()).map_err(convert::unavailable)?;
        let named: Vec<&str> = topics.iter().map(|topic| names.of(*topic)).collect();
        consumer.subscribe(&named).map_err(convert::unavailable)?;
        Ok(Self {
            group: group.to_owned(),
            topics: topics.to_vec(),
            max_record_bytes: settings.max_record_bytes,
            reader: Reader::new(consumer, inquirer),
            transactor,
            is_assigned: false,
            member: None,
            changes: 0,
            polled_at: None,
            is_fenced: false,
        })
    }

    /// Waits for the consumer's next event or a change of the assignment, until the deadline: whether one came.
    async fn wait(&mut self, deadline: Instant) -> Result<bool> {
        let consumer = Arc::clone(&self.reader.consumer);
        let context = consumer.context();
        tokio::select! {
            biased;
            () = context.changed() => Ok(true),
            waited = timeout_at(deadline, self.reader.wait()) => match waited {
                Ok(waited) => waited.map(|()| true),
                Err(_) => Ok(false),
            },
        }
    }

    /// Takes up what the group has changed. What was read before and not handed out is forgotten.
    async fn settle(&mut self) -> Result<()> {
        let consumer = Arc::clone(&self.reader.consumer);
        // A future that is dropped here leaves the change where it is.
        let Some(change) = consumer.context().take() else { return Ok(()) };
        self.reader.start_at(&[]);
        self.is_assigned = false;
        self.member = None;
        self.changes += 1;
        let Change::Given(given) = &change else { return Ok(()) };
        let Given { partitions: given, member } = given.clone();
        consumer.context().put_back(change);
        let asked = tokio::task::spawn_blocking({
            let consumer = Arc::clone(&consumer);
            let inquirer = Arc::clone(&self.reader.inquirer);
            move || starts(&consumer, &inquirer, &given)
        });
        let asked = asked.await.map_err(|cause| LogError::Unavailable(cause.to_string()))?;
        let (starts, places) = match asked {
            Ok(found) => found,
            Err(cause) => {
                // An open transaction of the one before may hold the positions: they are asked for again.
                tracing::info!(group = self.group, %cause, "waiting for the positions of a group");
                tokio::time::sleep(RETRY_WAIT).await;
                return Ok(());
            }
        };
        let _ = consumer.context().take();
        consumer.assign(&starts).map_err(convert::unavailable)?;
        self.reader.start_at(&places);
        self.is_assigned = true;
        self.member = member;
        metrics::counter!(metric::REBALANCES, "group" => self.group.clone()).increment(1);
        Ok(())
    }

    async fn poll_reader(&mut self, limits: &Limits) -> Result<Vec<Record>> {
        let joined_by = Instant::now() + JOIN_WAIT;
        let mut deadline = Reader::<Assignment>::deadline(limits);
        loop {
            let was_assigned = self.is_assigned;
            self.settle().await?;
            if self.is_assigned && !was_assigned {
                deadline = Reader::<Assignment>::deadline(limits);
            }
            if let Some(records) = self.reader.take(limits).await? {
                return Ok(records);
            }
            let until = if self.is_assigned { deadline } else { deadline.max(joined_by) };
            if !self.wait(until).await? {
                return Ok(Vec::new());
            }
        }
    }

    /// A member without partitions has no say in the group.
    async fn assigned(&mut self) -> Result<()> {
        let deadline = Instant::now() + JOIN_WAIT;
        while !self.is_assigned {
            self.settle().await?;
            if !self.is_assigned && !self.wait(deadline).await? {
                return Err(LogError::Unavailable(format!("the group {} has given no partitions yet", self.group)));
            }
        }
        Ok(())
    }

    /// Whether the commit can be made at all. Nothing has been written yet.
    async fn check(&self, outputs: &[NewRecord], positions: &[Position]) -> Result<()> {
        let inquirer = &self.reader.inquirer;
        for output in outputs {
            inquirer.check_partition(output.topic, output.partition.unwrap_or(0))?;
            convert::check_size(output, self.max_record_bytes)?;
        }
        let places = self.reader.positions();
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
        let is_polled_since = self.polled_at.is_none_or(|at| at == self.changes);
        if is_polled_since && !self.reader.consumer.context().is_pending() {
            return Ok(());
        }
        Err(LogError::Moved(format!("the group {} has given its partitions anew", self.group)))
    }

    async fn transact(&mut self, outputs: Vec<NewRecord>, positions: &[Position]) -> Result<()> {
        if !positions.is_empty() {
            self.assigned().await?;
            self.check_hands()?;
        }
        self.check(&outputs, positions).await?;
        let offsets = convert::list(&self.reader.inquirer.names, positions)?;
        self.transactor.commit(Batch { outputs, offsets, member: self.member.clone() }).await?;
        for position in positions {
            self.reader.skip_to(*position);
        }
        Ok(())
    }

    fn fence<T>(&mut self, outcome: Result<T>) -> Result<T> {
        self.is_fenced |= matches!(outcome, Err(LogError::Fenced(_)));
        outcome
    }

    fn check_fence(&self) -> Result<()> {
        if self.is_fenced { Err(LogError::Fenced(self.group.clone())) } else { Ok(()) }
    }
}

/// Where the group stands in these partitions, or their earliest record where it has no position: for the consumer,
/// and as we say it.
fn starts(
    consumer: &StreamConsumer<Assignment>,
    inquirer: &Inquirer,
    given: &[(String, i32)],
) -> Result<(TopicPartitionList, Vec<Position>)> {
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
        self.polled_at = Some(self.changes);
        self.fence(polled)
    }

    async fn commit(&mut self, outputs: Vec<NewRecord>, positions: &[Position]) -> Result<()> {
        self.check_fence()?;
        let committed = self.transact(outputs, positions).await;
        self.fence(committed)
    }

    fn positions(&self) -> Vec<Position> {
        self.reader.positions()
    }
}
