//! What the caller may choose, and what a quick and a full run mean. Knows nothing of servers beyond their names.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};

use crate::dialect::Kind;

/// Most connections that one cell may open, and most seconds that it may last: the run is bounded whatever is asked.
pub const MAX_CONNECTIONS: usize = 1_000;
pub const MAX_CELL_SECONDS: u64 = 120;
pub const MAX_COUNT: usize = 1_000_000;
/// A backlog that is gone at once measures nothing.
const MIN_BACKLOG: usize = 1_000;

/// Measures mail servers on this machine, from outside: SMTP in, HTTP out.
#[derive(Parser, Debug, Clone)]
#[command(version)]
pub struct Options {
    /// Servers to measure, in this order in every cell
    #[arg(long, value_enum, value_delimiter = ',', default_value = "postlog,mailpit,inbucket,sink")]
    pub server: Vec<Kind>,
    /// Postlog's program, a release build
    #[arg(long, default_value = "target/release/postlog", value_name = "PATH")]
    pub postlog: PathBuf,
    /// SMTP address of a server that already runs (loopback only; with exactly one --server)
    #[arg(long, value_name = "ADDR", requires = "http")]
    pub smtp: Option<SocketAddr>,
    /// HTTP address of that server
    #[arg(long, value_name = "ADDR", requires = "smtp")]
    pub http: Option<SocketAddr>,
    /// API key for that server
    #[arg(long, requires = "smtp")]
    pub key: Option<String>,
    /// Process id of that server, for memory and CPU
    #[arg(long, requires = "smtp")]
    pub pid: Option<u32>,
    /// Folder of real mail, one message a file, searched in depth
    #[arg(long, value_name = "DIR")]
    pub mail: Option<PathBuf>,
    /// Where the peers are built and kept (default: the user's cache folder)
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Where the servers' data folders are made, and removed
    #[arg(long, value_name = "DIR")]
    pub work: Option<PathBuf>,
    /// Parts to run; of Postlog alone: logs, partitions, stages
    #[arg(long, value_enum, value_delimiter = ',', default_value = "grid,main,reads,visible,restart")]
    pub parts: Vec<Part>,
    /// Connections of each cell of the grid
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256")]
    pub connections: Vec<usize>,
    /// Sizes of generated mail in the grid, in bytes
    #[arg(long, value_delimiter = ',', default_value = "1024,10240,102400")]
    pub sizes: Vec<usize>,
    /// Most seconds of one cell of the grid
    #[arg(long)]
    pub seconds: Option<u64>,
    /// Most mails of one cell of the grid
    #[arg(long, default_value_t = 50_000)]
    pub count: usize,
    /// Times that the main cell and the reads are done over, the servers taking turns
    #[arg(long)]
    pub rounds: Option<usize>,
    /// Seconds of one read measurement
    #[arg(long)]
    pub read_seconds: Option<u64>,
    /// Mails sent one by one for the time from 250 to visible
    #[arg(long)]
    pub probes: Option<usize>,
    /// Mails stored before the restarts
    #[arg(long)]
    pub stored: Option<usize>,
    /// Inboxes that the mail is spread over
    #[arg(long, default_value_t = 100)]
    pub inboxes: usize,
    /// Never pipeline, not even where the server announces it: every server sees the same client
    #[arg(long)]
    pub fair: bool,
    /// Mails of each backlog of the parts partitions and stages
    #[arg(long)]
    pub backlog: Option<usize>,
    /// The folder with the scripts that start Kafka and Cassandra
    #[arg(long, default_value = "scripts", value_name = "DIR")]
    pub scripts: PathBuf,
    /// About two minutes in place of about ten
    #[arg(long)]
    pub quick: bool,
    /// Write the tables to this file (without a value: load-tests/RESULTS.md, and RESULTS-scale.md beside it for the
    /// parts of Postlog alone)
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub write: Option<Option<PathBuf>>,
}

/// A part of the run.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Every mail size at every number of connections
    Grid,
    /// The folder of mail once, at 16 connections: rate, all visible, memory, disk
    Main,
    /// API reads a second
    Reads,
    /// From 250 to visible at low load
    Visible,
    /// Start after a clean stop and after kill -9, with many mails stored
    Restart,
    /// Postlog by itself: embedded, on Kafka, on Kafka and Cassandra
    Logs,
    /// Postlog's processors by themselves on 1, 2 and 4 partitions
    Partitions,
    /// What one core carries of each of Postlog's stages, on Kafka and Cassandra
    Stages,
}

impl Part {
    /// Whether it measures Postlog by itself, and no peer.
    fn is_of_scale(self) -> bool {
        matches!(self, Self::Logs | Self::Partitions | Self::Stages)
    }
}

