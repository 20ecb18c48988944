//! What Postlog set out to reach, beside what this run saw. On two cores with the client on the same machine.

use std::fmt::Write as _;

use crate::dialect::Kind;
use crate::reads::What;
use crate::report::median;
use crate::results::Results;

const MAILPIT_TIMES: f64 = 4.0;
const ALL_VISIBLE_MS: f64 = 1_000.0;
const VISIBLE_P50_MS: f64 = 5.0;
const VISIBLE_P99_MS: f64 = 25.0;
const RESIDENT_MIB: f64 = 150.0;
const RESIDENT_MANY_MIB: f64 = 300.0;
const READY_CLEAN_MS: f64 = 300.0;
const READY_KILLED_MS: f64 = 3_000.0;

struct Line {
    what: String,
    target: String,
    seen: String,
    met: bool,
}

/// A table of the targets that this run has a figure for; nothing when Postlog wasn't measured.
pub fn write(page: &mut String, results: &Results) {
    let mut lines = Vec::new();
    acceptance(&mut lines, results);
    visibility(&mut lines, results);
    reading(&mut lines, results);
    memory_and_start(&mut lines, results);
    if lines.is_empty() {
        return;
    }
    page.push_str("## Targets\n\n| what | target | seen | |\n| --- | --- | --- | --- |\n");
    for line in lines {
        let verdict = if line.met { "met" } else { "**missed**" };
        let _ = writeln!(page, "| {} | {} | {} | {verdict} |", line.what, line.target, line.seen);
    }
    page.push('\n');
}

fn acceptance(lines: &mut Vec<Line>, results: &Results) {
    let rate = |kind, pipelined| {
        let rows = results.floods.iter().filter(|row| row.main && row.kind == kind && row.pipelined == pipelined);
        median(rows.map(|row| row.rate))
    };
    let Some(mailpit) = rate(Kind::Mailpit, false) else { return };
    for (pipelined, how) in [(true, "pipelined"), (false, "in lock-step")] {
        let Some(postlog) = rate(Kind::Postlog, pipelined) else { continue };
        lines.push(Line {
            what: format!("mails/s of the main cell, {how}"),
            target: format!("{MAILPIT_TIMES} × Mailpit"),
            seen: format!("{:.1} ×", postlog / mailpit),
            met: postlog >= MAILPIT_TIMES * mailpit,
        });
    }
}

fn visibility(lines: &mut Vec<Line>, results: &Results) {
    let all = median(results.stored.iter().filter(|row| row.kind == Kind::Postlog).map(|row| row.visible_ms));
    at_most(lines, "everything visible after the last 250", all, ALL_VISIBLE_MS, "ms");
    if let Some(row) = results.visible.iter().find(|row| row.kind == Kind::Postlog) {
        at_most(lines, "250 to visible at low load, p50", Some(row.spread.p50_ms), VISIBLE_P50_MS, "ms");
        at_most(lines, "250 to visible at low load, p99", Some(row.spread.p99_ms), VISIBLE_P99_MS, "ms");
    }
}

fn reading(lines: &mut Vec<Line>, results: &Results) {
    for what in What::ALL.map(What::name) {
        let rate = |kind| {
            let rows = results.reads.iter().filter(|row| row.kind == kind && row.what == what);
            median(rows.map(|row| row.rate))
        };
        let Some(postlog) = rate(Kind::Postlog) else { continue };
        for peer in [Kind::Mailpit, Kind::Inbucket] {
            let Some(theirs) = rate(peer) else { continue };
            lines.push(Line {
                what: format!("reads/s, {what}"),
                target: format!("ahead of {}", peer.name()),
                seen: format!("{:.1} ×", postlog / theirs),
                met: postlog > theirs,
            });
        }
    }
}

fn memory_and_start(lines: &mut Vec<Line>, results: &Results) {
    let stored: Vec<_> = results.stored.iter().filter(|row| row.kind == Kind::Postlog).collect();
    if let Some(row) = stored.first() {
        let resident = median(stored.iter().filter_map(|row| row.after).map(|memory| memory.resident_mib));
        at_most(lines, &format!("resident after {} mails", row.mails), resident, RESIDENT_MIB, "MiB");
    }
    if let Some(row) = results.restarts.iter().find(|row| row.kind == Kind::Postlog) {
        let resident = row.after.map(|memory| memory.resident_mib);
        at_most(lines, &format!("resident after {} mails", row.mails), resident, RESIDENT_MANY_MIB, "MiB");
        let with = format!("with {} mails stored", row.mails);
        at_most(lines, &format!("ready after a clean stop, {with}"), Some(row.clean_ms), READY_CLEAN_MS, "ms");
        at_most(lines, &format!("ready after kill -9, {with}"), Some(row.kill_ms), READY_KILLED_MS, "ms");
    }
}

fn at_most(lines: &mut Vec<Line>, what: &str, seen: Option<f64>, target: f64, unit: &str) {
    let Some(seen) = seen else { return };
    lines.push(Line {
        what: what.to_owned(),
        target: format!("under {target} {unit}"),
        seen: format!("{seen:.1} {unit}"),
        met: seen < target,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::VisibleRow;
    use crate::samples::Spread;

    #[test]
    fn a_figure_at_its_limit_is_missed_and_one_below_is_met() {
        let spread = Spread { p50_ms: VISIBLE_P50_MS, p99_ms: VISIBLE_P99_MS - 0.1, max_ms: 30.0 };
        let visible = vec![VisibleRow { kind: Kind::Postlog, probes: 1, spread }];
        let mut page = String::new();
        write(&mut page, &Results { visible, ..Results::default() });
        assert!(page.contains("| 250 to visible at low load, p50 | under 5 ms | 5.0 ms | **missed** |"), "{page}");
        assert!(page.contains("| 250 to visible at low load, p99 | under 25 ms | 24.9 ms | met |"), "{page}");
    }

    #[test]
    fn without_postlog_there_are_no_targets() {
        let mut page = String::new();
        write(&mut page, &Results::default());
        assert!(page.is_empty());
    }
}
