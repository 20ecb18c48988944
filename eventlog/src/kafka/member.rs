//! A reader in a group, whose outputs and positions go out in one transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{FutureProducer, Producer as _};
use rdkafka::topic_partition_list::Offset as KafkaOffset;
use rdkafka::types::RDKafkaRespErr;
use schemas::{NewRecord, Position, Record, Topic};
use tokio::time::Instant;

use super::names::Names;
use super::{ASK_TIMEOUT, AT_LEAST, KafkaSettings, convert, gather};
use crate::{Limits, LogError, Member, Result};

/// How long the group waits for a member that has gone quiet.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a transaction of a killed member may hide what is behind it.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Gives new partitions their group's position, or the earliest record where the group has none.
struct Positions {
    group: String,
    /// Set at every change of the assignment: what was read before it may belong to somebody else.
    changed: AtomicBool,
}

pub(super) struct KafkaMember {
    group: String,
    names: Names,
    consumer: StreamConsumer<Positions>,
    producer: Arc<FutureProducer>,
}

impl ClientContext for Positions {}

impl ConsumerContext for Positions {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, assigned: &mut TopicPartitionList) {
        self.changed.store(true, Ordering::SeqCst);
        let outcome = if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            start_positions(consumer, assigned).and_then(|starts| consumer.assign(&starts))
        } else {
            consumer.unassign()
        };
        if let Err(cause) = outcome {
            tracing::warn!(group = self.group, %cause, "the assignment could not be taken up");
        }
    }
}

fn start_positions(
    consumer: &BaseConsumer<Positions>,
    assigned: &TopicPartitionList,
) -> std::result::Result<TopicPartitionList, KafkaError> {
    let committed = consumer.committed_offsets(assigned.clone(), ASK_TIMEOUT)?;
    let mut starts = TopicPartitionList::new();
    for element in committed.elements() {
        let start = match element.offset() {
            KafkaOffset::Offset(offset) => KafkaOffset::Offset(offset),
            _ => KafkaOffset::Beginning,
        };
        starts.add_partition_offset(element.topic(), element.partition(), start)?;
    }
    Ok(starts)
}

impl KafkaMember {
    pub(super) async fn join(settings: &KafkaSettings, names: &Names, group: &str, topics: &[Topic]) -> Result<Self> {
        let called = names.group(group);
        let mut config = settings.consumer_config(&called);
        config
            .set("partition.assignment.strategy", "range")
            .set("session.timeout.ms", SESSION_TIMEOUT.as_millis().to_string())
            .set("heartbeat.interval.ms", "2000");
        let mut producer_config = settings.producer_config();
        let transactional_id = match &settings.node_id {
            Some(node) => {
                config.set("group.instance.id", format!("{node}-{called}"));
                format!("{node}-{called}")
            }
            None => format!("{}-{called}-{:x}", std::process::id(), unique()),
        };
        producer_config
            .set("transactional.id", transactional_id)
            .set("transaction.timeout.ms", TRANSACTION_TIMEOUT.as_millis().to_string());
        let producer: FutureProducer = producer_config.create().map_err(convert::unavailable)?;
        let producer = Arc::new(producer);
        let starting = Arc::clone(&producer);
        blocking(move || starting.init_transactions(ASK_TIMEOUT)).await?.map_err(|cause| failure(group, cause))?;
        let context = Positions { group: group.to_owned(), changed: AtomicBool::new(false) };
        let consumer: StreamConsumer<Positions> = config.create_with_context(context).map_err(convert::unavailable)?;
        let topics: Vec<&str> = topics.iter().map(|topic| names.of(*topic)).collect();
        consumer.subscribe(&topics).map_err(convert::unavailable)?;
        Ok(Self { group: group.to_owned(), names: names.clone(), consumer, producer })
    }

