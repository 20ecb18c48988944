//! The log in a data folder on which nobody runs, for what no door would take.

use std::path::Path;

use eventlog::Log;
use eventlog::embedded::{DatabaseSettings, EmbeddedLog, EmbeddedSettings, open_database};
use schemas::{NewRecord, Position};

/// Puts records on the log as they are.
pub fn append(data: &Path, records: Vec<NewRecord>) -> Vec<Position> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let database = open_database(&data.join("database"), DatabaseSettings::default()).unwrap();
        let settings = EmbeddedSettings { keep_partitions: true, reserve_bytes: 0, ..EmbeddedSettings::default() };
        let log = EmbeddedLog::open(database, &data.join("log"), settings).unwrap();
        let places = log.append(records).await.unwrap();
        log.close();
        places
    })
}
