//! The results as Markdown: the machine, the command and the commit first, then a table for each figure, with what one
//! server has over another.

use std::fmt::Write as _;

use crate::cli::Options;
use crate::dialect::Kind;
use crate::peers;
use crate::process::{self, Memory};
use crate::results::{FloodRow, ReadRow, Results, StoredRow};
use crate::samples::Spread;
use crate::table::{NOTHING, Table};
use crate::targets;

/// What has to be known to take a figure seriously.
pub struct Head {
    machine: String,
    date: String,
    commit: String,
    command: String,
    load: String,
    kinds: Vec<Kind>,
}

impl Head {
    /// Taken before the run: the load average is then the machine's, not ours.
    pub fn now(options: &Options) -> Self {
        let changed = process::output_of("git", &["status", "--porcelain", "--untracked-files=no"]);
        let commit = process::output_of("git", &["rev-parse", "--short=12", "HEAD"]);
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        Self {
            machine: process::machine(),
            date: process::output_of("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            commit: if changed == "?" || changed.is_empty() { commit } else { format!("{commit}, with changes") },
            command: format!("load-tests {}", arguments.join(" ")),
            load: process::load(),
            kinds: options.server.clone(),
        }
    }
}

pub fn markdown(head: &Head, results: &Results) -> String {
    let mut page = String::new();
    top(&mut page, head);
    targets::write(&mut page, results);
    main_cell(&mut page, head, results);
    grid(&mut page, head, results);
    visible(&mut page, head, results);
    stored(&mut page, head, results);
    reads(&mut page, head, results);
    restarts(&mut page, results);
    notes(&mut page, &results.notes);
    page
}

/// What a reader of the figures has to know.
pub fn notes(page: &mut String, notes: &[String]) {
    if notes.is_empty() {
        return;
    }
    page.push_str("## Notes of this run\n\n");
    for note in notes {
        let _ = writeln!(page, "- {note}");
    }
}

/// The heading, and when, where and how this was measured.
pub fn circumstances(page: &mut String, title: &str, head: &Head) {
    let _ = write!(
        page,
        "# {title}\n\n| | |\n| --- | --- |\n| machine | {} |\n| date | {} |\n| commit | {} |\n| command | `{}` |\n\
         | load average before | {} |\n",
        head.machine, head.date, head.commit, head.command, head.load
    );
}

fn top(page: &mut String, head: &Head) {
    circumstances(page, "Load tests: results", head);
    for &kind in &head.kinds {
        if let Some(version) = peers::version(kind) {
            let _ = writeln!(page, "| {} | {version} |", kind.name());
        }
    }
    page.push_str(
        "\nClient and servers share the machine. Postlog answers 250 after an fsync; Mailpit (SQLite in WAL mode,\n\
         `synchronous=NORMAL`) and Inbucket (file store) don't sync before they answer. The sink discards mail in the\n\
         client's own process: it is what the client can reach. README.md beside this file says how each figure is taken.\n\n",
    );
}

fn main_cell(page: &mut String, head: &Head, results: &Results) {
    let rows: Vec<&FloodRow> = results.floods.iter().filter(|row| row.main).collect();
    let Some(first) = rows.first() else { return };
    let _ =
        writeln!(page, "## {} once, {} connections, onto an empty server\n", capital(&first.mails), first.connections);
    let mut table = Table::new(&[
        "server",
        "commands",
        "mails",
        "mails/s",
        "rounds",
        "to 250 p50 / p99 ms",
        "transaction p50 / p99 ms",
        "server CPU µs a mail",
        "client CPU µs a mail",
        "× Mailpit",
        "× Inbucket",
    ]);
    let rate_of = |kind| median(rows.iter().filter(|row| row.kind == kind).map(|row| row.rate));
    let (mailpit, inbucket) = (rate_of(Kind::Mailpit), rate_of(Kind::Inbucket));
    for &kind in &head.kinds {
        for pipelined in [true, false] {
            let mine: Vec<&&FloodRow> =
                rows.iter().filter(|row| row.kind == kind && row.pipelined == pipelined).collect();
            let Some(rate) = median(mine.iter().map(|row| row.rate)) else { continue };
            let rounds: Vec<String> = mine.iter().map(|row| format!("{:.0}", row.rate)).collect();
            table.row(vec![
                kind.name().into(),
                if pipelined { "pipelined" } else { "in lock-step" }.into(),
                mine.iter().map(|row| row.accepted).min().unwrap_or(0).to_string(),
                format!("{rate:.0}"),
                rounds.join(", "),
                median_spread(mine.iter().map(|row| row.to_250)),
                median_spread(mine.iter().map(|row| row.transaction)),
                number(median(mine.iter().filter_map(|row| row.server_us_a_mail))),
                number(median(mine.iter().map(|row| row.client_us_a_mail))),
                ratio(Some(rate), mailpit),
                ratio(Some(rate), inbucket),
            ]);
        }
    }
    table.write(page);
}

fn grid(page: &mut String, head: &Head, results: &Results) {
    let rows: Vec<&FloodRow> = results.floods.iter().filter(|row| !row.main).collect();
    if rows.is_empty() {
        return;
    }
    let names: Vec<&str> = head.kinds.iter().map(|kind| kind.name()).collect();
    page.push_str("## Accepted mails a second\n\nEach mail size starts with empty servers, which fill from one cell to the next.\n\n");
    let mut rates =
        Table::new(&[&["mail", "connections"], &names[..], &["Postlog × Mailpit", "Postlog × Inbucket"]].concat());
    let mut times = Table::new(&[&["mail", "connections"], &names[..]].concat());
    let mut cells: Vec<(&str, usize)> = Vec::new();
    for row in &rows {
        if !cells.contains(&(&row.mails, row.connections)) {
            cells.push((&row.mails, row.connections));
        }
    }
    for (mails, connections) in cells {
        let of =
            |kind| rows.iter().find(|row| row.kind == kind && row.mails == mails && row.connections == connections);
        let rate = |kind| of(kind).map(|row| row.rate);
        let start = || vec![mails.to_owned(), connections.to_string()];
        let mut line = start();
        line.extend(head.kinds.iter().map(|&kind| number(rate(kind))));
        line.push(ratio(rate(Kind::Postlog), rate(Kind::Mailpit)));
        line.push(ratio(rate(Kind::Postlog), rate(Kind::Inbucket)));
        rates.row(line);
        let mut line = start();
        line.extend(head.kinds.iter().map(|&kind| of(kind).map_or(NOTHING.into(), |row| spread(row.to_250))));
        times.row(line);
    }
    rates.write(page);
    page.push_str("## Time from the first byte of the data to the 250, p50 / p99 in ms\n\n");
    times.write(page);
}

fn visible(page: &mut String, head: &Head, results: &Results) {
    if results.visible.is_empty() && results.stored.is_empty() {
        return;
    }
    page.push_str("## From 250 to visible in the API\n\n");
    let mut table = Table::new(&[
        "server",
        "all visible after the flood's last 250, ms",
        "one mail at low load p50 / p99 ms",
        "longest ms",
        "mails",
    ]);
    for &kind in head.kinds.iter().filter(|kind| kind.has_api()) {
        let all = median(results.stored.iter().filter(|row| row.kind == kind).map(|row| row.visible_ms));
        let one = results.visible.iter().find(|row| row.kind == kind);
        table.row(vec![
            kind.name().into(),
            all.map_or(NOTHING.into(), |ms| format!("{ms:.0}")),
            one.map_or(NOTHING.into(), |row| spread(row.spread)),
            one.map_or(NOTHING.into(), |row| format!("{:.2}", row.spread.max_ms)),
            one.map_or(NOTHING.into(), |row| row.probes.to_string()),
        ]);
    }
    table.write(page);
}

fn stored(page: &mut String, head: &Head, results: &Results) {
    if results.stored.is_empty() && results.restarts.is_empty() {
        return;
    }
    page.push_str("## Memory and disk\n\n");
    let mut table = Table::new(&[
        "server",
        "mails",
        "resident when idle MiB",
        "resident MiB",
        "peak MiB",
        "disk bytes a mail",
        "× the mail's bytes",
    ]);
    for &kind in &head.kinds {
        let rows: Vec<&StoredRow> = results.stored.iter().filter(|row| row.kind == kind).collect();
        if let Some(row) = rows.first() {
            let memory = |pick: fn(&StoredRow) -> Option<Memory>, part: fn(Memory) -> f64| {
                number(median(rows.iter().filter_map(|row| pick(row).map(part))))
            };
            let disk = median(rows.iter().filter_map(|row| row.disk_bytes.map(|bytes| bytes as f64)));
            table.row(vec![
                kind.name().into(),
                row.mails.to_string(),
                memory(|row| row.idle, |memory| memory.resident_mib),
                memory(|row| row.after, |memory| memory.resident_mib),
                memory(|row| row.after, |memory| memory.peak_mib),
                number(disk.map(|bytes| bytes / row.mails.max(1) as f64)),
                disk.map_or(NOTHING.into(), |bytes| format!("{:.2}", bytes / row.mail_bytes.max(1) as f64)),
            ]);
        }
        if let Some(row) = results.restarts.iter().find(|row| row.kind == kind) {
            let none = || NOTHING.to_owned();
            let (resident, peak) =
                (row.after.map(|memory| memory.resident_mib), row.after.map(|memory| memory.peak_mib));
            table.row(vec![
                kind.name().into(),
                row.mails.to_string(),
                none(),
                number(resident),
                number(peak),
                none(),
                none(),
            ]);
        }
    }
    table.write(page);
}

fn reads(page: &mut String, head: &Head, results: &Results) {
    if results.reads.is_empty() {
        return;
    }
    page.push_str("## API reads a second, 16 kept connections\n\n");
    let mut table = Table::new(&[
        "what",
        "server",
        "reads/s",
        "p50 / p99 ms",
        "bytes an answer",
        "server CPU µs an answer",
        "Postlog × this",
    ]);
    let of = |kind, what| -> Vec<&ReadRow> {
        results.reads.iter().filter(|row| row.kind == kind && row.what == what).collect()
    };
    for what in crate::reads::What::ALL.map(crate::reads::What::name) {
        let postlog = median(of(Kind::Postlog, what).iter().map(|row| row.rate));
        for &kind in &head.kinds {
            let rows = of(kind, what);
            let Some(rate) = median(rows.iter().map(|row| row.rate)) else { continue };
            table.row(vec![
                what.into(),
                kind.name().into(),
                format!("{rate:.0}"),
                median_spread(rows.iter().map(|row| row.spread)),
                number(median(rows.iter().map(|row| row.bytes_an_answer))),
                number(median(rows.iter().filter_map(|row| row.server_us_an_answer))),
                if kind == Kind::Postlog { NOTHING.into() } else { ratio(postlog, Some(rate)) },
            ]);
        }
    }
    table.write(page);
}

fn restarts(page: &mut String, results: &Results) {
    if results.restarts.is_empty() {
        return;
    }
    page.push_str("## Start with mail stored, until SMTP greets and the API is ready\n\n");
    let mut table = Table::new(&[
        "server",
        "mails",
        "stored in s",
        "all visible after, ms",
        "clean stop took ms",
        "ready after it ms",
        "ready after kill -9 ms",
        "mails shown then",
    ]);
    for row in &results.restarts {
        table.row(vec![
            row.kind.name().into(),
            row.mails.to_string(),
            format!("{:.1}", row.filled_in_s),
            format!("{:.0}", row.visible_ms),
            format!("{:.0}", row.stop_ms),
            format!("{:.0}", row.clean_ms),
            format!("{:.0}", row.kill_ms),
            row.shown.to_string(),
        ]);
    }
    table.write(page);
}

/// The middle one, or what lies between the two in the middle.
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values.get(middle).copied()?;
    if values.len() % 2 == 1 { Some(upper) } else { values.get(middle - 1).map(|lower| (lower + upper) / 2.0) }
}

pub fn median_spread(spreads: impl Iterator<Item = Spread> + Clone) -> String {
    let p50_ms = median(spreads.clone().map(|spread| spread.p50_ms)).unwrap_or_default();
    let p99_ms = median(spreads.map(|spread| spread.p99_ms)).unwrap_or_default();
    spread(Spread { p50_ms, p99_ms, max_ms: 0.0 })
}

pub fn spread(spread: Spread) -> String {
    format!("{:.2} / {:.2}", spread.p50_ms, spread.p99_ms)
}

pub fn number(value: Option<f64>) -> String {
    match value {
        None => NOTHING.into(),
        Some(value) if value < 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}

pub fn ratio(one: Option<f64>, other: Option<f64>) -> String {
    one.zip(other)
        .filter(|(_, other)| *other > 0.0)
        .map_or(NOTHING.into(), |(one, other)| format!("{:.1}", one / other))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median([4.0, 1.0].into_iter()), Some(2.5));
        assert_eq!(median([4.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([].into_iter()), None);
    }
}