    /// Gives up what was read and not committed: the next poll starts at the group's positions again.
    fn rewind(&self) -> Result<()> {
        let assigned = self.consumer.assignment().map_err(convert::unavailable)?;
        let committed = self.consumer.committed_offsets(assigned, ASK_TIMEOUT).map_err(convert::unavailable)?;
        let mut starts = TopicPartitionList::new();
        for element in committed.elements() {
            let start = match element.offset() {
                KafkaOffset::Offset(offset) => KafkaOffset::Offset(offset),
                _ => KafkaOffset::Beginning,
            };
            starts.add_partition_offset(element.topic(), element.partition(), start).map_err(convert::unavailable)?;
        }
        self.consumer.seek_partitions(starts, ASK_TIMEOUT).map_err(convert::unavailable)?;
        Ok(())
    }

    async fn transact(&self, outputs: Vec<NewRecord>, positions: &[Position]) -> std::result::Result<(), KafkaError> {
        let metadata = self.consumer.group_metadata();
        let offsets = convert::list(&self.names, positions).map_err(|_| KafkaError::Canceled)?;
        let producer = Arc::clone(&self.producer);
        let names = self.names.clone();
        blocking(move || {
            producer.begin_transaction()?;
            for output in &outputs {
                send(&producer, &names, output)?;
            }
            if let Some(metadata) = metadata {
                producer.send_offsets_to_transaction(&offsets, &metadata, ASK_TIMEOUT)?;
            }
            producer.commit_transaction(TRANSACTION_TIMEOUT)
        })
        .await
        .unwrap_or(Err(KafkaError::Canceled))
    }
}

/// Hands one record to the producer, waiting while its queue is full. A delivery that fails fails the transaction.
fn send(producer: &FutureProducer, names: &Names, output: &NewRecord) -> std::result::Result<(), KafkaError> {
    let mut record = convert::to_kafka(names, output);
    loop {
        match producer.send_result(record) {
            Ok(_delivery) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                std::thread::sleep(Duration::from_millis(1));
            }
            Err((cause, _)) => return Err(cause),
        }
    }
}

#[async_trait]
impl Member for KafkaMember {
    async fn poll(&mut self, limits: &Limits) -> Result<Vec<Record>> {
        let deadline = Instant::now() + limits.wait.max(AT_LEAST);
        loop {
            self.consumer.context().changed.store(false, Ordering::SeqCst);
            let left = Limits { wait: deadline.saturating_duration_since(Instant::now()), ..*limits };
            let records = gather(&self.consumer, &self.names, &left).await?;
            let changed = self.consumer.context().changed.load(Ordering::SeqCst);
            if changed && !records.is_empty() {
                // Read across a change of the assignment: whose they are now is uncertain, so they are read again.
                self.rewind()?;
            } else if !records.is_empty() || Instant::now() >= deadline {
                return Ok(records);
            }
        }
    }

    async fn commit(&mut self, outputs: Vec<NewRecord>, positions: &[Position]) -> Result<()> {
        let Err(cause) = self.transact(outputs, positions).await else { return Ok(()) };
        let failure = failure(&self.group, cause);
        if !matches!(failure, LogError::Fenced(_)) {
            let producer = Arc::clone(&self.producer);
            let aborted = blocking(move || producer.abort_transaction(ASK_TIMEOUT)).await?;
            if let Err(cause) = aborted {
                tracing::warn!(group = self.group, %cause, "a transaction could not be aborted");
            }
            self.rewind()?;
        }
        Err(failure)
    }
}

fn failure(group: &str, cause: KafkaError) -> LogError {
    let fenced = match &cause {
        KafkaError::Transaction(error) => error.is_fatal(),
        other => matches!(
            other.rdkafka_error_code(),
            Some(RDKafkaErrorCode::Fenced | RDKafkaErrorCode::FencedInstanceId | RDKafkaErrorCode::ProducerFenced)
        ),
    };
    if fenced { LogError::Fenced(group.to_owned()) } else { convert::unavailable(cause) }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|cause| LogError::Unavailable(cause.to_string()))
}

fn unique() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}
