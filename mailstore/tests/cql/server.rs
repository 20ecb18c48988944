//! Cassandras for the tests: `scripts/cassandra` starts them on free ports, with their data in a temporary folder. A
//! small shell waits for the end of the test program, however it comes, and stops them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use mailstore::cql::CqlSettings;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// Ports may be taken between finding and using them.
const TRIES: usize = 5;
const FIRST_PORT: u16 = 20_000;
const PORTS: u32 = 10_000;

pub struct Server {
    pub address: String,
    port: u16,
    folder: TempDir,
    /// Stops the server when this program ends: it reads from us until then.
    _watcher: Child,
}

/// The server that all tests share, host:port.
pub async fn shared() -> String {
    static SHARED: OnceCell<(String, Option<Server>)> = OnceCell::const_new();
    let shared = SHARED.get_or_init(|| async {
        match std::env::var("POSTLOG_TEST_CASSANDRA") {
            Ok(address) => (address, None),
            Err(_) => {
                let server = Server::start().await;
                (server.address.clone(), Some(server))
            }
        }
    });
    shared.await.0.clone()
}

impl Server {
    pub async fn start() -> Self {
        tokio::task::spawn_blocking(Self::start_blocking).await.unwrap()
    }

    fn start_blocking() -> Self {
        let mut said = String::new();
        for _ in 0..TRIES {
            let folder = tempfile::tempdir().unwrap();
            let port = free_ports();
            let started = script("start", folder.path(), port).output().unwrap();
            if started.status.success() {
                let watcher = watch(folder.path(), port);
                return Self { address: format!("127.0.0.1:{port}"), port, folder, _watcher: watcher };
            }
            said = String::from_utf8_lossy(&started.stderr).into_owned();
            if said.contains("is missing") {
                break;
            }
        }
        panic!("no cassandra for the tests: {said}");
    }

    /// Starts it again, with the data that it had.
    pub async fn start_again(&self) {
        let mut command = script("start", self.folder.path(), self.port);
        assert!(tokio::task::spawn_blocking(move || command.status().unwrap()).await.unwrap().success());
    }

    /// `SIGSTOP` and `SIGCONT` freeze and thaw it, `SIGKILL` ends it.
    pub fn signal(&self, signal: Signal) {
        let pid = std::fs::read_to_string(self.folder.path().join("pid")).unwrap();
        kill_process(Pid::from_raw(pid.trim().parse().unwrap()).unwrap(), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = script("stop", self.folder.path(), self.port).output();
    }
}

fn script_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/cassandra")
}

fn script(command: &str, folder: &Path, port: u16) -> Command {
    let mut script = Command::new(script_path());
    script.arg(command).arg(folder).arg(port.to_string()).stdin(Stdio::null());
    script
}

/// What is shared is never dropped, and a test program may be killed: the pipe's end says so in every case.
fn watch(folder: &Path, port: u16) -> Child {
    Command::new("setsid")
        .args(["sh", "-c", r#"read -r _; "$0" stop "$1" "$2"; rm -rf "$1""#])
        .arg(script_path())
        .arg(folder)
        .arg(port.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A port that is free, and the one behind it as well. Below those that the system gives to whoever connects: one of
/// these may be taken while the server is down.
fn free_ports() -> u16 {
    let mut candidate = u16::try_from(std::process::id() * 2 % PORTS).unwrap();
    loop {
        candidate = (candidate + 2) % u16::try_from(PORTS).unwrap();
        let first = FIRST_PORT + candidate;
        let is_free = |port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free(first) && is_free(first + 1) {
            return first;
        }
    }
}

/// A name that no other store of this run has.
pub fn keyspace() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// For a keyspace on the server that all tests share.
pub async fn settings(keyspace: &str) -> CqlSettings {
    CqlSettings::new(vec![shared().await], keyspace)
}