impl Options {
    /// Refuses what would make the run unbounded or leave this machine.
    pub fn check(&self) -> Result<()> {
        ensure!(!self.server.is_empty(), "--server names no server");
        ensure!(self.connections.iter().all(|n| (1..=MAX_CONNECTIONS).contains(n)), "--connections: 1 to 1000 each");
        ensure!(self.cell_time() <= Duration::from_secs(MAX_CELL_SECONDS), "--seconds: {MAX_CELL_SECONDS} at most");
        ensure!(
            self.read_time() <= Duration::from_secs(MAX_CELL_SECONDS),
            "--read-seconds: {MAX_CELL_SECONDS} at most"
        );
        ensure!(self.count.max(self.stored()) <= MAX_COUNT, "--count, --stored: {MAX_COUNT} at most");
        ensure!((1..=10_000).contains(&self.inboxes), "--inboxes: 1 to 10000");
        ensure!((1..=100).contains(&self.rounds()), "--rounds: 1 to 100");
        ensure!(self.probes() <= 10_000, "--probes: 10000 at most");
        ensure!(self.sizes.iter().all(|n| (512..=20 << 20).contains(n)), "--sizes: 512 bytes to 20 MiB each");
        ensure!((MIN_BACKLOG..=MAX_COUNT).contains(&self.backlog()), "--backlog: {MIN_BACKLOG} to {MAX_COUNT}");
        let of_scale = self.parts.iter().filter(|part| part.is_of_scale()).count();
        ensure!(of_scale == 0 || of_scale == self.parts.len(), "logs, partitions and stages are a run of their own");
        ensure!(of_scale == 0 || self.smtp.is_none(), "logs, partitions and stages start their servers by themselves");
        if let (Some(smtp), Some(http)) = (self.smtp, self.http) {
            ensure!(smtp.ip().is_loopback() && http.ip().is_loopback(), "only servers on this machine's loopback");
            ensure!(self.server.len() == 1, "a given server needs exactly one --server, to know its API");
        }
        Ok(())
    }

    pub fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    /// Postlog's program.
    pub fn program(&self) -> Result<PathBuf> {
        std::fs::canonicalize(&self.postlog).with_context(|| {
            format!("{}: build it with `cargo build --release`, or name it with --postlog", self.postlog.display())
        })
    }

    /// Whether Postlog is measured by itself.
    pub fn is_of_scale(&self) -> bool {
        self.parts.iter().any(|part| part.is_of_scale())
    }

    /// Where the tables go, when they are to be kept.
    pub fn file(&self) -> Option<PathBuf> {
        let default = if self.is_of_scale() { "load-tests/RESULTS-scale.md" } else { "load-tests/RESULTS.md" };
        self.write.clone().map(|named| named.unwrap_or_else(|| default.into()))
    }

    pub fn backlog(&self) -> usize {
        self.backlog.unwrap_or(if self.quick { 3_000 } else { 20_000 })
    }

    pub fn cell_time(&self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(if self.quick { 1 } else { 4 }))
    }

    pub fn read_time(&self) -> Duration {
        Duration::from_secs(self.read_seconds.unwrap_or(if self.quick { 1 } else { 2 }))
    }

    pub fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 1 } else { 3 })
    }

    pub fn probes(&self) -> usize {
        self.probes.unwrap_or(if self.quick { 100 } else { 300 })
    }

    pub fn stored(&self) -> usize {
        self.stored.unwrap_or(if self.quick { 6_000 } else { 60_000 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(more: &[&str]) -> Options {
        Options::parse_from(["load-tests"].iter().chain(more))
    }

    #[test]
    fn the_defaults_pass_their_own_check() {
        options(&[]).check().unwrap();
        options(&["--quick"]).check().unwrap();
    }

    #[test]
    fn a_server_on_another_machine_is_refused() {
        let away = options(&["--server", "postlog", "--smtp", "10.0.0.1:25", "--http", "127.0.0.1:80"]);
        assert!(away.check().is_err());
        let here = options(&["--server", "postlog", "--smtp", "127.0.0.1:25", "--http", "127.0.0.1:80"]);
        here.check().unwrap();
    }

    #[test]
    fn parts_of_postlog_alone_are_a_run_of_their_own() {
        options(&["--parts", "logs,stages"]).check().unwrap();
        assert!(options(&["--parts", "logs,main"]).check().is_err());
    }

    #[test]
    fn each_run_has_a_file_of_its_own() {
        assert_eq!(options(&[]).file(), None);
        assert_eq!(options(&["--write"]).file().unwrap().as_os_str(), "load-tests/RESULTS.md");
        assert_eq!(options(&["--parts", "logs", "--write"]).file().unwrap().as_os_str(), "load-tests/RESULTS-scale.md");
        assert_eq!(options(&["--write", "mine.md"]).file().unwrap().as_os_str(), "mine.md");
    }

    #[test]
    fn connections_stop_at_their_limit() {
        options(&["--connections", "1000"]).check().unwrap();
        assert!(options(&["--connections", "1001"]).check().is_err());
    }
}
