//! What the worst mails cost: CPU time and memory for each, in a release build: `cargo run --release -p processors
//! --example hostile [NAME]`. The limits that hold them are in `processors::parse::limits`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a program for whoever tunes")]

#[path = "../tests/mails/hostile.rs"]
mod hostile;

use std::fs;

use processors::parse::read;

fn main() {
    let wanted = std::env::args().nth(1);
    println!("{:30} {:>10} {:>8} {:>10} {:>8}", "mail of 25 MiB", "parse ms", "MiB", "read ms", "MiB");
    for (name, make) in hostile::ALL {
        if wanted.as_deref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        let mail = hostile::raw(make(25 * 1024 * 1024));
        let before = memory_kib("VmRSS:");
        forget_peak();
        let start = cpu_ms();
        let parsed = processors::parse::parse(&mail, 0);
        let parse_ms = cpu_ms() - start;
        let memory = memory_kib("VmHWM:").saturating_sub(before) / 1024;
        forget_peak();
        let start = cpu_ms();
        let text = read::text(&mail.content).len() + read::dirty_html(&mail.content).len();
        let all = text + read::headers(&mail.content).len() + read::header_block(&mail.content).len();
        let read_ms = cpu_ms() - start;
        std::hint::black_box(all);
        let read_memory = memory_kib("VmHWM:").saturating_sub(before) / 1024;
        println!("{name:30} {parse_ms:>10.1} {memory:>8} {read_ms:>10.1} {read_memory:>8}");
        for problem in &parsed.problems {
            println!("    {problem}");
        }
    }
}

/// The CPU time of this thread so far.
fn cpu_ms() -> f64 {
    let schedule = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    schedule.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0) / 1e6
}

/// What the process holds (`VmRSS:`), or the most that it held (`VmHWM:`), in KiB.
fn memory_kib(name: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    value.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}
