//! How many records of 10 KiB the embedded log takes a second, and how long one waits for its sync.
//!
//! `cargo run --release -p eventlog --example append_rate [FOLDER] [RECORDS]`

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use eventlog::Log;
use eventlog::embedded::{DatabaseSettings, EmbeddedLog, EmbeddedSettings, open_database};
use schemas::{NewRecord, Topic};

const VALUE_BYTES: usize = 10 << 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "append-rate.data".into());
    let records: usize = arguments.next().map_or(Ok(20_000), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let folder = std::path::Path::new(&folder);
    for topic in [Topic::MailRaw, Topic::MailActions] {
        for appenders in [1, 16, 64] {
            let database = open_database(&folder.join("db"), DatabaseSettings::default())?;
            let log = EmbeddedLog::open(database, &folder.join("log"), EmbeddedSettings::default())?;
            let count = if appenders == 1 { records / 20 } else { records };
            let (elapsed, mut waits) = runtime.block_on(measure(&log, topic, appenders, count));
            waits.sort_unstable();
            let percentile = |share: usize| waits.get(waits.len() * share / 100).copied().unwrap_or_default();
            println!(
                "{topic} {appenders:>2} appenders: {:>6.0} records/s, p50 {:?}, p99 {:?}",
                count as f64 / elapsed.as_secs_f64(),
                percentile(50),
                percentile(99)
            );
        }
    }
    let started = Instant::now();
    let database = open_database(&folder.join("db"), DatabaseSettings::default())?;
    let database_opened = started.elapsed();
    let log = EmbeddedLog::open(database, &folder.join("log"), EmbeddedSettings::default())?;
    println!("opened again in {:?}, of which the database {database_opened:?}", started.elapsed());
    drop(log);
    Ok(())
}

async fn measure(log: &Arc<EmbeddedLog>, topic: Topic, appenders: usize, count: usize) -> (Duration, Vec<Duration>) {
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let tasks: Vec<_> = (0..appenders)
        .map(|_| {
            let (log, next) = (Arc::clone(log), Arc::clone(&next));
            tokio::spawn(async move {
                let mut waits = Vec::new();
                let value = bytes::Bytes::from(vec![b'x'; VALUE_BYTES]);
                while next.fetch_add(1, Ordering::Relaxed) < count {
                    let asked = Instant::now();
                    if let Err(error) = log.append(vec![NewRecord::new(topic, "key", value.clone())]).await {
                        eprintln!("{error}");
                        break;
                    }
                    waits.push(asked.elapsed());
                }
                waits
            })
        })
        .collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await.unwrap_or_default());
    }
    (started.elapsed(), waits)
}
