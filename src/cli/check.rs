//! `postlog check`: reads the configuration as `run` would, touches nothing, and lists every fault with its key.

use clap::Args;
use serde_json::json;

use super::failure::Failure;
use super::run::Run;
use super::{Place, screen};
use crate::config::{self, Faults};

#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    run: Run,
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
}

impl Check {
    pub fn run(self, place: &Place) -> Result<(), Failure> {
        let sources = place.sources(self.run.flags());
        let notes = config::strange_variables(&sources);
        match (config::load(&sources), self.json) {
            (Ok(_), true) => screen::json(&json!({ "ok": true, "faults": [], "notes": notes })),
            (Ok(_), false) => {
                let notes: String = notes.iter().map(|note| format!("Ignored: {note}\n")).collect();
                screen::print(&format!("{notes}The configuration has no fault.\n"))
            }
            (Err(Faults(faults)), true) => {
                screen::json(&json!({ "ok": false, "faults": faults, "notes": notes }))?;
                let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
                Err(Failure::Usage(format!("the configuration can't work: {}", keys.join(", "))))
            }
            (Err(Faults(faults)), false) => {
                let all = faults.into_iter().chain(notes).collect();
                Err(Failure::Usage(Faults(all).to_string()))
            }
        }
    }
}
