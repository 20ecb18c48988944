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
use super::{ASK_TIMEOUT, QUEUE_WAIT, convert};
use crate::{LogError, Result, metric};

const PRODUCERS: usize = 2;
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
    /// Who commits the offsets.
    pub member: Option<Arc<ConsumerGroupMetadata>>,
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
        for (start, producer) in starts.into_iter().zip(&producers) {
            let started = start.await.map_err(|cause| LogError::Unavailable(cause.to_string()))?;
            started.map_err(|cause| failure(group, producer, cause))?;
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
            Err(undone(&producer, &group, cause, started.elapsed()))
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
    if let Some(member) = batch.member.as_ref().filter(|_| batch.offsets.count() > 0) {
        producer.send_offsets_to_transaction(&batch.offsets, member, ASK_TIMEOUT)?;
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

/// Aborts what failed: what the caller is told of it.
fn undone(producer: &FutureProducer, group: &str, cause: KafkaError, took: Duration) -> LogError {
    let failed = failure(group, producer, cause);
    if matches!(failed, LogError::Fenced(_)) {
        // The broker fences who lets a transaction time out as it does who has been replaced: a process that was frozen
        // may begin again.
        let timed_out = took >= TRANSACTION_TIMEOUT;
        let text = || format!("a transaction of the group {group} has timed out");
        return if timed_out { LogError::Unavailable(text()) } else { failed };
    }
    match producer.abort_transaction(ASK_TIMEOUT) {
        Ok(()) => failed,
        // The producer is of no use any more, so its member begins again.
        Err(cause) => {
            LogError::Unavailable(format!("a transaction of the group {group} could not be aborted: {cause}"))
        }
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

/// Whether somebody else has the place, or the partitions, or the same may succeed later.
fn failure(group: &str, producer: &FutureProducer, cause: KafkaError) -> LogError {
    use RDKafkaErrorCode as Code;
    // What made the producer useless says more than the calls that fail after it.
    let fatal = producer.client().fatal_error().map(|(code, _)| code);
    match fatal.or_else(|| cause.rdkafka_error_code()) {
        Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch) => LogError::Fenced(group.to_owned()),
        // The group has gone on without this member, or with another under its name: its consumer will say which.
        Some(Code::IllegalGeneration | Code::UnknownMemberId | Code::RebalanceInProgress | Code::FencedInstanceId)
            if fatal.is_none() =>
        {
            LogError::Moved(format!("the group {group} has gone on: {cause}"))
        }
        _ => convert::unavailable(cause),
    }
}
