//! A foreign server for the tests of any room, which a script beside this file starts on free ports with its data in a
//! temporary folder. A small shell waits for the end of the test program, however it comes, and stops it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Ports may be taken between finding and using them.
const TRIES: usize = 5;
/// Below those that the system gives to whoever connects: one of these may be taken while the server is down.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 10_000;
/// The server's, and those behind it that its parts listen on.
const PORTS_EACH: u16 = 3;

pub struct Scripted {
    pub address: String,
    pub port: u16,
    script: &'static str,
    folder: TempDir,
    /// Stops the server when this program ends: it reads from us until then.
    _watcher: Child,
}

impl Scripted {
    /// By this script.
    pub fn start(script: &'static str) -> Self {
        Self::start_with(script, |_| {})
    }

    /// With files that are put into its folder before.
    pub fn start_with(script: &'static str, prepare: impl Fn(&Self)) -> Self {
        let mut said = String::new();
        for _ in 0..TRIES {
            let server = Self::absent(script);
            prepare(&server);
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
        Self { address: format!("127.0.0.1:{port}"), port, script, folder, _watcher }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it, with the data that it had.
    pub fn start_again(&self) {
        let started = self.command("start").output().unwrap();
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    }

    /// `STOP` and `CONT` freeze and thaw it, `KILL` ends it. A frozen one stands still when this returns.
    pub fn signal(&self, signal: Signal) {
        let pid = fs::read_to_string(self.folder.path().join("pid")).unwrap();
        kill_process(Pid::from_raw(pid.trim().parse().unwrap()).unwrap(), signal).unwrap();
        while signal == Signal::STOP && !stands_still(pid.trim()) {
            std::thread::yield_now();
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

/// From whichever room this is compiled in.
fn path(script: &str) -> PathBuf {
    let rooms = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    rooms.map(|folder| folder.join("scripts").join(script)).find(|path| path.exists()).unwrap()
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

fn free_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Programs that run at the same moment begin at places of their own.
    let begin = u16::try_from(std::process::id() * u32::from(PORTS_EACH) % u32::from(PORTS)).unwrap();
    let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    loop {
        let step = NEXT.fetch_add(PORTS_EACH, Ordering::Relaxed);
        let first = FIRST_PORT + begin.wrapping_add(step) % PORTS;
        if (first..first + PORTS_EACH).all(is_free) {
            return first;
        }
    }
}

/// proc(5): the state `T` is that of a thread that a signal has stopped.
fn stands_still(pid: &str) -> bool {
    let is_stopped = |thread: fs::DirEntry| {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:\tT"))
    };
    fs::read_dir(format!("/proc/{pid}/task")).unwrap().all(|thread| is_stopped(thread.unwrap()))
}
