//! The log on Kafka: an idempotent producer for what somebody is answered for, a transaction a batch for what a stage
//! computed, and readers that see committed records only.

mod assignment;
mod client;
mod convert;
mod grouped;
mod inquirer;
mod member;
mod names;
mod queue;
mod reader;
mod said;
mod seat;
mod settings;
mod share;
mod tail;
mod topics;
mod transactor;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::join_all;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::FutureProducer;
use rdkafka::producer::future_producer::DeliveryFuture;
use schemas::{NewRecord, Position, Topic};

use inquirer::{End, Inquirer};
use names::Names;
use queue::{Queue, Waiting};
use said::Said;
pub use settings::KafkaSettings;

pub use client::client_fault;

use crate::{Bounds, Log, LogError, LogId, Member, Result, Shares, Starts, Tail, metric};

/// How long a question to the broker may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait for room in the producer's queue before it is tried again.
const QUEUE_WAIT: Duration = Duration::from_millis(1);
/// How long to wait before a partition without a leader is asked again.
const LEADER_WAIT: Duration = Duration::from_secs(1);

/// A log on Kafka.
pub struct KafkaLog {
    id: LogId,
    settings: Arc<KafkaSettings>,
    names: Arc<Names>,
    producer: FutureProducer,
    queue: Queue,
    inquirer: Arc<Inquirer>,
    admin: AdminClient<DefaultClientContext>,
}

impl KafkaLog {
    /// Connects, waiting for a broker up to the start limit, makes the topics that are missing and checks the others.
    pub async fn open(settings: KafkaSettings) -> Result<Arc<Self>> {
        settings.check()?;
        let settings = Arc::new(settings);
        let names = Arc::new(Names::new(&settings.prefix));
        let config = settings.consumer_config(&names.group("postlog-inquirer"));
        let client: BaseConsumer<Said> = config.create_with_context(Said).map_err(convert::unavailable)?;
        let client = Arc::new(client);
        let admin: AdminClient<DefaultClientContext> =
            settings.client_config().create().map_err(convert::unavailable)?;
        let cluster = topics::wait_for_broker(&client, &settings).await?;
        let partitions = topics::ensure(&admin, &client, &names, &settings).await?;
        let inquirer = Arc::new(Inquirer::new(&settings, &names, client, partitions)?);
        let producer: FutureProducer = settings.producer_config().create().map_err(convert::unavailable)?;
        // Topics of several installations may stand on one cluster, behind their prefixes.
        let id = if settings.prefix.is_empty() { cluster } else { format!("{cluster}/{}", settings.prefix) };
        let log = Self { id: LogId(id), settings, names, producer, queue: Queue::default(), inquirer, admin };
        log.wait_for_leaders().await?;
        Ok(Arc::new(log))
    }

    /// The largest record that an append takes.
    pub fn max_record_bytes(&self) -> usize {
        self.settings.max_record_bytes
    }

    /// New partitions are without a leader for a moment, on a busy broker for longer; until then they can neither be
    /// read nor written.
    async fn wait_for_leaders(&self) -> Result<()> {
        let deadline = Instant::now() + self.settings.start_timeout;
        for topic in Topic::ALL {
            while let Err(error) = self.inquirer.bounds(topic, End::Written).await {
                if !error.is_transient() || Instant::now() >= deadline {
                    return Err(error);
                }
                tracing::info!(%topic, %error, "waiting for leaders");
                tokio::time::sleep(LEADER_WAIT).await;
            }
        }
        Ok(())
    }

    /// Hands one record to the producer, waiting for room in its queue no longer than for an acknowledgement.
    async fn enqueue(&self, record: &NewRecord) -> Result<Sent<'_>> {
        let deadline = Instant::now() + self.settings.message_timeout;
        let mut sent = convert::to_kafka(&self.names, record);
        loop {
            match self.producer.send_result(sent) {
                Ok(delivery) => {
                    let waiting = self.queue.enter(convert::size_bytes(record));
                    return Ok(Sent { delivery, _waiting: waiting });
                }
                Err((KafkaError::MessageProduction(Code::QueueFull), back)) if Instant::now() < deadline => {
                    sent = back;
                    tokio::time::sleep(QUEUE_WAIT).await;
                }
                Err((cause, _)) => return Err(self.undelivered(cause, record)),
            }
        }
    }

    async fn delivered(&self, record: &NewRecord, sent: Sent<'_>) -> Result<Position> {
        let delivered = sent.delivery.await.map_err(|_| LogError::Unavailable("the producer has ended".to_owned()))?;
        let delivery = delivered.map_err(|(cause, _)| self.undelivered(cause, record))?;
        if delivery.offset < 0 {
            // The broker had it already when it was sent anew, and does not say where.
            return Err(LogError::Unavailable("a record was acknowledged without its place".to_owned()));
        }
        metrics::counter!(metric::APPENDED_RECORDS, "topic" => record.topic.name()).increment(1);
        let size_bytes = convert::size_bytes(record) as u64;
        metrics::counter!(metric::APPENDED_BYTES, "topic" => record.topic.name()).increment(size_bytes);
        convert::position(record.topic, delivery.partition, delivery.offset)
    }

    fn undelivered(&self, cause: KafkaError, record: &NewRecord) -> LogError {
        match cause.rdkafka_error_code() {
            Some(Code::MessageSizeTooLarge) => LogError::TooLarge {
                size_bytes: convert::size_bytes(record),
                limit_bytes: self.settings.max_record_bytes,
            },
            _ => convert::unavailable(cause),
        }
    }
}

