//! The log in a data folder on which nobody runs, for what no door would take.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use eventlog::embedded::{DatabaseSettings, EmbeddedLog, EmbeddedSettings, open_database};
use eventlog::{Log, scan};
use schemas::{NewRecord, Position, Record, Topic};

/// Puts records on the log as they are.
pub fn append(data: &Path, records: Vec<NewRecord>) -> Vec<Position> {
    on(data, async |log| log.append(records).await.unwrap())
}

/// Every record of a topic.
pub fn read(data: &Path, topic: Topic) -> Vec<Record> {
    on(data, async |log| {
        let bounds = log.bounds(topic).await.unwrap();
        let start = bounds.iter().map(|bounds| Position::new(topic, bounds.partition, bounds.earliest)).collect();
        let ends: Vec<Position> =
            bounds.iter().map(|bounds| Position::new(topic, bounds.partition, bounds.end)).collect();
        let mut records = Vec::new();
        let taken = scan(log.as_ref(), start, &ends, |record| {
            records.push(record);
            ControlFlow::Continue(())
        });
        taken.await.unwrap();
        records
    })
}

fn on<T>(data: &Path, work: impl AsyncFnOnce(Arc<EmbeddedLog>) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let database = open_database(&data.join("database"), DatabaseSettings::default()).unwrap();
        let settings = EmbeddedSettings { keep_partitions: true, reserve_bytes: 0, ..EmbeddedSettings::default() };
        let log = EmbeddedLog::open(database, &data.join("log"), settings).unwrap();
        let done = work(Arc::clone(&log)).await;
        log.close();
        done
    })
}
