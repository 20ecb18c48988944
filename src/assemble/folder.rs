//! Opens what lies in the data folder: the database that log and store share, then the two.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use eventlog::Log;
use eventlog::embedded::{EmbeddedLog, EmbeddedSettings, open_database};
use mailstore::embedded::EmbeddedStore;

use super::damage::database_fault;
use super::raw::RawOnLog;
use crate::config::Settings;

const DATABASE_FOLDER: &str = "database";
const LOG_FOLDER: &str = "log";

/// One database for log and store, so that a batch of both is one write.
pub fn open_folder(settings: &Settings) -> anyhow::Result<(Arc<EmbeddedLog>, Arc<EmbeddedStore>)> {
    let folder: &Path = &settings.data_dir;
    let (database_folder, log_folder) = (folder.join(DATABASE_FOLDER), folder.join(LOG_FOLDER));
    let database = open_database(&database_folder, settings.database)
        .map_err(|error| database_fault(&database_folder, &log_folder, &error))?;
    // A number that nobody has set is for new folders.
    let log_settings = EmbeddedSettings { keep_partitions: !settings.partitions_given, ..settings.log.clone() };
    let log = EmbeddedLog::open(database.clone(), &log_folder, log_settings)
        .with_context(|| format!("the log in {} can't be opened", folder.display()))?;
    let raw = Arc::new(RawOnLog(Arc::clone(&log)));
    match EmbeddedStore::open(database, &log.id().0, raw) {
        Ok(store) => Ok((log, store)),
        Err(error) => {
            log.close();
            Err(error).with_context(|| format!("the store in {} can't be opened", folder.display()))
        }
    }
}
