//! Questions to the broker that move nothing: what partitions hold, and where groups stand. They block, so they are
//! asked on a thread where that is allowed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};
use schemas::record::Partition;
use schemas::{Position, Topic};
use tokio::sync::watch;

use super::names::Names;
use super::said::Said;
use super::settings::KafkaSettings;
use super::{ASK_TIMEOUT, convert};
use crate::{Bounds, LogError, Result};

/// How long to wait before a partition without a leader is asked again.
const RETRY_WAIT: Duration = Duration::from_millis(20);

/// For one question, however often it is asked again.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Which end of a partition is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Behind the last record that a reader may see now: open transactions hide what is behind them.
    Committed,
    /// Behind the last record.
    Written,
}

pub(super) struct Inquirer {
    pub names: Arc<Names>,
    committed: Arc<BaseConsumer<Said>>,
    written: BaseConsumer<Said>,
    partitions: BTreeMap<Topic, Partition>,
    /// Consumers that are being closed.
    pub closing: watch::Sender<usize>,
}

impl Inquirer {
    pub fn new(
        settings: &KafkaSettings,
        names: &Arc<Names>,
        committed: Arc<BaseConsumer<Said>>,
        partitions: BTreeMap<Topic, Partition>,
    ) -> Result<Self> {
        let mut config = settings.consumer_config(&names.group("postlog-inquirer"));
        config.set("isolation.level", "read_uncommitted");
        let written: BaseConsumer<Said> = config.create_with_context(Said).map_err(convert::unavailable)?;
        Ok(Self { names: Arc::clone(names), committed, written, partitions, closing: watch::Sender::new(0) })
    }

    /// For questions that are not about what partitions hold.
    pub fn client(&self) -> &BaseConsumer<Said> {
        &self.committed
    }

    pub fn partitions(&self, topic: Topic) -> Partition {
        self.partitions.get(&topic).copied().unwrap_or(0)
    }

    /// Every partition of the log, at 0.
    pub fn everywhere(&self) -> Vec<Position> {
        let topics = self.partitions.iter();
        topics.flat_map(|(topic, count)| (0..*count).map(|partition| Position::new(*topic, partition, 0))).collect()
    }

    /// Refuses a partition that the topic does not have.
    pub fn check_partition(&self, topic: Topic, partition: Partition) -> Result<()> {
        let count = self.partitions(topic);
        if partition < count {
            return Ok(());
        }
        Err(LogError::Refused(format!("{topic} has {count} partitions, and {partition} is none of them")))
    }

    /// Runs a question where it may block.
    pub async fn ask<T, F>(self: &Arc<Self>, question: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> Result<T> + Send + 'static,
    {
        let inquirer = Arc::clone(self);
        let asked = tokio::task::spawn_blocking(move || question(&inquirer));
        match tokio::time::timeout(ANSWER_LIMIT, asked).await {
            Ok(answered) => answered.map_err(|cause| LogError::Unavailable(cause.to_string()))?,
            // The library has its own limits; this one is for an answer that it has lost.
            Err(_) => Err(LogError::Unavailable(format!("no answer came within {ANSWER_LIMIT:?}"))),
        }
    }

    pub async fn bounds(self: &Arc<Self>, topic: Topic, end: End) -> Result<Vec<Bounds>> {
        self.ask(move |inquirer| inquirer.find_bounds(topic, end)).await
    }

    /// Whether each of the positions is on the log, its end included.
    pub async fn check(self: &Arc<Self>, positions: &[Position]) -> Result<()> {
        let mut topics: Vec<Topic> = positions.iter().map(|position| position.topic).collect();
        topics.sort_unstable();
        topics.dedup();
        for topic in topics {
            let of_topic = positions.iter().filter(|position| position.topic == topic);
            of_topic.clone().try_for_each(|position| self.check_partition(topic, position.partition))?;
            let bounds = self.bounds(topic, End::Written).await?;
            for position in of_topic {
                let Some(held) = bounds.iter().find(|held| held.partition == position.partition) else { continue };
                let (earliest, end) = (held.earliest, held.end);
                if position.offset < earliest || position.offset > end {
                    return Err(LogError::OutOfRange { position: *position, earliest, end });
                }
            }
        }
        Ok(())
    }

    pub async fn offsets_at(self: &Arc<Self>, topic: Topic, timestamp_ms: i64) -> Result<Vec<Position>> {
        // librdkafka takes the times below zero for words: the beginning, the end.
        let time = KafkaOffset::Offset(timestamp_ms.max(0));
        self.ask(move |inquirer| {
            let ends = inquirer.find_bounds(topic, End::Committed)?;
            let found = inquirer.offsets(&inquirer.committed, topic, time)?;
            let places = ends.iter().map(|held| {
                let offset = found.get(&held.partition).copied().flatten().unwrap_or(held.end);
                Position::new(topic, held.partition, offset)
            });
            Ok(places.collect())
        })
        .await
    }

    pub fn find_bounds(&self, topic: Topic, end: End) -> Result<Vec<Bounds>> {
        let client = if end == End::Committed { &self.committed } else { &self.written };
        let earliest = self.offsets(client, topic, KafkaOffset::Beginning)?;
        let ends = self.offsets(client, topic, KafkaOffset::End)?;
        let bounds = (0..self.partitions(topic)).map(|partition| {
            let known = |found: &BTreeMap<_, Option<u64>>| found.get(&partition).copied().flatten();
            let (Some(earliest), Some(end)) = (known(&earliest), known(&ends)) else {
                return Err(LogError::Unavailable(format!("{topic}/{partition} does not say what it holds")));
            };
            // Both were asked for one after the other: retention may have moved the first in between.
            Ok(Bounds { partition, earliest, end: end.max(earliest) })
        });
        bounds.collect()
    }

    /// In each partition, the offset of a time or of a word; `None` where there is none. Asked again while a
    /// partition has no leader.
    fn offsets(
        &self,
        client: &BaseConsumer<Said>,
        topic: Topic,
        time: KafkaOffset,
    ) -> Result<BTreeMap<Partition, Option<u64>>> {
        let deadline = Instant::now() + ASK_TIMEOUT;
        loop {
            let _ = client.poll(Duration::ZERO);
            let error = match self.ask_offsets(client, topic, time) {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            if !is_between_leaders(&error) || Instant::now() >= deadline {
                return Err(convert::unavailable(error));
            }
            std::thread::sleep(RETRY_WAIT);
        }
    }

    fn ask_offsets(
        &self,
        client: &BaseConsumer<Said>,
        topic: Topic,
        time: KafkaOffset,
    ) -> std::result::Result<BTreeMap<Partition, Option<u64>>, KafkaError> {
        let mut times = TopicPartitionList::new();
        for partition in 0..self.partitions(topic) {
            let partition = i32::try_from(partition).unwrap_or(i32::MAX);
            times.add_partition_offset(self.names.of(topic), partition, time)?;
        }
        let answered = client.offsets_for_times(times, ASK_TIMEOUT)?;
        let mut found = BTreeMap::new();
        for element in answered.elements() {
            element.error()?;
            let partition = Partition::try_from(element.partition()).unwrap_or(Partition::MAX);
            let offset = match element.offset() {
                KafkaOffset::Offset(offset) => u64::try_from(offset).ok(),
                _ => None,
            };
            found.insert(partition, offset);
        }
        Ok(found)
    }
}

fn is_between_leaders(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::FencedLeaderEpoch
                | RDKafkaErrorCode::UnknownLeaderEpoch
        )
    )
}
