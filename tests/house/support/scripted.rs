//! A foreign server for the tests, which a script of ours starts on free ports with its data in a temporary folder. A
//! small shell waits for the end of the test program, however it comes, and stops it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::eventually;
use super::server::signal;

/// Ports may be taken between finding and using them.
const TRIES: usize = 5;

pub struct Scripted {
    pub address: String,
    script: &'static str,
    port: u16,
    folder: TempDir,
    /// Stops the server when this program ends: it reads from us until then.
    _watcher: Child,
}

impl Scripted {
    /// By this script of `scripts/`.
    pub fn start(script: &'static str) -> Self {
        let mut said = String::new();
        for _ in 0..TRIES {
            let server = Self::absent(script);
            let started = server.command("start").output().unwrap();
            if started.status.success() {
                return server;
            }
            said = String::from_utf8_lossy(&started.stderr).into_owned();
            if said.contains("is missing") {
                break;
            }
        }
        panic!("no {script} for the tests: {said}");
    }

    /// A place where nothing listens yet, and where [`Scripted::start_again`] will start one.
    pub fn absent(script: &'static str) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_ports());
        let _watcher = watch(script, folder.path(), port);
        Self { address: format!("127.0.0.1:{port}"), script, port, folder, _watcher }
    }

    /// Starts it, with the data that it had.
    pub fn start_again(&self) {
        let started = self.command("start").output().unwrap();
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    }

    /// STOP and CONT freeze and thaw it, KILL ends it.
    pub fn signal(&self, name: &str) {
        let pid = std::fs::read_to_string(self.folder.path().join("pid")).unwrap();
        signal(pid.trim().parse().unwrap(), name);
        if name == "STOP" {
            eventually("every thread of it stands still", || stands_still(pid.trim()).then_some(()));
        }
    }

    fn command(&self, command: &str) -> Command {
        let mut script = Command::new(path(self.script));
        script.arg(command).arg(self.folder.path()).arg(self.port.to_string()).stdin(Stdio::null());
        script
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        let _ = self.command("stop").output();
    }
}

fn path(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(script)
}

/// What is shared is never dropped, and a test program may be killed: the pipe's end says so in every case.
fn watch(script: &str, folder: &Path, port: u16) -> Child {
    Command::new("setsid")
        .args(["sh", "-c", r#"read -r _; "$0" stop "$1" "$2"; rm -rf "$1""#])
        .arg(path(script))
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

/// proc(5): the state `T` is that of a thread that a signal has stopped.
fn stands_still(pid: &str) -> bool {
    let is_stopped = |thread: std::fs::DirEntry| {
        let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:\tT"))
    };
    std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().all(|thread| is_stopped(thread.unwrap()))
}
