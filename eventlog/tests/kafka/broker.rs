//! Brokers for the tests: `scripts/kafka` starts them on free ports, with their data in a temporary folder. A small
//! shell waits for the end of the test program, however it comes, and stops them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// Ports may be taken between finding and using them.
const TRIES: usize = 5;

pub struct Broker {
    pub address: String,
    port: u16,
    folder: TempDir,
    /// Stops the broker when this program ends: it reads from us until then.
    _watcher: Child,
}

/// The broker that all tests share, host:port.
pub async fn shared() -> String {
    static SHARED: OnceCell<(String, Option<Broker>)> = OnceCell::const_new();
    let shared = SHARED.get_or_init(|| async {
        match std::env::var("POSTLOG_TEST_KAFKA") {
            Ok(address) => (address, None),
            Err(_) => {
                let broker = Broker::start().await;
                (broker.address.clone(), Some(broker))
            }
        }
    });
    shared.await.0.clone()
}

impl Broker {
    pub async fn start() -> Self {
        Self::start_with(|_, _| String::new()).await
    }

    /// With more settings, made from its folder and its port; the two ports behind it are free as well.
    pub async fn start_with(extra: fn(&Path, u16) -> String) -> Self {
        tokio::task::spawn_blocking(move || Self::start_blocking(extra)).await.unwrap()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    fn start_blocking(extra: fn(&Path, u16) -> String) -> Self {
        let mut said = String::new();
        for _ in 0..TRIES {
            let folder = tempfile::tempdir().unwrap();
            let port = free_ports();
            std::fs::write(folder.path().join("extra.properties"), extra(folder.path(), port)).unwrap();
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
        panic!("no kafka for the tests: {said}");
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

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = script("stop", self.folder.path(), self.port).output();
    }
}

fn script_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/kafka")
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

/// A port that is free, and the two behind it as well.
fn free_ports() -> u16 {
    loop {
        let first = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let is_free = |port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
        if port < u16::MAX - 1 && is_free(port + 1) && is_free(port + 2) {
            return port;
        }
    }
}
