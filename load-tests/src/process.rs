//! What Linux says of a process and of a folder: memory, CPU time, bytes on disk; and what machine this is.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Keeps a process on some of the machine's cores.
pub const PIN: &str = "taskset";

/// Linux counts a process's CPU time in these on every architecture it runs on today (`getconf CLK_TCK`).
const TICKS_A_SECOND: u64 = 100;

#[derive(Default, Clone, Copy, Debug)]
pub struct Memory {
    pub resident_mib: f64,
    pub peak_mib: f64,
}

pub fn memory(pid: u32) -> Option<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kib = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<f64>().ok()
    };
    Some(Memory { resident_mib: kib("VmRSS:")? / 1024.0, peak_mib: kib("VmHWM:")? / 1024.0 })
}

/// User and system time so far, of all threads.
pub fn cpu(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold blanks: fields are counted behind it; utime and stime are the 14th and 15th.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS_A_SECOND))
}

/// Keeps every thread of a running process on these cores; those that it begins later stay there as well.
pub fn pin(pid: u32, cores: &str) -> Result<()> {
    let mut command = Command::new(PIN);
    command.args(["--all-tasks", "--cpu-list", "--pid", cores]).arg(pid.to_string());
    let output = command.output().with_context(|| format!("running {PIN}: install the package util-linux"))?;
    if !output.status.success() {
        bail!("{PIN}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Bytes that the folder's files take on the disk: allocated blocks, not lengths.
pub fn disk_bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let mut bytes = 0;
    for entry in entries.flatten() {
        // A file may go while we look: what isn't there takes no room.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += metadata.blocks() * 512;
        if metadata.is_dir() {
            bytes += disk_bytes(&entry.path());
        }
    }
    bytes
}

/// Processor, cores, memory, kernel, and how busy the machine is at this moment.
pub fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or("")
        .trim_start_matches(['\t', ':', ' ']);
    let cores = cores();
    let meminfo = read("/proc/meminfo");
    let kib = meminfo.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{cores} cores of {model}, {} GiB, Linux {}", kib >> 20, kernel.trim())
}

/// Load average of the last minute: what else was running.
pub fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().split_whitespace().next().unwrap_or("?").to_owned()
}

/// First line of a program's output, or `?`.
pub fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("?").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_cpu_time() {
        let memory = memory(std::process::id()).unwrap();
        assert!(memory.resident_mib > 0.5 && memory.peak_mib >= memory.resident_mib);
        assert!(cpu(std::process::id()).is_some());
    }

    #[test]
    fn a_folder_takes_at_least_the_blocks_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("deep")).unwrap();
        std::fs::write(folder.path().join("deep/file"), vec![1; 100_000]).unwrap();
        assert!(disk_bytes(folder.path()) >= 100_000);
    }
}
