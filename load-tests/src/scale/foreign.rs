//! A Kafka or a Cassandra on this machine, as the project's own scripts start it: on free loopback ports, its data in a
//! temporary folder. A small shell waits for the end of this program, however it comes, and stops it by its process id.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process;

/// Ports may be taken between finding and using them.
const TRIES: usize = 3;
/// Below those that the system gives to whoever connects.
const PORTS: std::ops::Range<u16> = 20_000..30_000;
/// The server's, and those behind it that its parts listen on.
const PORTS_EACH: u16 = 3;

pub struct Foreign {
    pub address: String,
    /// Its name and version, as the script says them.
    pub version: String,
    folder: PathBuf,
    /// Stops the server, and removes its folder, when its input ends.
    watcher: Child,
}

impl Foreign {
    /// By this script, in a new folder below `work`.
    pub fn start(script: &Path, work: &Path) -> Result<Self> {
        let script = std::fs::canonicalize(script)
            .with_context(|| format!("{}: name the folder with --scripts", script.display()))?;
        eprintln!("starting {} (its jars are fetched the first time)", script.display());
        let mut said = String::new();
        for _ in 0..TRIES {
            let folder = tempfile::Builder::new().prefix("load-").tempdir_in(work)?.keep();
            let port = free_ports()?;
            let watcher = watch(&script, &folder, port)?;
            let mut server = Self { address: format!("127.0.0.1:{port}"), version: String::new(), folder, watcher };
            let mut start = command(&script, "start", &server.folder, port);
            let output = start.output().with_context(|| format!("running {}", script.display()))?;
            if output.status.success() {
                // kafka 4.4.0 answers on …
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                server.version = text.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
                return Ok(server);
            }
            said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            if said.contains("install") {
                break;
            }
        }
        bail!("{} does not start: {said}", script.display())
    }

    /// User and system time that it has used so far.
    pub fn cpu(&self) -> Option<Duration> {
        process::cpu(self.pid().ok()?)
    }

    /// Keeps it on these cores from here on.
    pub fn pin(&self, cores: &str) -> Result<()> {
        process::pin(self.pid()?, cores)
    }

    fn pid(&self) -> Result<u32> {
        let text = std::fs::read_to_string(self.folder.join("pid")).context("the process id of a foreign server")?;
        Ok(text.trim().parse()?)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        // It fails only when the watcher has ended already.
        let _ = self.watcher.wait();
    }
}

fn command(script: &Path, what: &str, folder: &Path, port: u16) -> Command {
    let mut command = Command::new(script);
    command.arg(what).arg(folder).arg(port.to_string()).stdin(Stdio::null());
    command
}

/// In a session of its own, which the interrupt of a terminal does not reach.
fn watch(script: &Path, folder: &Path, port: u16) -> Result<Child> {
    let mut command = Command::new("setsid");
    command.args(["sh", "-c", r#"read -r _; "$0" stop "$1" "$2"; rm -rf "$1""#]);
    command.arg(script).arg(folder).arg(port.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().context("running setsid: install the package util-linux")
}

fn free_ports() -> Result<u16> {
    let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    // Programs that run at the same moment begin at places of their own.
    let begin = rand::random_range(PORTS.start..PORTS.end - PORTS_EACH);
    let mut all = (begin..PORTS.end - PORTS_EACH).chain(PORTS.start..begin).step_by(usize::from(PORTS_EACH));
    let first = all.find(|&first| (first..first + PORTS_EACH).all(is_free));
    first.with_context(|| format!("no free port between {} and {}", PORTS.start, PORTS.end))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A script that notes how it was called, and does this.
    fn script(folder: &Path, body: &str) -> PathBuf {
        let path = folder.join("fake");
        std::fs::write(&path, format!("#!/bin/sh\necho \"$1\" >>\"$(dirname \"$0\")/calls\"\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    }

    fn calls(folder: &Path) -> String {
        std::fs::read_to_string(folder.join("calls")).unwrap().replace('\n', " ")
    }

    #[test]
    fn what_was_started_is_stopped_and_its_folder_removed_when_it_is_dropped() {
        let (place, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let server = Foreign::start(&script(place.path(), "echo fake 1.2 answers"), work.path()).unwrap();
        assert_eq!((server.version.as_str(), server.folder.exists()), ("fake 1.2", true));
        drop(server);
        assert_eq!(calls(place.path()), "start stop ");
        assert_eq!(std::fs::read_dir(work.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_missing_program_is_an_error_that_names_the_package_and_is_not_tried_again() {
        let (place, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let says = "[ \"$1\" = stop ] && exit; echo java is missing: install the package openjdk >&2; exit 1";
        let error = Foreign::start(&script(place.path(), says), work.path()).err().unwrap().to_string();
        assert!(error.contains("install the package openjdk"), "{error}");
        assert_eq!(calls(place.path()), "start stop ");
        assert_eq!(std::fs::read_dir(work.path()).unwrap().count(), 0);
    }
}
