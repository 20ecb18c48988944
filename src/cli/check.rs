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
        match (config::load(&place.sources(self.run.flags())), self.json) {
            (Ok(_), true) => screen::print(&format!("{}\n", json!({ "ok": true, "faults": [] }))),
            (Ok(_), false) => screen::print("The configuration has no fault.\n"),
            (Err(Faults(faults)), true) => {
                screen::print(&format!("{}\n", json!({ "ok": false, "faults": faults })))?;
                let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
                Err(Failure::Usage(format!("the configuration can't work: {}", keys.join(", "))))
            }
            (Err(faults), false) => Err(Failure::Usage(faults.to_string())),
        }
    }
}
