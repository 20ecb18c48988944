//! Postlog by itself, on each log and store that it can stand on: which parts are run, in which order, and what came of
//! them. Knows nothing of the peers.

mod bodies;
mod foreign;
mod ground;
mod partitions;
mod progress;
mod report;
mod stages;

use std::time::Duration;

use anyhow::Result;

use self::bodies::BodyRow;
use self::ground::Ground;
use self::partitions::PartitionRow;
use self::progress::Wait;
use self::stages::StageRow;
use crate::cli::{Options, Part};
use crate::flood::{Flood, Order};
use crate::mail::{self, Mails};
use crate::report::Head;

const CONNECTIONS: usize = 16;
/// Longest time of one flood, and of what follows from it.
const FLOOD_WITHIN: Duration = Duration::from_secs(120);
const FOLLOWS_WITHIN: Duration = Duration::from_secs(240);
/// Mails that are sent before the clock runs: connections are made, and what is compiled while it runs is compiled.
const WARM_UP_MAILS: usize = 500;
/// While a flood is followed to its end, and while a backlog is worked off.
const CLOSELY: Wait = Wait { look_every: Duration::from_millis(3), within: FOLLOWS_WITHIN };
const FROM_AFAR: Wait = Wait { look_every: Duration::from_millis(20), within: FOLLOWS_WITHIN };

pub struct Scale {
    options: Options,
    real: Option<Mails>,
    // Servers are gone before what they stand on: each part drops its own.
    ground: Ground,
    results: Results,
}

#[derive(Default)]
struct Results {
    bodies: Vec<BodyRow>,
    partitions: Vec<PartitionRow>,
    stages: Vec<StageRow>,
    /// Names and versions of what Postlog stood on.
    versions: Vec<String>,
    notes: Vec<String>,
}

impl Scale {
    pub fn new(options: Options, real: Option<Mails>) -> Result<Self> {
        Ok(Self { ground: Ground::new(&options)?, options, real, results: Results::default() })
    }

    /// Every part that was asked for. One that fails is noted, and the next goes on.
    pub async fn run(&mut self) -> Result<()> {
        self.ground.start_kafka(&self.options)?;
        if self.options.has(Part::Logs) || self.options.has(Part::Stages) {
            self.ground.start_cassandra(&self.options)?;
        }
        let started = [&self.ground.kafka, &self.ground.cassandra];
        self.results.versions = started.into_iter().flatten().map(|server| server.version.clone()).collect();
        if self.options.has(Part::Logs) {
            self.bodies().await;
        }
        if self.options.has(Part::Partitions) {
            self.partitions().await;
        }
        // The last one: it keeps the servers, and this program, on some of the cores.
        if self.options.has(Part::Stages) {
            let outcome = self.stages().await;
            self.judge(outcome, "stage by stage");
        }
        Ok(())
    }

    pub fn report(&self, head: &Head) -> String {
        report::markdown(head, &self.options, self.real.as_ref(), &self.results)
    }

    fn judge<T>(&mut self, outcome: Result<T>, part: &str) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(error) => {
                self.note(format!("{part}: not measured: {error:#}"));
                None
            }
        }
    }

    fn note(&mut self, note: String) {
        eprintln!("! {note}");
        self.results.notes.push(note);
    }

    /// What a flood had to complain of.
    fn note_faults(&mut self, part: &str, flood: &Flood) {
        if flood.refused + flood.broken > 0 {
            let words = flood.words.first().map_or("", String::as_str);
            self.note(format!("{part}: {} refused, {} connections broke: {words}", flood.refused, flood.broken));
        }
    }

    fn order(&self, count: usize) -> Order {
        Order {
            mails: mail::once(self.real.as_ref()).0,
            count,
            time: FLOOD_WITHIN,
            connections: CONNECTIONS,
            inboxes: self.options.inboxes,
            fair: self.options.fair,
        }
    }
}

fn micros_each(cpu: Duration, count: u64) -> f64 {
    cpu.as_secs_f64() * 1e6 / count.max(1) as f64
}
