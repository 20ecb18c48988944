//! What a batch of facts costs: commits of three records a mail (7 KiB, 1.5 KiB and 0.5 KiB, half of it compressible),
//! memory, bytes written by the process a byte of facts, and how long the next start takes.
//!
//! `cargo run --release -p eventlog --example commit_rate [FOLDER] [MAILS] [stop|kill]`; run it again on the same
//! folder with 0 mails to see the start.

use std::path::Path;
use std::time::Instant;

use eventlog::embedded::{DatabaseSettings, EmbeddedLog, EmbeddedSettings, open_database};
use eventlog::{Limits, Log};
use rand::Rng;
use schemas::{NewRecord, Topic};

const BATCH_MAILS: usize = 64;
const SIZES: [(Topic, usize); 3] = [(Topic::MailParsed, 7168), (Topic::MailScored, 1536), (Topic::MailRouted, 512)];

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "commit-rate.data".into());
    let mails: usize = arguments.next().map_or(Ok(6_000), |text| text.parse())?;
    let kill = arguments.next().is_some_and(|text| text == "kill");
    let folder = Path::new(&folder);
    let started = Instant::now();
    let database = open_database(&folder.join("db"), DatabaseSettings::default())?;
    let database_opened = started.elapsed();
    let log = EmbeddedLog::open(database, &folder.join("log"), EmbeddedSettings::default())?;
    println!("opened in {:?}, of which the database {database_opened:?}; {}", started.elapsed(), memory());
    if mails == 0 {
        return Ok(());
    }
    log.append(vec![NewRecord::new(Topic::MailRaw, "k", vec![0; 64]); mails]).await?;
    let mut member = log.join("g", &[Topic::MailRaw]).await?;
    let limits = Limits { records: BATCH_MAILS, bytes: 8 << 20, wait: std::time::Duration::ZERO };
    let (mut slowest, mut bytes) = (std::time::Duration::ZERO, 0);
    let started = Instant::now();
    loop {
        let records = member.poll(&limits).await?;
        let Some(last) = records.last() else { break };
        let next = last.position.next();
        let outputs: Vec<NewRecord> = records.iter().flat_map(|_| facts()).collect();
        bytes += outputs.iter().filter_map(|fact| fact.value.as_ref()).map(bytes::Bytes::len).sum::<usize>();
        let asked = Instant::now();
        member.commit(outputs, &[next]).await?;
        slowest = slowest.max(asked.elapsed());
    }
    let rate = mails as f64 / started.elapsed().as_secs_f64();
    println!("{rate:.0} mails/s, slowest commit {slowest:?}, {} MiB of facts; {}", bytes >> 20, memory());
    if kill {
        std::process::abort();
    }
    drop(member);
    let stopping = Instant::now();
    drop(log);
    println!("stopped in {:?}; {}", stopping.elapsed(), memory());
    Ok(())
}

fn facts() -> Vec<NewRecord> {
    let mut chance = rand::rng();
    let values = SIZES.map(|(topic, size)| {
        let mut value = vec![b'x'; size];
        chance.fill(value.get_mut(..size / 2).unwrap_or_default());
        NewRecord::new(topic, "01hzy6k1vw8t4j8z0q6m7n5r2x", value).in_partition(0)
    });
    values.into()
}

/// What the kernel says of this process.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let lines = status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"));
    let lines = lines.chain(io.lines().filter(|line| line.starts_with("write_bytes")));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
}