/// A record in the producer's hands.
struct Sent<'a> {
    delivery: DeliveryFuture,
    _waiting: Waiting<'a>,
}

#[async_trait]
impl Log for KafkaLog {
    fn id(&self) -> &LogId {
        &self.id
    }

    /// In a partition the records stand in their order. Several are no transaction: after a failure the first of them
    /// may stand there.
    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<Position>> {
        for record in &records {
            self.inquirer.check_partition(record.topic, record.partition.unwrap_or(0))?;
            convert::check_size(record, self.settings.max_record_bytes)?;
        }
        let mut sent = Vec::with_capacity(records.len());
        let mut refused = None;
        for record in &records {
            match self.enqueue(record).await {
                Ok(one) => sent.push(one),
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        // Whatever is in the queue comes to its end before the caller is told anything.
        let answers = join_all(records.iter().zip(sent).map(|(record, sent)| self.delivered(record, sent))).await;
        let positions = answers.into_iter().collect::<Result<Vec<Position>>>()?;
        refused.map_or(Ok(positions), Err)
    }

    async fn join(&self, group: &str, topics: &[Topic]) -> Result<Box<dyn Member>> {
        Ok(Box::new(member::KafkaMember::join(&self.settings, &self.inquirer, group, topics).await?))
    }

    async fn tail(&self, from: &[Position]) -> Result<Box<dyn Tail>> {
        self.inquirer.check(from).await?;
        Ok(Box::new(tail::KafkaTail::start(&self.settings, &self.inquirer, from).await?))
    }

    async fn bounds(&self, topic: Topic) -> Result<Vec<Bounds>> {
        self.inquirer.bounds(topic, End::Committed).await
    }

    async fn offsets_at(&self, topic: Topic, timestamp_ms: i64) -> Result<Vec<Position>> {
        self.inquirer.offsets_at(topic, timestamp_ms).await
    }

    async fn truncate(&self, before: &[Position]) -> Result<()> {
        for position in before {
            // What is given up already stays so; only what never was is a mistake.
            match self.inquirer.check(&[*position]).await {
                Err(LogError::OutOfRange { earliest, .. }) if position.offset < earliest => {}
                checked => checked?,
            }
        }
        if before.is_empty() {
            return Ok(());
        }
        let offsets = convert::list(&self.names, before)?;
        let answered = self.admin.delete_records(&offsets, &topics::admin_options()).await;
        for element in answered.map_err(convert::unavailable)?.elements() {
            if let Err(cause) = element.error() {
                return Err(truncation(element.topic(), cause));
            }
        }
        Ok(())
    }

    async fn committed(&self, group: &str) -> Result<Vec<Position>> {
        let called = self.names.group(group);
        let consumer: BaseConsumer = self.settings.consumer_config(&called).create().map_err(convert::unavailable)?;
        self.inquirer
            .ask(move |inquirer| {
                let asked = convert::list(&inquirer.names, &inquirer.everywhere())?;
                let found = consumer.committed_offsets(asked, ASK_TIMEOUT).map_err(convert::unavailable)?;
                convert::positions(&inquirer.names, &found)
            })
            .await
    }
}

#[async_trait]
impl Shares for KafkaLog {
    async fn share(&self, group: &str, topics: &[Topic], starts: Arc<dyn Starts>) -> Result<Box<dyn Tail>> {
        Ok(Box::new(share::SharedTail::join(&self.settings, &self.inquirer, group, topics, starts)?))
    }
}

fn truncation(topic: &str, cause: KafkaError) -> LogError {
    match cause.rdkafka_error_code() {
        Some(Code::PolicyViolation | Code::InvalidRequest) => {
            LogError::Refused(format!("{topic} can't be truncated: {cause}"))
        }
        _ => convert::unavailable(cause),
    }
}
