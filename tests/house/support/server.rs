//! The program under test: a data folder, and the server that runs on it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::http::{self, Answer};
use super::smtp::Smtp;
use super::{PATIENCE, cassandra, eventually, kafka};

const PROGRAM: &str = env!("CARGO_BIN_EXE_postlog");
/// What the tests' server takes as its first key.
pub const KEY: &str = "k_tests0123456789abcdefghij";

const ALL_STAGES: &str = "ingest,processors,sinks,api";
const LISTEN: &str = "127.0.0.1:0";

/// A data folder and the settings to run on it.
pub struct House {
    _parent: Option<TempDir>,
    /// The data folder; it is made at the first start.
    pub data: PathBuf,
    /// The configuration file's text.
    pub config: String,
    /// Where HTTP listens.
    pub http_listen: &'static str,
    /// Put before the program's own command line: strace, mostly.
    pub wrapper: Vec<String>,
    /// Settings that every command on this folder has.
    pub environment: Vec<(&'static str, String)>,
    /// Stages that its server runs; all of them where nothing is said.
    pub stages: &'static str,
}

/// Which log a house stands on, and which store where that is not the embedded one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLog {
    Embedded,
    /// On the broker that all tests share, behind a prefix of its own.
    Kafka,
    /// With a keyspace of its own on the Cassandra that all tests share.
    EmbeddedAndCassandra,
    KafkaAndCassandra,
}

/// A server that runs; it is killed when dropped.
pub struct Server {
    child: Child,
    pub smtp: SocketAddr,
    pub http: SocketAddr,
    /// Where its log lines go.
    pub log: PathBuf,
    data: PathBuf,
    dead: bool,
}

impl House {
    pub fn new() -> Self {
        let parent = TempDir::new().unwrap();
        let data = parent.path().join("data");
        Self { _parent: Some(parent), ..Self::at(data) }
    }

    /// On a folder that somebody else looks after.
    pub fn at(data: PathBuf) -> Self {
        let (config, wrapper, environment) = (String::new(), Vec::new(), Vec::new());
        Self { _parent: None, data, config, http_listen: LISTEN, wrapper, environment, stages: ALL_STAGES }
    }

    pub fn with_partitions(partitions: u32) -> Self {
        Self::with_partitions_on(OnLog::Embedded, partitions)
    }

    pub fn with_partitions_on(log: OnLog, partitions: u32) -> Self {
        let is_kafka = matches!(log, OnLog::Kafka | OnLog::KafkaAndCassandra);
        let mut house = if is_kafka { Self::on_broker(kafka::shared()) } else { Self::new() };
        if matches!(log, OnLog::EmbeddedAndCassandra | OnLog::KafkaAndCassandra) {
            house.set("POSTLOG_STORE", &cassandra::new_store(cassandra::shared()));
        }
        house.config = format!("[log]\npartitions = {partitions}\n");
        house
    }

    /// A house for a test that runs on both logs.
    pub fn on(log: OnLog) -> Self {
        match log {
            OnLog::Embedded => Self::new(),
            OnLog::EmbeddedAndCassandra => Self::with_partitions_on(log, 1),
            OnLog::Kafka | OnLog::KafkaAndCassandra => Self::with_partitions_on(log, 3),
        }
    }

    /// On this broker, behind a prefix of its own.
    pub fn on_broker(address: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut house = Self::new();
        house.environment = vec![
            ("POSTLOG_LOG", format!("kafka://{address}")),
            ("POSTLOG_KAFKA_PREFIX", format!("t{}-{number}-", std::process::id())),
            ("POSTLOG_SEAL_KEY", "5ea1".repeat(16)),
        ];
        house
    }

    /// Another node on the same log, with a data folder of its own.
    pub fn another_node(&self) -> Self {
        Self { config: self.config.clone(), environment: self.environment.clone(), ..Self::new() }
    }

    /// The same, with these stages.
    pub fn another_node_with(&self, stages: &'static str) -> Self {
        Self { stages, ..self.another_node() }
    }

    /// The same folder with another value for a setting.
    pub fn set(&mut self, name: &'static str, value: &str) {
        self.environment.retain(|(known, _)| *known != name);
        self.environment.push((name, value.to_owned()));
    }

