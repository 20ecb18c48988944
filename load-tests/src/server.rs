//! A server under test: its process, its data folder and its addresses. Started on free loopback ports in a temporary
//! folder; ended by its process id whenever the value is dropped, also by an error or a panic.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::dialect::Kind;
use crate::http::Http;
use crate::process;
use crate::sink::Sink;

/// Longest wait for a server to be ready, and for it to end after it was asked to.
const READY_WITHIN: Duration = Duration::from_secs(120);
const STOP_WITHIN: Duration = Duration::from_secs(60);
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);
/// The setting by which Postlog is given its first key.
pub const ADMIN_KEY: &str = "POSTLOG_ADMIN_KEY";

/// How to get a server of one kind.
#[derive(Clone)]
pub struct Recipe {
    pub kind: Kind,
    pub source: Source,
}

#[derive(Clone)]
pub enum Source {
    /// Started here from this program, in a fresh folder below `work`.
    Program { program: PathBuf, work: PathBuf, how: How },
    /// Runs already, and is left running.
    Given { smtp: SocketAddr, http: SocketAddr, key: Option<String>, pid: Option<u32> },
    /// In this process.
    Sink,
}

/// How Postlog is run; a peer is run in one way only.
#[derive(Clone, Default)]
pub struct How {
    /// As its environment names them.
    pub settings: Vec<(&'static str, String)>,
    /// Which of its stages; all where nothing is said.
    pub stages: Option<&'static str>,
    /// The only core that its process may use.
    pub core: Option<usize>,
}

pub struct Server {
    pub kind: Kind,
    pub smtp: SocketAddr,
    http: Option<SocketAddr>,
    key: Option<String>,
    process: Option<Process>,
    given_pid: Option<u32>,
    // Held for its end only.
    _sink: Option<Sink>,
}

struct Process {
    program: PathBuf,
    how: How,
    child: Child,
    // The folder goes after the child: fields are dropped in their order, after `drop` ended the child.
    folder: TempDir,
}

impl Recipe {
    /// A server with nothing in it (a given one: as it is), ready.
    pub async fn start(&self) -> Result<Server> {
        let (kind, nobody) = (self.kind, None);
        match &self.source {
            Source::Given { smtp, http, key, pid } => Ok(Server {
                kind,
                smtp: *smtp,
                http: Some(*http),
                key: key.clone(),
                process: None,
                given_pid: *pid,
                _sink: nobody,
            }),
            Source::Sink => {
                let sink = Sink::start()?;
                let smtp = sink.address;
                Ok(Server { kind, smtp, http: None, key: None, process: None, given_pid: None, _sink: Some(sink) })
            }
            Source::Program { program, work, how } => {
                let folder = tempfile::Builder::new().prefix("load-").tempdir_in(work)?;
                let (smtp, http) = free_addresses()?;
                let child = launch(kind, (program, how), folder.path(), smtp, http)?;
                let process = Some(Process { program: program.clone(), how: how.clone(), child, folder });
                let mut server =
                    Server { kind, smtp, http: Some(http), key: None, process, given_pid: None, _sink: nobody };
                server.wait_ready().await?;
                server.read_key()?;
                Ok(server)
            }
        }
    }

    /// The same, with these stages only, on this core only where one is named.
    pub fn with(mut self, stages: &'static str, core: Option<usize>) -> Self {
        if let Source::Program { how, .. } = &mut self.source {
            (how.stages, how.core) = (Some(stages), core);
        }
        self
    }

