//! `postlog rebuild`: folds the log into new tables beside the old, and puts them in their place.

use anyhow::{Context, anyhow};
use clap::Args;
use hyper::Method;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::json;

use super::door::{Door, Reach};
use super::failure::Failure;
use super::{Place, screen};

#[derive(Debug, Args)]
pub struct Rebuild {
    #[command(flatten)]
    reach: Reach,
    /// For programs: the totals as a JSON object, and no progress
    #[arg(long)]
    json: bool,
}

/// A line of the server's answer.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Step { stage: String, done: u64, total: u64 },
    Totals { totals: mailstore::Totals },
    Error { error: String },
}

impl Rebuild {
    pub async fn run(self, place: &Place) -> Result<(), Failure> {
        let as_json = self.json;
        Door::visit_what_is(place, &self.reach, async |door| rebuild(door, as_json).await).await
    }
}

async fn rebuild(door: &Door, as_json: bool) -> Result<(), Failure> {
    // Drawn on a terminal only.
    let bar = if as_json { ProgressBar::hidden() } else { ProgressBar::new(0) };
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    let mut totals = None;
    let called = door.lines(Method::POST, "/api/admin/rebuild", |line| {
        match serde_json::from_slice(line).context("the server answers with a line that is no step")? {
            Line::Step { stage, done, total } => {
                bar.set_message(screen::escaped(&stage));
                bar.set_length(total);
                bar.set_position(done);
            }
            Line::Totals { totals: found } => totals = Some(found),
            Line::Error { error } => return Err(anyhow!("the store is as it was: {error}").into()),
        }
        Ok(true)
    });
    called.await?;
    bar.finish_and_clear();
    let totals = totals.ok_or_else(|| anyhow!("the server has broken off its answer: see its log lines"))?;
    let sentence = format!("The store is rebuilt: {} entries of {} messages.", totals.entries, totals.messages);
    screen::answer(&json!(totals), &sentence, as_json)
}
