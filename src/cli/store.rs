//! `postlog store`: what is done to a store on CQL before a server may use it.

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use serde_json::json;

use super::failure::Failure;
use super::{Place, screen};
use crate::config::StoreSettings;
use crate::telemetry;

#[derive(Debug, Args)]
pub struct Store {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make the keyspace, and take the steps that its tables lack; waits for a server as the start does
    Migrate {
        /// Which store: cql://host:port,host:port/keyspace
        #[arg(long, value_name = "STORE", env = "POSTLOG_STORE")]
        store: Option<String>,
        /// For programs: one JSON object
        #[arg(long)]
        json: bool,
    },
}

impl Store {
    pub async fn run(self, place: &Place) -> Result<(), Failure> {
        let Action::Migrate { store, json } = self.action;
        let flags = store.map(|kind| ("store.kind".to_owned(), kind)).into_iter().collect();
        let settings = place.settings(flags)?;
        telemetry::start_logs(&settings.telemetry.log, &settings.telemetry.format)?;
        migrate(&settings.store, json).await
    }
}

async fn migrate(store: &StoreSettings, as_json: bool) -> Result<(), Failure> {
    let place =
        store.place().ok_or_else(|| anyhow!("the embedded store needs no steps: they are taken at the start"))?;
    let taken = taken(store).await.with_context(|| format!("{place} can't be brought up to date"))?;
    let sentence = match taken.len() {
        0 => format!("{place} lacks nothing."),
        _ => format!("{place} is brought up to date: {}.", taken.join("; ")),
    };
    screen::answer(&json!({ "store": place, "steps": taken }), &sentence, as_json)
}

#[cfg(feature = "cql")]
async fn taken(store: &StoreSettings) -> anyhow::Result<Vec<String>> {
    match store {
        StoreSettings::Cql { settings, start_wait } => crate::assemble::migrate_store(settings, *start_wait).await,
        StoreSettings::Embedded => Ok(Vec::new()),
    }
}

#[cfg(not(feature = "cql"))]
async fn taken(_: &StoreSettings) -> anyhow::Result<Vec<String>> {
    Ok(Vec::new())
}