    pub fn is_given(&self) -> bool {
        matches!(self.source, Source::Given { .. })
    }
}

impl Server {
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.child.id()).or(self.given_pid)
    }

    pub async fn http(&self) -> Result<Http> {
        Http::connect(self.http.context("this server has no HTTP")?, self.key.clone()).await
    }

    /// Bytes on disk; nothing is known of a given server's folder.
    pub fn disk_bytes(&self) -> Option<u64> {
        self.process.as_ref().map(|process| process::disk_bytes(&data_folder(process.folder.path())))
    }

    /// SIGTERM, then waits for the end: the time that it took.
    pub async fn stop(&mut self) -> Result<Duration> {
        self.end(Signal::TERM).await
    }

    /// SIGKILL.
    pub async fn kill(&mut self) -> Result<Duration> {
        self.end(Signal::KILL).await
    }

    /// Starts the ended server again on the same folder: the time until it is ready.
    pub async fn start_again(&mut self) -> Result<Duration> {
        let (smtp, http) = (self.smtp, self.http.context("only a started server")?);
        let process = self.process.as_mut().context("only a server that was started here")?;
        let began = Instant::now();
        let what = (process.program.as_path(), &process.how);
        process.child = launch(self.kind, what, process.folder.path(), smtp, http)?;
        self.wait_ready().await?;
        Ok(began.elapsed())
    }

    /// Starts the ended server again on the same folder, with other stages.
    pub async fn start_again_with(&mut self, stages: &'static str) -> Result<()> {
        let process = self.process.as_mut().context("only a server that was started here")?;
        process.how.stages = Some(stages);
        self.start_again().await.map(drop)
    }

    async fn end(&mut self, signal: Signal) -> Result<Duration> {
        let process = self.process.as_mut().context("only a server that was started here")?;
        let began = Instant::now();
        let pid = i32::try_from(process.child.id()).ok().and_then(Pid::from_raw).context("a process without an id")?;
        kill_process(pid, signal)?;
        while process.child.try_wait()?.is_none() {
            if began.elapsed() > STOP_WITHIN {
                bail!("{} doesn't end within {STOP_WITHIN:?}", self.kind.name());
            }
            sleep(BETWEEN_LOOKS).await;
        }
        Ok(began.elapsed())
    }

    /// Ready: the API's readiness answers 200 and SMTP greets.
    async fn wait_ready(&mut self) -> Result<()> {
        let began = Instant::now();
        loop {
            if self.is_ready().await {
                return Ok(());
            }
            let process = self.process.as_mut().context("only a server that was started here")?;
            let ended = process.child.try_wait()?;
            if ended.is_some() || began.elapsed() > READY_WITHIN {
                let log = std::fs::read_to_string(process.folder.path().join("log")).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(20).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                bail!("{} is not ready (ended: {ended:?}); its last words:\n{}", self.kind.name(), tail.join("\n"));
            }
            sleep(BETWEEN_LOOKS).await;
        }
    }

    async fn is_ready(&self) -> bool {
        let Ok(mut http) = self.http().await else { return false };
        let answers = http.get(self.kind.ready_path()).await.is_ok_and(|(status, _)| status.is_success());
        let has_smtp = self.process.as_ref().is_none_or(|process| process.how.has("ingest"));
        answers && (!has_smtp || timeout(Duration::from_secs(1), greets(self.smtp)).await.unwrap_or(false))
    }

    fn read_key(&mut self) -> Result<()> {
        let Some(process) = self.process.as_ref().filter(|_| self.kind == Kind::Postlog) else { return Ok(()) };
        if let Some(key) = process.how.setting(ADMIN_KEY) {
            self.key = Some(key.to_owned());
            return Ok(());
        }
        let path = data_folder(process.folder.path()).join("admin.key");
        let key = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        self.key = Some(key.trim().to_owned());
        Ok(())
    }
}

impl How {
    fn has(&self, stage: &str) -> bool {
        self.stages.is_none_or(|stages| stages.split(',').any(|one| one == stage))
    }

    fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when the child has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn greets(smtp: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(smtp).await else { return false };
    let mut greeting = [0; 3];
    stream.read_exact(&mut greeting).await.is_ok() && greeting == *b"220"
}

fn data_folder(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// Two ports that nobody has at this moment.
fn free_addresses() -> Result<(SocketAddr, SocketAddr)> {
    let one = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok((one.local_addr()?, other.local_addr()?))
}

fn launch(
    kind: Kind,
    (program, how): (&Path, &How),
    folder: &Path,
    smtp: SocketAddr,
    http: SocketAddr,
) -> Result<Child> {
    let data = data_folder(folder);
    std::fs::create_dir_all(&data)?;
    let mut command = match how.core {
        // It becomes the program: the process id stays, and every thread begins on that core.
        Some(core) => {
            let mut command = Command::new(process::PIN);
            command.arg("--cpu-list").arg(core.to_string()).arg(program);
            command
        }
        None => Command::new(program),
    };
    // A server's settings come from here and from nowhere else.
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", folder);
    match kind {
        Kind::Postlog => {
            command.arg("run").arg("--data-dir").arg(&data);
            command.arg("--smtp-listen").arg(smtp.to_string());
            // A process without the API answers for its health and its metrics elsewhere.
            if how.has("api") {
                command.arg("--http-listen").arg(http.to_string());
            } else {
                command.env("POSTLOG_TELEMETRY_LISTEN", http.to_string());
            }
            command.envs(how.settings.iter().map(|(name, value)| (*name, value)));
            if let Some(stages) = how.stages {
                command.arg("--stages").arg(stages);
            }
        }
        Kind::Mailpit => {
            command.arg("--database").arg(data.join("mailpit.db")).args(["--max", "0", "--quiet"]);
            command.args(["--disable-version-check", "--smtp-disable-rdns"]);
            command.arg("--smtp").arg(smtp.to_string()).arg("--listen").arg(http.to_string());
        }
        Kind::Inbucket => {
            command.env("INBUCKET_STORAGE_TYPE", "file");
            command.env("INBUCKET_STORAGE_PARAMS", format!("path:{}", data.display()));
            command.env("INBUCKET_STORAGE_MAILBOXMSGCAP", "0").env("INBUCKET_STORAGE_RETENTIONPERIOD", "0");
            command.env("INBUCKET_LOGLEVEL", "error").env("INBUCKET_MAILBOXNAMING", "local");
            command.env("INBUCKET_SMTP_ADDR", smtp.to_string()).env("INBUCKET_WEB_ADDR", http.to_string());
            command.env("INBUCKET_POP3_ADDR", "127.0.0.1:0");
        }
        Kind::Sink => bail!("the sink is no program"),
    }
    let log = File::options().create(true).append(true).open(folder.join("log"))?;
    command.current_dir(folder).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let name = command.get_program().to_owned();
    command.spawn().with_context(|| format!("starting {}", name.display()))
}
