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
mod writer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use schemas::{NewRecord, Position, Topic};

use inquirer::{End, Inquirer};
use names::Names;
use said::Said;
pub use settings::KafkaSettings;
use writer::Writer;

pub use client::client_fault;

use crate::{Bounds, Log, LogError, LogId, Member, Result, Shares, Starts, Tail};

/// How long a question to the broker may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait for room in a producer's queue before it is tried again.
const QUEUE_WAIT: Duration = Duration::from_millis(1);
/// How long to wait before a partition without a leader is asked again.
const LEADER_WAIT: Duration = Duration::from_secs(1);

/// A log on Kafka.
pub struct KafkaLog {
    id: LogId,
    settings: Arc<KafkaSettings>,
    names: Arc<Names>,
    writer: Writer,
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
        let writer = Writer::new(&settings, &names)?;
        // Topics of several installations may stand on one cluster, behind their prefixes.
        let id = if settings.prefix.is_empty() { cluster } else { format!("{cluster}/{}", settings.prefix) };
        let log = Self { id: LogId(id), settings, names, writer, inquirer, admin };
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
}

#[async_trait]
impl Log for KafkaLog {
    fn id(&self) -> &LogId {
        &self.id
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<Position>> {
        for record in &records {
            self.inquirer.check_partition(record.topic, record.partition.unwrap_or(0))?;
            convert::check_size(record, self.settings.max_record_bytes)?;
        }
        self.writer.append(&records).await
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
