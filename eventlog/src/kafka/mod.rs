//! The log on Kafka: an idempotent producer for what somebody is answered for, a transaction a batch for what a stage
//! computed, and readers that see committed records only.

mod convert;
mod member;
mod names;
mod tail;
mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::FutureProducer;
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};
use rdkafka::util::Timeout;
use schemas::{NewRecord, Position, Topic};

use names::Names;

use crate::{Bounds, Limits, Log, LogError, LogId, Member, Result, Tail};

/// What a record's key, headers and framing may add to the largest value, in bytes.
const RECORD_OVERHEAD_BYTES: usize = 64 * 1024;
/// How long a question to the broker may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// A poll waits at least this long: what is on the broker takes a round trip to be here.
const AT_LEAST: Duration = Duration::from_millis(500);
/// Records that wait in the producer of one process, in KiB.
const PRODUCER_QUEUE_KIB: usize = 128 * 1024;

/// Where the log is and how it is made.
#[derive(Clone, Debug)]
pub struct KafkaSettings {
    /// `host:port,…`
    pub brokers: String,
    /// Stands before the name of every topic and group; empty by default.
    pub prefix: String,
    /// Makes `transactional.id` and `group.instance.id`; without it membership is dynamic.
    pub node_id: Option<String>,
    /// Partitions of the `mail.*` topics, where they have yet to be made.
    pub partitions: u32,
    pub replication: i32,
    /// Of `mail.raw`, where it has yet to be made; `None` keeps records for ever.
    pub retention: Option<Duration>,
    pub max_record_bytes: usize,
    /// After this long without an acknowledgement an append fails.
    pub message_timeout: Duration,
    /// How long the start waits for a broker.
    pub start_timeout: Duration,
    /// Passed on to librdkafka: TLS, SASL and whatever else it knows.
    pub client: BTreeMap<String, String>,
}

/// A log on Kafka.
pub struct KafkaLog {
    id: LogId,
    settings: Arc<KafkaSettings>,
    names: Arc<Names>,
    producer: FutureProducer,
    /// Asks for watermarks and offsets; reads nothing.
    inquirer: Arc<BaseConsumer>,
    admin: AdminClient<DefaultClientContext>,
    partitions: BTreeMap<Topic, u32>,
}

impl KafkaSettings {
    fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", self.node_id.as_deref().unwrap_or("postlog"))
            .set("message.max.bytes", (self.max_record_bytes + RECORD_OVERHEAD_BYTES).to_string())
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.max.ms", "1000");
        for (key, value) in &self.client {
            config.set(key, value);
        }
        config
    }

    fn producer_config(&self) -> ClientConfig {
        let mut config = self.client_config();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "zstd")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "1")
            .set("queue.buffering.max.kbytes", PRODUCER_QUEUE_KIB.to_string())
            // Small back-offs keep a transaction of one mail in the tens of milliseconds.
            .set("retry.backoff.ms", "5")
            .set("message.timeout.ms", self.message_timeout.as_millis().to_string());
        config
    }

    fn consumer_config(&self, group: &str) -> ClientConfig {
        let mut config = self.client_config();
        config
            .set("group.id", group)
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // Positions are never reset silently.
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "50")
            .set("fetch.message.max.bytes", (self.max_record_bytes + RECORD_OVERHEAD_BYTES).to_string())
            .set("queued.max.messages.kbytes", "65536");
        config
    }
}

impl KafkaLog {
    /// Connects, waiting for a broker up to the start limit, makes the topics that are missing and checks the others.
    pub async fn open(settings: KafkaSettings) -> Result<Arc<Self>> {
        let settings = Arc::new(settings);
        let names = Arc::new(Names::new(&settings.prefix));
        let inquirer: BaseConsumer =
            settings.consumer_config(&names.group("postlog-inquirer")).create().map_err(convert::unavailable)?;
        let inquirer = Arc::new(inquirer);
        let admin: AdminClient<DefaultClientContext> =
            settings.client_config().create().map_err(convert::unavailable)?;
        let id = topics::wait_for_broker(&inquirer, &settings).await?;
        let partitions = topics::ensure(&admin, &inquirer, &names, &settings).await?;
        let producer: FutureProducer = settings.producer_config().create().map_err(convert::unavailable)?;
        Ok(Arc::new(Self { id: LogId(id), settings, names, producer, inquirer, admin, partitions }))
    }

    fn partitions(&self, topic: Topic) -> u32 {
        self.partitions.get(&topic).copied().unwrap_or(0)
    }

    /// Runs a question that blocks where it may block.
    async fn ask<T, F>(&self, question: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&BaseConsumer) -> Result<T> + Send + 'static,
    {
        let inquirer = Arc::clone(&self.inquirer);
        tokio::task::spawn_blocking(move || question(&inquirer))
            .await
            .map_err(|cause| LogError::Unavailable(cause.to_string()))?
    }
}

