//! What was measured, one row a figure. Filled by the suite, shown by the report.

use crate::dialect::Kind;
use crate::flood::Flood;
use crate::process::Memory;
use crate::samples::Spread;

#[derive(Default)]
pub struct Results {
    pub floods: Vec<FloodRow>,
    pub stored: Vec<StoredRow>,
    pub reads: Vec<ReadRow>,
    pub visible: Vec<VisibleRow>,
    pub restarts: Vec<RestartRow>,
    /// What a reader of the figures has to know: refusals, failures.
    pub notes: Vec<String>,
}

pub struct FloodRow {
    pub kind: Kind,
    pub mails: String,
    pub connections: usize,
    /// From the main part: the folder of mail once on an empty server.
    pub main: bool,
    pub pipelined: bool,
    pub accepted: usize,
    pub rate: f64,
    pub to_250: Spread,
    pub transaction: Spread,
    pub server_us_a_mail: Option<f64>,
    pub client_us_a_mail: f64,
}

/// What one server takes for the mails of the main part.
pub struct StoredRow {
    pub kind: Kind,
    pub mails: usize,
    pub mail_bytes: u64,
    pub idle: Option<Memory>,
    pub after: Option<Memory>,
    pub disk_bytes: Option<u64>,
    pub visible_ms: f64,
}

pub struct ReadRow {
    pub kind: Kind,
    pub what: &'static str,
    pub rate: f64,
    pub spread: Spread,
    pub bytes_an_answer: f64,
    pub server_us_an_answer: Option<f64>,
}

pub struct VisibleRow {
    pub kind: Kind,
    pub probes: usize,
    pub spread: Spread,
}

pub struct RestartRow {
    pub kind: Kind,
    pub mails: usize,
    pub filled_in_s: f64,
    pub visible_ms: f64,
    pub after: Option<Memory>,
    pub stop_ms: f64,
    pub clean_ms: f64,
    pub kill_ms: f64,
    /// Mails that the API shows after both.
    pub shown: u64,
}

impl FloodRow {
    pub fn new(kind: Kind, mails: &str, connections: usize, main: bool, flood: &Flood) -> Self {
        Self {
            kind,
            mails: mails.to_owned(),
            connections,
            main,
            pipelined: flood.pipelined,
            accepted: flood.accepted,
            rate: flood.rate(),
            to_250: flood.to_250,
            transaction: flood.transaction,
            server_us_a_mail: flood.server_cpu.map(|cpu| flood.micros_a_mail(cpu)),
            client_us_a_mail: flood.micros_a_mail(flood.client_cpu),
        }
    }
}

impl Results {
    /// Keeps what a flood had to complain of.
    pub fn note_faults(&mut self, kind: Kind, cell: &str, flood: &Flood) {
        if flood.refused + flood.broken > 0 {
            let (refused, broken) = (flood.refused, flood.broken);
            let words = flood.words.first().map_or("", String::as_str);
            self.note(format!("{}, {cell}: {refused} refused, {broken} connections broke: {words}", kind.name()));
        }
    }

    pub fn note(&mut self, note: String) {
        eprintln!("! {note}");
        self.notes.push(note);
    }
}
