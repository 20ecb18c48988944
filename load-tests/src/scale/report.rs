//! What was measured of Postlog by itself, as Markdown.

use std::fmt::Write as _;

use super::bodies::{BodyRow, PROBE_EVERY};
use super::ground::Body;
use super::partitions::PartitionRow;
use super::{CONNECTIONS, Results};
use crate::cli::Options;
use crate::mail::Mails;
use crate::report::{Head, circumstances, median, median_spread, notes, number, ratio, spread};
use crate::table::{NOTHING, Table};

/// On Kafka, 250 to visible at low load.
const LONE_P50_MS: f64 = 150.0;

pub fn markdown(head: &Head, options: &Options, real: Option<&Mails>, results: &Results) -> String {
    let mut page = String::new();
    circumstances(&mut page, "Load tests: Postlog by itself", head);
    for version in &results.versions {
        let (name, version) = version.split_once(' ').unwrap_or((version, NOTHING));
        let _ = writeln!(page, "| {name} | {version} |");
    }
    page.push_str(
        "\nClient, Postlog, Kafka and Cassandra share the machine; one Kafka and one Cassandra, with the small heaps that\n\
         scripts/kafka and scripts/cassandra give them. README.md beside this file says how each figure is taken.\n\n",
    );
    bodies(&mut page, real, &results.bodies);
    partitions(&mut page, options, &results.partitions);
    stages(&mut page, results);
    notes(&mut page, &results.notes);
    page
}

fn bodies(page: &mut String, real: Option<&Mails>, rows: &[BodyRow]) {
    if rows.is_empty() {
        return;
    }
    let mails = if real.is_some() { "Real mail" } else { "10 KiB mails" };
    let _ = writeln!(page, "## {mails}, {CONNECTIONS} connections, one process with every stage\n");
    let mut table = Table::new(&[
        "log, store",
        "mails",
        "accepted/s",
        "routed/s",
        "visible/s",
        "rounds (routed/s)",
        "to 250 p50 / p99 ms",
        "Postlog CPU µs a mail",
        "Kafka CPU µs a mail",
        "Cassandra CPU µs a mail",
        "resident MiB",
        "embedded × this (routed)",
    ]);
    let routed_of = |body| median(rows.iter().filter(|row| row.body == body).map(|row| row.routed_rate));
    let embedded = routed_of(Body::Embedded);
    for body in Body::ALL {
        let Some(routed) = routed_of(body) else { continue };
        let mine: Vec<&BodyRow> = rows.iter().filter(|row| row.body == body).collect();
        let of = |pick: fn(&BodyRow) -> f64| number(median(mine.iter().map(|row| pick(row))));
        let rounds: Vec<String> = mine.iter().map(|row| number(Some(row.routed_rate))).collect();
        table.row(vec![
            body.name().into(),
            mine.iter().map(|row| row.mails).min().unwrap_or(0).to_string(),
            of(|row| row.accepted_rate),
            number(Some(routed)),
            of(|row| row.visible_rate),
            rounds.join(", "),
            median_spread(mine.iter().map(|row| row.to_250)),
            of(|row| row.postlog_us),
            of(|row| row.kafka_us),
            of(|row| row.cassandra_us),
            number(median(mine.iter().filter_map(|row| row.resident_mib))),
            if body == Body::Embedded { NOTHING.into() } else { ratio(embedded, Some(routed)) },
        ]);
    }
    table.write(page);
    lone(page, rows);
}

fn lone(page: &mut String, rows: &[BodyRow]) {
    let _ = writeln!(page, "## From 250 to visible in the API, one mail every {} ms\n", PROBE_EVERY.as_millis());
    let mut table = Table::new(&["log, store", "p50 / p99 ms", "longest ms", "p50 target", "verdict"]);
    for (body, probed) in rows.iter().filter_map(|row| Some((row.body, row.lone?))) {
        let (target, verdict) = match body {
            Body::Embedded => (NOTHING.into(), NOTHING),
            _ if probed.p50_ms < LONE_P50_MS => (format!("under {LONE_P50_MS} ms"), "met"),
            _ => (format!("under {LONE_P50_MS} ms"), "**missed**"),
        };
        let longest = format!("{:.1}", probed.max_ms);
        table.row(vec![body.name().into(), spread(probed), longest, target, verdict.into()]);
    }
    table.write(page);
}