#[async_trait]
impl Log for KafkaLog {
    fn id(&self) -> &LogId {
        &self.id
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<Position>> {
        let limit_bytes = self.settings.max_record_bytes;
        for record in &records {
            if record.partition.is_some_and(|partition| partition >= self.partitions(record.topic)) {
                return Err(LogError::Refused(format!("{} has no partition {:?}", record.topic, record.partition)));
            }
            let size_bytes = convert::size_bytes(record);
            if size_bytes > limit_bytes {
                return Err(LogError::TooLarge { size_bytes, limit_bytes });
            }
        }
        let sends = records.iter().map(|record| async move {
            let sent = self
                .producer
                .send(convert::to_kafka(&self.names, record), Timeout::After(self.settings.message_timeout));
            match sent.await {
                Ok(delivery) => convert::position(record.topic, delivery.partition, delivery.offset),
                Err((cause, _)) => Err(convert::unavailable(cause)),
            }
        });
        join_all(sends).await.into_iter().collect()
    }

    async fn join(&self, group: &str, topics: &[Topic]) -> Result<Box<dyn Member>> {
        Ok(Box::new(member::KafkaMember::join(&self.settings, &self.names, group, topics).await?))
    }

    async fn tail(&self, from: &[Position]) -> Result<Box<dyn Tail>> {
        for position in from {
            let bounds = self.bounds(position.topic).await?;
            let held = bounds.into_iter().find(|held| held.partition == position.partition);
            let (earliest, end) = held.map_or((0, 0), |held| (held.earliest, held.end));
            if position.offset < earliest || position.offset > end {
                return Err(LogError::OutOfRange { position: *position, earliest, end });
            }
        }
        Ok(Box::new(tail::KafkaTail::start(&self.settings, &self.names, from)?))
    }

    async fn bounds(&self, topic: Topic) -> Result<Vec<Bounds>> {
        let partitions = self.partitions(topic);
        let names = Arc::clone(&self.names);
        self.ask(move |inquirer| {
            (0..partitions)
                .map(|partition| {
                    let (earliest, end) = inquirer
                        .fetch_watermarks(names.of(topic), convert::partition(partition)?, ASK_TIMEOUT)
                        .map_err(convert::unavailable)?;
                    Ok(Bounds { partition, earliest: convert::offset(earliest)?, end: convert::offset(end)? })
                })
                .collect()
        })
        .await
    }

    async fn offsets_at(&self, topic: Topic, timestamp_ms: i64) -> Result<Vec<Position>> {
        let bounds = self.bounds(topic).await?;
        let names = Arc::clone(&self.names);
        self.ask(move |inquirer| {
            let mut times = TopicPartitionList::new();
            for held in &bounds {
                times
                    .add_partition_offset(
                        names.of(topic),
                        convert::partition(held.partition)?,
                        KafkaOffset::Offset(timestamp_ms),
                    )
                    .map_err(convert::unavailable)?;
            }
            let found = inquirer.offsets_for_times(times, ASK_TIMEOUT).map_err(convert::unavailable)?;
            bounds
                .iter()
                .map(|held| {
                    let element = found.find_partition(names.of(topic), convert::partition(held.partition)?);
                    let offset = match element.map(|element| element.offset()) {
                        Some(KafkaOffset::Offset(offset)) => convert::offset(offset)?,
                        _ => held.end,
                    };
                    Ok(Position::new(topic, held.partition, offset))
                })
                .collect()
        })
        .await
    }

    async fn truncate(&self, before: &[Position]) -> Result<()> {
        if before.is_empty() {
            return Ok(());
        }
        let offsets = convert::list(&self.names, before)?;
        self.admin.delete_records(&offsets, &topics::admin_options()).await.map_err(convert::unavailable)?;
        Ok(())
    }

    async fn committed(&self, group: &str) -> Result<Vec<Position>> {
        let consumer: BaseConsumer =
            self.settings.consumer_config(&self.names.group(group)).create().map_err(convert::unavailable)?;
        let all: Vec<Position> = self
            .partitions
            .iter()
            .flat_map(|(topic, count)| (0..*count).map(|partition| Position::new(*topic, partition, 0)))
            .collect();
        let names = Arc::clone(&self.names);
        tokio::task::spawn_blocking(move || {
            let found =
                consumer.committed_offsets(convert::list(&names, &all)?, ASK_TIMEOUT).map_err(convert::unavailable)?;
            convert::positions(&names, &found)
        })
        .await
        .map_err(|cause| LogError::Unavailable(cause.to_string()))?
    }
}

/// How much one poll of a consumer brings, and how long it waits; shared by members and tails.
async fn gather<C>(
    consumer: &rdkafka::consumer::StreamConsumer<C>,
    names: &Names,
    limits: &Limits,
) -> Result<Vec<schemas::Record>>
where
    C: rdkafka::consumer::ConsumerContext + 'static,
{
    use futures::FutureExt as _;
    let mut records = Vec::new();
    let mut bytes = 0;
    let first = match tokio::time::timeout(limits.wait.max(Duration::from_millis(1)), consumer.recv()).await {
        Err(_) => return Ok(records),
        Ok(received) => received,
    };
    let mut next = Some(first);
    while let Some(received) = next {
        let record = convert::from_kafka(names, &received.map_err(convert::consumption)?)?;
        bytes += record.size_bytes();
        records.push(record);
        if records.len() >= limits.records || bytes >= limits.bytes {
            break;
        }
        next = consumer.recv().now_or_never();
    }
    Ok(records)
}