    /// A subcommand on this folder, in a clean environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match self.wrapper.split_first() {
            Some((program, rest)) => {
                let mut command = Command::new(program);
                command.args(rest).arg(PROGRAM);
                command
            }
            None => Command::new(PROGRAM),
        };
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("POSTLOG_")) {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (*name, value)));
        command.args(arguments).env("POSTLOG_DATA_DIR", &self.data).env("POSTLOG_ADMIN_KEY", KEY);
        command.env("RUST_BACKTRACE", "1").stdin(Stdio::null());
        if !self.config.is_empty() {
            let file = self.data.with_extension("toml");
            fs::write(&file, &self.config).unwrap();
            command.env("POSTLOG_CONFIG", file);
        }
        command
    }

    /// Runs a subcommand to its end, which has to be good.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text_of(&output));
        output
    }

    pub fn start(&self) -> Server {
        self.try_start().unwrap_or_else(|failure| panic!("the server does not start: {failure}"))
    }

    /// The server, or what it said before it ended.
    pub fn try_start(&self) -> Result<Server, String> {
        let log = self.data.with_extension(format!("{}.log", rand::random::<u32>()));
        let listen = ["--smtp-listen", LISTEN, "--http-listen", self.http_listen];
        let mut command = self.command(&["run", "--stages", self.stages]);
        command.args(listen).stdout(Stdio::piped()).stderr(File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        let has = |stage: &str| self.stages.split(',').any(|one| one == stage);
        let found = addresses(&lines, has("ingest"), has("api"));
        let Some((smtp, http)) = found else {
            let _ = child.kill();
            let status = child.wait().unwrap();
            return Err(format!("{status}: {}", fs::read_to_string(&log).unwrap_or_default()));
        };
        let server = Server { child, smtp, http, log, data: self.data.clone(), dead: false };
        if has("api") {
            // On a full disk the server starts, and says that it is not ready.
            eventually("ready", || {
                let answer = http::request(http, "GET", "/readyz", &[], &[]).ok();
                answer.filter(|answer| answer.status == 200 || answer.text().contains("has no room"))
            });
        }
        Ok(server)
    }

    /// Every view as canonical JSON lines.
    pub fn dump(&self) -> String {
        String::from_utf8(self.run(&["dump"]).stdout).unwrap()
    }
}

impl Server {
    pub fn smtp(&self) -> Smtp {
        Smtp::open(self.smtp).unwrap()
    }

    pub fn call(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let headers = [("Mailsac-Key", KEY), ("Content-Type", "application/json")];
        http::request(self.http, method, path, &headers, body).unwrap()
    }

    /// A call that has to answer 200, with its body as text.
    pub fn text(&self, path: &str) -> String {
        let answer = self.call("GET", path, &[]);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.text()
    }