fn partitions(page: &mut String, options: &Options, rows: &[PartitionRow]) {
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(page, "## Processors alone, a backlog of {} mails, one process\n", options.backlog());
    let mut table =
        Table::new(&["log", "partitions", "mails counted", "mails/s", "Postlog CPU µs a mail", "Kafka CPU µs a mail"]);
    for body in Body::ALL {
        for row in rows.iter().filter(|row| row.body == body) {
            table.row(vec![
                if body == Body::Embedded { "embedded" } else { "Kafka" }.into(),
                row.partitions.to_string(),
                row.mails.to_string(),
                number(Some(row.rate)),
                number(Some(row.postlog_us)),
                number(Some(row.kafka_us)),
            ]);
        }
    }
    table.write(page);
}

fn stages(page: &mut String, results: &Results) {
    if results.stages.is_empty() {
        return;
    }
    page.push_str(
        "## Stage by stage on Kafka and Cassandra, one core each\n\n\
         The stage has a core of its own; Kafka, Cassandra and the client share the others. What the clock shows is what\n\
         they left it; what one core carries is 1 s over the stage's own CPU time.\n\n",
    );
    let mut table = Table::new(&[
        "stage",
        "counted",
        "a second on the clock",
        "of its core %",
        "CPU µs each",
        "one core carries, a second",
        "Kafka CPU µs each",
        "Cassandra CPU µs each",
    ]);
    for row in &results.stages {
        table.row(vec![
            row.stage.clone(),
            format!("{} {}", row.count, row.unit),
            number(Some(row.rate)),
            format!("{:.0}", row.share * 100.0),
            number(Some(row.postlog_us)),
            number((row.postlog_us > 0.0).then(|| 1e6 / row.postlog_us)),
            number(Some(row.kafka_us)),
            number(Some(row.cassandra_us)),
        ]);
    }
    table.write(page);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Spread;

    fn row(body: Body, p50_ms: f64) -> BodyRow {
        let spread = Spread { p50_ms, p99_ms: 200.0, max_ms: 300.0 };
        BodyRow {
            body,
            mails: 10,
            accepted_rate: 100.0,
            routed_rate: 50.0,
            visible_rate: 20.0,
            to_250: spread,
            postlog_us: 300.0,
            kafka_us: 40.0,
            cassandra_us: 0.0,
            resident_mib: None,
            lone: Some(spread),
        }
    }

    #[test]
    fn on_kafka_a_figure_at_its_limit_is_missed_and_one_below_is_met() {
        let mut page = String::new();
        lone(
            &mut page,
            &[row(Body::Embedded, 1.0), row(Body::Kafka, LONE_P50_MS), row(Body::KafkaAndCassandra, 149.0)],
        );
        let line = |body: Body| page.lines().find(|line| line.contains(body.name())).unwrap_or_default();
        assert!(!line(Body::Embedded).contains("met"), "{page}");
        assert!(line(Body::Kafka).contains("**missed**"), "{page}");
        assert!(line(Body::KafkaAndCassandra).contains("| met"), "{page}");
    }

    #[test]
    fn a_body_is_compared_with_the_embedded_one() {
        let mut page = String::new();
        bodies(&mut page, None, &[BodyRow { routed_rate: 150.0, ..row(Body::Embedded, 1.0) }, row(Body::Kafka, 1.0)]);
        let line = page.lines().find(|line| line.contains(Body::Kafka.name())).unwrap_or_default();
        assert!(line.trim_end().ends_with("3.0 |"), "{page}");
    }
}
