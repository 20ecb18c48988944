//! Outputs and positions in one transaction. Two producers take turns: the broker ends a transaction after it has
//! answered for it, and refuses its producer the next one until then (librdkafka asks again after 20 ms).

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, Producer as _};
use schemas::NewRecord;

use super::names::Names;
use super::settings::{KafkaSettings, TRANSACTION_TIMEOUT};
use super::{ASK_TIMEOUT, convert};
use crate::{LogError, Result, metric};

const PRODUCERS: usize = 2;
/// How long to wait for room in the producer's queue before it is tried again.
const QUEUE_WAIT: Duration = Duration::from_millis(1);
/// How long to wait before it is looked again whether the broker has everything.
const SENT_WAIT: Duration = Duration::from_micros(200);

pub(super) struct Transactor {
    group: String,
    names: Arc<Names>,
    producers: Vec<Arc<FutureProducer>>,
    turn: usize,
}

/// What is committed together.
pub(super) struct Batch {
    pub outputs: Vec<NewRecord>,
    pub offsets: TopicPartitionList,
    pub member: ConsumerGroupMetadata,
}

impl Transactor {
    /// Takes over from whoever had this name: its open transactions are aborted, and it is fenced.
    pub async fn start(settings: &KafkaSettings, names: &Arc<Names>, group: &str) -> Result<Self> {
        let called = names.group(group);
        let name = match &settings.node_id {
            Some(node) => format!("{node}-{called}"),
            None => format!("{called}-{:032x}", rand::random::<u128>()),
        };
        let mut producers = Vec::new();
        let mut starts = Vec::new();
        for number in 0..PRODUCERS {
            let config = settings.transaction_config(&format!("{name}-{number}"));
            let producer: FutureProducer = config.create().map_err(convert::unavailable)?;
            let producer = Arc::new(producer);
            let starting = Arc::clone(&producer);
            starts.push(tokio::task::spawn_blocking(move || starting.init_transactions(ASK_TIMEOUT)));
            producers.push(producer);
        }
        for start in starts {
            let started = start.await.map_err(|cause| LogError::Unavailable(cause.to_string()))?;
            started.map_err(|cause| failure(group, cause))?;
        }
        Ok(Self { group: group.to_owned(), names: Arc::clone(names), producers, turn: 0 })
    }

    pub async fn commit(&mut self, batch: Batch) -> Result<()> {
        self.turn = (self.turn + 1) % self.producers.len().max(1);
        let Some(producer) = self.producers.get(self.turn).map(Arc::clone) else { return Ok(()) };
        let (names, group) = (Arc::clone(&self.names), self.group.clone());
        let committed = tokio::task::spawn_blocking(move || {
            let started = Instant::now();
            let Err(cause) = transact(&producer, &names, &batch) else {
                metrics::histogram!(metric::TRANSACTION_SECONDS, "group" => group).record(started.elapsed());
                return Ok(());
            };
            let failed = failure(&group, cause);
            if !matches!(failed, LogError::Fenced(_)) {
                abort(&producer, &group);
            } else if started.elapsed() >= TRANSACTION_TIMEOUT {
                // The broker fences who lets a transaction time out as it does who has been replaced: a process that
                // was frozen may begin again.
                return Err(LogError::Unavailable(format!("a transaction of the group {group} has timed out")));
            }
            Err(failed)
        });
        committed.await.map_err(|cause| LogError::Unavailable(cause.to_string()))?
    }
}

impl Drop for Transactor {
    /// Closing a producer may block.
    fn drop(&mut self) {
        let producers = std::mem::take(&mut self.producers);
        std::thread::spawn(move || drop(producers));
    }
}

fn transact(producer: &FutureProducer, names: &Names, batch: &Batch) -> std::result::Result<(), KafkaError> {
    producer.begin_transaction()?;
    for output in &batch.outputs {
        send(producer, names, output)?;
    }
    if batch.offsets.count() > 0 {
        producer.send_offsets_to_transaction(&batch.offsets, &batch.member, ASK_TIMEOUT)?;
    }
    wait_until_sent(producer);
    producer.commit_transaction(TRANSACTION_TIMEOUT)
}

/// The library's own flush looks every 100 ms only; this makes it a matter of the broker's answers.
fn wait_until_sent(producer: &FutureProducer) {
    let deadline = Instant::now() + TRANSACTION_TIMEOUT;
    while producer.in_flight_count() > 0 && Instant::now() < deadline {
        std::thread::sleep(SENT_WAIT);
    }
}

fn abort(producer: &FutureProducer, group: &str) {
    if let Err(cause) = producer.abort_transaction(ASK_TIMEOUT) {
        tracing::warn!(group, %cause, "a transaction could not be aborted");
    }
}

/// Hands one record to the producer, waiting while its queue is full. A delivery that fails fails the transaction.
fn send(producer: &FutureProducer, names: &Names, output: &NewRecord) -> std::result::Result<(), KafkaError> {
    let deadline = Instant::now() + TRANSACTION_TIMEOUT;
    let mut record = convert::to_kafka(names, output);
    loop {
        match producer.send_result(record) {
            Ok(_delivery) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) if Instant::now() < deadline => {
                record = back;
                std::thread::sleep(QUEUE_WAIT);
            }
            Err((cause, _)) => return Err(cause),
        }
    }
}

/// Whether somebody else has the place, or the same may succeed later.
fn failure(group: &str, cause: KafkaError) -> LogError {
    let fenced = match &cause {
        KafkaError::Transaction(error) => error.is_fatal(),
        other => matches!(
            other.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::Fatal
                    | RDKafkaErrorCode::Fenced
                    | RDKafkaErrorCode::FencedInstanceId
                    | RDKafkaErrorCode::ProducerFenced
                    | RDKafkaErrorCode::InvalidProducerEpoch
            )
        ),
    };
    if fenced { LogError::Fenced(group.to_owned()) } else { convert::unavailable(cause) }
}
