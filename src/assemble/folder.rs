//! Opens what an engine stands on: the embedded log and store, which share one database in the data folder; the log on
//! Kafka, with a store of this node's own where it shows mail; or either log with the store on CQL.

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
use crate::config::{LogSettings, Settings, StoreSettings};

const DATABASE_FOLDER: &str = "database";
const LOG_FOLDER: &str = "log";

pub async fn open(settings: &Settings) -> anyhow::Result<(OwnLog, OwnStore)> {
    match &settings.log {
        LogSettings::Embedded { settings: log, partitions_given } => {
            // A number that nobody has set is for new folders.
            let log = EmbeddedSettings { keep_partitions: !partitions_given, ..log.clone() };
            let owned = settings.clone();
            let (log, store) = tokio::task::spawn_blocking(move || open_embedded(&owned, log)).await??;
            match open_elsewhere(settings, &log.id().0).await {
                Ok(elsewhere) => Ok((OwnLog::Embedded(log), elsewhere.unwrap_or(store))),
                Err(error) => {
                    tokio::task::spawn_blocking(move || log.close()).await?;
                    Err(error)
                }
            }
        }
        #[cfg(feature = "kafka")]
        LogSettings::Kafka(kafka) => open_on_kafka(settings, kafka.clone()).await,
    }
}

/// One database for log and store, so that a batch of both is one write.
fn open_embedded(settings: &Settings, log: EmbeddedSettings) -> anyhow::Result<(Arc<EmbeddedLog>, OwnStore)> {
    let folder: &Path = &settings.data_dir;
    let database = database(settings)?;
    let log = EmbeddedLog::open(database.clone(), &folder.join(LOG_FOLDER), log)
        .with_context(|| format!("the log in {} can't be opened", folder.display()))?;
    if settings.store.is_shared() {
        return Ok((log, OwnStore::None));
    }
    let raw = RawBytes::OnLog(Arc::new(RawOnLog(Arc::clone(&log))));
    match EmbeddedStore::open(database, &log.id().0, raw) {
        Ok(store) => Ok((log, OwnStore::Embedded(store))),
        Err(error) => {
            log.close();
            Err(error).with_context(|| format!("the store in {} can't be opened", folder.display()))
        }
    }
}

/// The store that lies with others, where one is named.
async fn open_elsewhere(
    settings: &Settings,
    #[cfg_attr(not(feature = "cql"), expect(unused_variables, reason = "the own store is opened later"))] log_id: &str,
) -> anyhow::Result<Option<OwnStore>> {
    match &settings.store {
        _ if !settings.stages.need_store() => Ok(None),
        StoreSettings::Embedded => Ok(None),
        #[cfg(feature = "cql")]
        StoreSettings::Cql { settings, start_wait } => {
            let store = super::cluster::open(settings, log_id, *start_wait).await?;
            Ok(Some(OwnStore::Cql(store, super::cluster::Cluster::new(settings))))
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
        if let Some(elsewhere) = open_elsewhere(settings, &log.id().0).await? {
            return Ok((OwnLog::Kafka(log, broker), elsewhere));
        }
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
