//! Opens what an engine stands on: the embedded log and store, which share one database in the data folder; or the log
//! on Kafka, with a store of this node's own where it shows mail.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use eventlog::Log;
use eventlog::embedded::{EmbeddedLog, EmbeddedSettings, open_database};
use fjall::Database;
use mailstore::RawBytes;
use mailstore::embedded::EmbeddedStore;

use super::damage::database_fault;
use super::own::{OwnLog, OwnStore};
use super::raw::RawOnLog;
use crate::config::{LogSettings, Settings};

const DATABASE_FOLDER: &str = "database";
const LOG_FOLDER: &str = "log";

pub async fn open(settings: &Settings) -> anyhow::Result<(OwnLog, OwnStore)> {
    match &settings.log {
        LogSettings::Embedded { settings: log, partitions_given } => {
            // A number that nobody has set is for new folders.
            let log = EmbeddedSettings { keep_partitions: !partitions_given, ..log.clone() };
            let settings = settings.clone();
            tokio::task::spawn_blocking(move || open_embedded(&settings, log)).await?
        }
        #[cfg(feature = "kafka")]
        LogSettings::Kafka(kafka) => open_on_kafka(settings, kafka.clone()).await,
    }
}

/// One database for log and store, so that a batch of both is one write.
fn open_embedded(settings: &Settings, log: EmbeddedSettings) -> anyhow::Result<(OwnLog, OwnStore)> {
    let folder: &Path = &settings.data_dir;
    let database = database(settings)?;
    let log = EmbeddedLog::open(database.clone(), &folder.join(LOG_FOLDER), log)
        .with_context(|| format!("the log in {} can't be opened", folder.display()))?;
    let raw = RawBytes::OnLog(Arc::new(RawOnLog(Arc::clone(&log))));
    match EmbeddedStore::open(database, &log.id().0, raw) {
        Ok(store) => Ok((OwnLog::Embedded(log), OwnStore::Embedded(store))),
        Err(error) => {
            log.close();
            Err(error).with_context(|| format!("the store in {} can't be opened", folder.display()))
        }
    }
}

#[cfg(feature = "kafka")]
async fn open_on_kafka(
    settings: &Settings,
    mut kafka: eventlog::kafka::KafkaSettings,
) -> anyhow::Result<(OwnLog, OwnStore)> {
    kafka.node_id = Some(super::node::node_id(&settings.data_dir)?);
    let broker = super::broker::Broker::new(&kafka.brokers);
    let log = eventlog::kafka::KafkaLog::open(kafka).await.context("the log on kafka can't be opened")?;
    let mut store = OwnStore::None;
    if settings.stages.need_store() {
        let (settings, log_id) = (settings.clone(), log.id().0.clone());
        let opened = tokio::task::spawn_blocking(move || {
            let opened = EmbeddedStore::open(database(&settings)?, &log_id, RawBytes::CopiedIn);
            opened.with_context(|| format!("the store in {} can't be opened", settings.data_dir.display()))
        });
        store = OwnStore::Embedded(opened.await??);
    }
    Ok((OwnLog::Kafka(log, broker), store))
}

fn database(settings: &Settings) -> anyhow::Result<Database> {
    let folder: &Path = &settings.data_dir;
    let (database, log) = (folder.join(DATABASE_FOLDER), folder.join(LOG_FOLDER));
    open_database(&database, settings.database).map_err(|error| database_fault(&database, &log, &error))
}
