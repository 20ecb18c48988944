//! Topics are made from the one definition in `schemas`, and what is there already is checked against it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use schemas::Topic;
use schemas::topic::{Kept, Partitions};
use tokio::time::Instant;

use super::names::Names;
use super::{ASK_TIMEOUT, KafkaSettings, RECORD_OVERHEAD_BYTES, convert};
use crate::{LogError, Result};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn admin_options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ASK_TIMEOUT)).operation_timeout(Some(ASK_TIMEOUT))
}

/// The id of the cluster, once a broker answers; a line a second says what is waited for.
pub(super) async fn wait_for_broker(inquirer: &Arc<BaseConsumer>, settings: &KafkaSettings) -> Result<String> {
    let deadline = Instant::now() + settings.start_timeout;
    loop {
        let asked = Arc::clone(inquirer);
        let id = tokio::task::spawn_blocking(move || asked.client().fetch_cluster_id(Duration::from_secs(1)))
            .await
            .map_err(|cause| LogError::Unavailable(cause.to_string()))?;
        if let Some(id) = id {
            return Ok(id);
        }
        if Instant::now() >= deadline {
            return Err(LogError::Unavailable(format!(
                "no broker answered at {} within {} s",
                settings.brokers,
                settings.start_timeout.as_secs()
            )));
        }
        tracing::info!(brokers = settings.brokers, "waiting for a kafka broker");
    }
}

/// Makes the topics that are missing, checks the others, and says how many partitions each has.
pub(super) async fn ensure(
    admin: &AdminClient<DefaultClientContext>,
    inquirer: &Arc<BaseConsumer>,
    names: &Names,
    settings: &KafkaSettings,
) -> Result<BTreeMap<Topic, u32>> {
    let existing = partitions(inquirer, names).await?;
    let missing: Vec<Topic> = Topic::ALL.into_iter().filter(|topic| !existing.contains_key(topic)).collect();
    if !missing.is_empty() {
        create(admin, names, settings, &missing).await?;
    }
    check(admin, names, settings, &existing).await?;
    let deadline = Instant::now() + settings.start_timeout;
    loop {
        let found = partitions(inquirer, names).await?;
        if Topic::ALL.iter().all(|topic| found.contains_key(topic)) {
            return one_count(found);
        }
        if Instant::now() >= deadline {
            return Err(LogError::Unavailable("the topics that were made do not appear".into()));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// All `mail.*` topics have the same number of partitions: a step writes to the partition that it read from.
fn one_count(found: BTreeMap<Topic, u32>) -> Result<BTreeMap<Topic, u32>> {
    let raw = found.get(&Topic::MailRaw).copied().unwrap_or(0);
    for (topic, count) in &found {
        let wanted = if topic.partitions() == Partitions::One { 1 } else { raw };
        if *count != wanted {
            return Err(LogError::Damaged(format!("{topic} has {count} partitions and needs {wanted}")));
        }
    }
    Ok(found)
}

async fn partitions(inquirer: &Arc<BaseConsumer>, names: &Names) -> Result<BTreeMap<Topic, u32>> {
    let asked = Arc::clone(inquirer);
    let names = names.clone();
    tokio::task::spawn_blocking(move || {
        let metadata = asked.fetch_metadata(None, ASK_TIMEOUT).map_err(convert::unavailable)?;
        let mut found = BTreeMap::new();
        for topic in metadata.topics() {
            if let Some(known) = names.find(topic.name())
                && !topic.partitions().is_empty()
            {
                found.insert(known, u32::try_from(topic.partitions().len()).unwrap_or(u32::MAX));
            }
        }
        Ok(found)
    })
    .await
    .map_err(|cause| LogError::Unavailable(cause.to_string()))?
}

/// What the broker is told of a topic.
fn wanted(topic: Topic, settings: &KafkaSettings) -> BTreeMap<&'static str, String> {
    let mut config = BTreeMap::new();
    config.insert("max.message.bytes", (settings.max_record_bytes + RECORD_OVERHEAD_BYTES).to_string());
    let compacted = topic.kept() == Kept::Compacted;
    config.insert("cleanup.policy", if compacted { "compact" } else { "delete" }.to_owned());
    let retention = match topic.kept() {
        Kept::RawRetention | Kept::AsRaw | Kept::AsStore => settings.retention,
        Kept::Days(days) => Some(DAY * days),
        Kept::ForEver | Kept::Compacted => None,
    };
    config.insert("retention.ms", retention.map_or_else(|| "-1".to_owned(), |kept| kept.as_millis().to_string()));
    config
}

async fn create(
    admin: &AdminClient<DefaultClientContext>,
    names: &Names,
    settings: &KafkaSettings,
    missing: &[Topic],
) -> Result<()> {
    let configs: Vec<(Topic, BTreeMap<&str, String>)> =
        missing.iter().map(|topic| (*topic, wanted(*topic, settings))).collect();
    let topics: Vec<NewTopic<'_>> = configs
        .iter()
        .map(|(topic, config)| {
            let count = if topic.partitions() == Partitions::One { 1 } else { settings.partitions };
            let made = NewTopic::new(
                names.of(*topic),
                i32::try_from(count).unwrap_or(1),
                TopicReplication::Fixed(settings.replication),
            );
            config.iter().fold(made, |made, (key, value)| made.set(key, value))
        })
        .collect();
    let results = admin.create_topics(&topics, &admin_options()).await.map_err(convert::unavailable)?;
    for result in results {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(LogError::Unavailable(format!("{topic} could not be made: {code}"))),
        }
    }
    Ok(())
}

/// Names every mismatch; fatal only where mail could be lost.
async fn check(
    admin: &AdminClient<DefaultClientContext>,
    names: &Names,
    settings: &KafkaSettings,
    existing: &BTreeMap<Topic, u32>,
) -> Result<()> {
    let asked: Vec<ResourceSpecifier<'_>> =
        existing.keys().map(|topic| ResourceSpecifier::Topic(names.of(*topic))).collect();
    if asked.is_empty() {
        return Ok(());
    }
    let answers = admin.describe_configs(&asked, &admin_options()).await.map_err(convert::unavailable)?;
    let mut fatal = Vec::new();
    for (topic, answer) in existing.keys().zip(answers) {
        let found = answer.map_err(|code| LogError::Unavailable(format!("{topic} can't be described: {code}")))?;
        for (key, wanted) in wanted(*topic, settings) {
            compare(*topic, key, &wanted, &found, &mut fatal);
        }
    }
    if fatal.is_empty() { Ok(()) } else { Err(LogError::Damaged(fatal.join("; "))) }
}

fn compare(topic: Topic, key: &str, wanted: &str, found: &ConfigResource, fatal: &mut Vec<String>) {
    let Some(value) = found.get(key).and_then(|entry| entry.value.as_deref()) else { return };
    if value == wanted {
        return;
    }
    let text = format!("{topic} has {key}={value}, and {wanted} was expected");
    let too_small = key == "max.message.bytes"
        && value.parse::<u64>().unwrap_or(0) < wanted.parse::<u64>().unwrap_or(u64::MAX)
        && topic == Topic::MailRaw;
    let loses = key == "cleanup.policy" && topic.kept() != Kept::Compacted;
    if too_small || loses {
        fatal.push(text);
    } else {
        tracing::warn!(topic = topic.name(), setting = key, "{text}");
    }
}
