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
use super::said::Said;
use super::settings::KafkaSettings;
use super::{ASK_TIMEOUT, convert};
use crate::{LogError, Result};

/// How long to wait before topics are made again, and before it is asked again whether they are there.
const RETRY_WAIT: Duration = Duration::from_secs(1);
const APPEAR_WAIT: Duration = Duration::from_millis(50);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn admin_options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ASK_TIMEOUT)).operation_timeout(Some(ASK_TIMEOUT))
}

/// The id of the cluster, once a broker answers; a line a second says what is waited for.
pub(super) async fn wait_for_broker(inquirer: &Arc<BaseConsumer<Said>>, settings: &KafkaSettings) -> Result<String> {
    let deadline = Instant::now() + settings.start_timeout;
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
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

/// Makes the topics that are missing, checks the others, and says how many partitions each has. A cluster that has
/// just begun to answer may take its time over it.
pub(super) async fn ensure(
    admin: &AdminClient<DefaultClientContext>,
    inquirer: &Arc<BaseConsumer<Said>>,
    names: &Names,
    settings: &KafkaSettings,
) -> Result<BTreeMap<Topic, u32>> {
    let deadline = Instant::now() + settings.start_timeout;
    loop {
        let error = match try_to_ensure(admin, inquirer, names, settings).await {
            Err(error) if error.is_transient() => error,
            done => return done,
        };
        if Instant::now() >= deadline {
            return Err(error);
        }
        tracing::info!(%error, "waiting for the topics");
        tokio::time::sleep(RETRY_WAIT).await;
    }
}

async fn try_to_ensure(
    admin: &AdminClient<DefaultClientContext>,
    inquirer: &Arc<BaseConsumer<Said>>,
    names: &Names,
    settings: &KafkaSettings,
) -> Result<BTreeMap<Topic, u32>> {
    let existing = partitions(inquirer, names).await?;
    let missing: Vec<Topic> = Topic::ALL.into_iter().filter(|topic| !existing.contains_key(topic)).collect();
    check(admin, names, settings, &existing).await?;
    if !missing.is_empty() {
        create(admin, names, settings, &missing).await?;
    }
    let deadline = Instant::now() + ASK_TIMEOUT;
    loop {
        let found = partitions(inquirer, names).await?;
        if Topic::ALL.iter().all(|topic| found.contains_key(topic)) {
            return one_count(found);
        }
        if Instant::now() >= deadline {
            return Err(LogError::Unavailable("the topics that were made do not appear".into()));
        }
        tokio::time::sleep(APPEAR_WAIT).await;
    }
}

/// All `mail.*` topics have the same number of partitions: a step writes to the partition that it read from.
fn one_count(found: BTreeMap<Topic, u32>) -> Result<BTreeMap<Topic, u32>> {
    let raw = found.get(&Topic::MailRaw).copied().unwrap_or(0);
    for (topic, count) in &found {
        let wanted = if topic.partitions() == Partitions::One { 1 } else { raw };
        if *count != wanted {
            return Err(LogError::Refused(format!("{topic} has {count} partitions and needs {wanted}")));
        }
    }
    Ok(found)
}

async fn partitions(inquirer: &Arc<BaseConsumer<Said>>, names: &Names) -> Result<BTreeMap<Topic, u32>> {
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
    config.insert("max.message.bytes", settings.message_bytes().to_string());
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
    if fatal.is_empty() { Ok(()) } else { Err(LogError::Refused(fatal.join("; "))) }
}

fn compare(topic: Topic, key: &str, wanted: &str, found: &ConfigResource, fatal: &mut Vec<String>) {
    let Some(value) = found.get(key).and_then(|entry| entry.value.as_deref()) else { return };
    if value == wanted {
        return;
    }
    let text = format!("{topic} has {key}={value}, and {wanted} was expected");
    if loses_mail(topic, key, wanted, value) {
        fatal.push(text);
    } else {
        tracing::warn!(topic = topic.name(), setting = key, "{text}");
    }
}

/// Whether the topic would refuse what was announced as welcome, or give up what it is to keep.
fn loses_mail(topic: Topic, key: &str, wanted: &str, value: &str) -> bool {
    // Below zero is for ever.
    let number = |text: &str| text.parse::<i64>().map_or(0, |number| if number < 0 { i64::MAX } else { number });
    let is_smaller = number(value) < number(wanted);
    let keeps_mail = matches!(topic.kept(), Kept::RawRetention | Kept::ForEver);
    match key {
        "max.message.bytes" => is_smaller && topic == Topic::MailRaw,
        "cleanup.policy" => topic.kept() != Kept::Compacted,
        "retention.ms" => is_smaller && keeps_mail,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mismatch_is_fatal_only_where_mail_could_be_lost() {
        assert!(loses_mail(Topic::MailRaw, "max.message.bytes", "100", "99"));
        assert!(!loses_mail(Topic::MailRaw, "max.message.bytes", "100", "101"));
        assert!(!loses_mail(Topic::MailActions, "max.message.bytes", "100", "99"));
        assert!(loses_mail(Topic::MailRaw, "cleanup.policy", "delete", "compact"));
        assert!(!loses_mail(Topic::SpamModels, "cleanup.policy", "compact", "delete"));
        assert!(loses_mail(Topic::MailRaw, "retention.ms", "1000", "999"));
        assert!(!loses_mail(Topic::MailRaw, "retention.ms", "1000", "-1"));
        assert!(loses_mail(Topic::Accounts, "retention.ms", "-1", "604800000"));
        assert!(!loses_mail(Topic::MailParsed, "retention.ms", "-1", "604800000"));
    }
}
