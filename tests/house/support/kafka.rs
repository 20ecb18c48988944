//! A real broker for the tests: `scripts/kafka` starts one on free ports when the first test asks for it, with its data
//! in a temporary folder. A small shell waits for the end of the test program, however it comes, and stops it.
//! `POSTLOG_TEST_KAFKA=HOST:PORT` names one that runs already.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::server::signal;

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
pub fn shared() -> &'static str {
    static SHARED: OnceLock<(String, Option<Broker>)> = OnceLock::new();
    let shared = SHARED.get_or_init(|| match std::env::var("POSTLOG_TEST_KAFKA") {
        Ok(address) => (address, None),
        Err(_) => {
            let broker = Broker::start();
            (broker.address.clone(), Some(broker))
        }
    });
    &shared.0
}

impl Broker {
    /// One of this test's own, that may be frozen and killed.
    pub fn start() -> Self {
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
        panic!("no kafka for the tests: {said}");
    }

    /// A place where nothing listens yet, and where [`Broker::start_again`] will start one.
    pub fn absent() -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_ports());
        let watcher = watch(folder.path(), port);
        Self { address: format!("127.0.0.1:{port}"), port, folder, _watcher: watcher }
    }

    /// Starts it, with the data that it had.
    pub fn start_again(&self) {
        let started = script("start", self.folder.path(), self.port).output().unwrap();
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    }

    /// STOP and CONT freeze and thaw it, KILL ends it.
    pub fn signal(&self, name: &str) {
        let pid = std::fs::read_to_string(self.folder.path().join("pid")).unwrap();
        signal(pid.trim().parse().unwrap(), name);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = script("stop", self.folder.path(), self.port).output();
    }
}

fn script_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/kafka")
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

/// A port that is free, and the one behind it as well.
fn free_ports() -> u16 {
    loop {
        let first = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        if port < u16::MAX && std::net::TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}