    pub fn json(&self, path: &str) -> Value {
        let answer = self.call("GET", path, &[]);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    pub fn change(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.call(method, path, body.as_bytes());
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
        answer.json()
    }

    /// The mails in an inbox, newest first.
    pub fn inbox(&self, address: &str) -> Vec<Value> {
        self.json(&format!("/api/addresses/{address}/messages?limit=1000")).as_array().unwrap().clone()
    }

    /// The inbox, once so many mails are in it.
    pub fn inbox_of(&self, address: &str, mails: usize) -> Vec<Value> {
        eventually(&format!("{mails} mails in {address}"), || {
            Some(self.inbox(address)).filter(|inbox| inbox.len() == mails)
        })
    }

    /// The mail as it was sent: what the server put on top is taken off.
    pub fn content(&self, inbox: &str, id: &str, sent: &[u8]) {
        let answer = self.call("GET", &format!("/api/raw/{inbox}/{id}"), &[]);
        assert_eq!(answer.status, 200, "{inbox} {id}: {}", answer.text());
        let top = answer.body.len().checked_sub(sent.len()).expect("nothing is missing");
        assert!(answer.body[top..] == *sent, "{inbox} {id}: the bytes are not those that were sent");
        for line in String::from_utf8_lossy(&answer.body[..top]).lines() {
            let ours =
                ["Received:", "X-Mailsac-", "Delivered-To:", "Return-Path:", "Authentication-Results:", "\t", " "];
            assert!(ours.iter().any(|start| line.starts_with(start)), "{inbox} {id}: {line:?} on top");
        }
    }

    /// Sends one mail and returns its message id.
    pub fn deliver(&self, recipients: &[&str], content: &[u8]) -> String {
        self.smtp().send("sender@example.com", recipients, content).unwrap().queued_as()
    }

    /// The process that serves, also when the program was started by another.
    pub fn pid(&self) -> u32 {
        u32::try_from(self.says_of_itself()["pid"].as_u64().unwrap()).unwrap()
    }

    fn says_of_itself(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.data.join("server.json")).unwrap()).unwrap()
    }

    /// What a path that needs no key says, whether or not this process runs the API.
    pub fn probe(&self, path: &str) -> Answer {
        let said = self.says_of_itself();
        let address = said["http"].as_str().or(said["probes"].as_str()).unwrap().parse().unwrap();
        http::request(address, "GET", path, &[], &[]).unwrap()
    }

    /// Records that stand on its partitions and were not handled yet, as its metrics say; `None` before they do.
    pub fn lag_records(&self) -> Option<u64> {
        let text = self.probe("/metrics").text();
        let figures = text.lines().filter(|line| line.starts_with("postlog_log_group_lag_records{"));
        let lags: Vec<u64> = figures.map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect();
        (!lags.is_empty()).then(|| lags.iter().sum())
    }

    /// Dies as in a power cut, as far as a process can.
    pub fn kill(mut self) {
        signal(self.pid(), "KILL");
        self.wait();
    }

    /// Asked to stop as service managers ask.
    pub fn stop(mut self) -> ExitStatus {
        signal(self.pid(), "TERM");
        self.wait()
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.dead = true;
        eventually("the end of the server", || self.child.try_wait().unwrap())
    }

    /// What it says at `/metrics`, wherever it has that.
    pub fn metrics(&self) -> String {
        let text = fs::read_to_string(self.data.join("server.json")).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        let address = json["http"].as_str().or(json["probes"].as_str()).expect("it serves one of the two");
        http::request(address.parse().unwrap(), "GET", "/metrics", &[], &[]).unwrap().text()
    }

    pub fn log_text(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// The memory that the process holds now, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().trim().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.dead {
            if let Ok(text) = fs::read_to_string(self.data.join("server.json")) {
                let pid = serde_json::from_str::<Value>(&text).ok().and_then(|json| json["pid"].as_u64());
                pid.and_then(|pid| u32::try_from(pid).ok()).into_iter().for_each(|pid| signal(pid, "KILL"));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if thread::panicking() {
            eprintln!("--- the server's log\n{}", tail(&self.log));
        }
    }
}

pub fn text_of(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{}\n{out}\n{err}", output.status)
}

pub fn signal(pid: u32, name: &str) {
    let _ = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).stderr(Stdio::null()).status().unwrap();
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("lsm_tree")).collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// What the program prints, line by line, as it prints it.
pub fn lines_of(stdout: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

/// The addresses in the block that is printed at start, where the stage runs; `None` when the program ended before, or
/// took too long.
fn addresses(lines: &mpsc::Receiver<String>, has_smtp: bool, has_http: bool) -> Option<(SocketAddr, SocketAddr)> {
    const NOWHERE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
    let end = Instant::now() + PATIENCE;
    let (mut smtp, mut http) = ((!has_smtp).then_some(NOWHERE), (!has_http).then_some(NOWHERE));
    let mut is_ready = false;
    loop {
        if let (Some(smtp), Some(http), true) = (smtp, http, is_ready) {
            return Some((smtp, http));
        }
        let line = lines.recv_timeout(end.checked_duration_since(Instant::now()).unwrap_or(Duration::ZERO)).ok()?;
        is_ready |= line.contains("is ready");
        let is = |name: &str| line.to_ascii_lowercase().contains(name);
        let address = line.split([' ', '/', ',', '"', '\'']).find_map(|word| word.parse::<SocketAddr>().ok());
        smtp = smtp.or(address.filter(|_| is("smtp")));
        http = http.or(address.filter(|_| is("http")));
    }
}
