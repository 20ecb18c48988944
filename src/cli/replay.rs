//! `postlog replay`: computes scores or routes again with the models and tables of now. Nobody is told of it, and mail
//! stays where people have put it.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use hyper::Method;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::Value;

use super::door::{Door, Reach, segment};
use super::failure::Failure;
use super::{Place, screen};

/// Characters of the longest bar of a histogram.
const BAR_CHARS: u64 = 40;

#[derive(Debug, Args)]
pub struct Replay {
    #[command(flatten)]
    reach: Reach,
    /// For programs: the report as a JSON object, and no progress
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Score mail again: with the models in force, or with another one
    Score {
        #[command(flatten)]
        which: Which,
        /// One model for all mail: a version that stands on spam.models, `starter`, or a model's file
        #[arg(long, value_name = "VERSION|FILE")]
        model: Option<String>,
    },
    /// Route mail again: what has been reserved since finds its earlier mail
    Route {
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Debug, Args)]
struct Which {
    /// Mail that arrived at this time or later
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Mail that arrived at this time or before
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Mail in this inbox
    #[arg(long, value_name = "ADDRESS")]
    inbox: Option<String>,
    /// Mails a second [default: as fast as one core goes]
    #[arg(long, value_name = "NUMBER")]
    rate: Option<u32>,
    /// Write nothing: only say what would be
    #[arg(long)]
    dry_run: bool,
}

impl Which {
    fn query(&self, model: Option<&str>) -> String {
        let rate = self.rate.map(|rate| rate.to_string());
        let texts = [
            ("since", self.since.as_deref()),
            ("until", self.until.as_deref()),
            ("inbox", self.inbox.as_deref()),
            ("rate", rate.as_deref()),
            ("model", model),
            ("dryRun", self.dry_run.then_some("true")),
        ];
        let parts = texts.into_iter().filter_map(|(name, text)| Some(format!("{name}={}", segment(text?))));
        parts.collect::<Vec<_>>().join("&")
    }
}

/// A line of the server's answer.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Step { stage: String, done: u64, total: u64 },
    Report { report: Value },
    Error { error: String },
}

impl Replay {
    pub async fn run(self, place: &Place) -> Result<(), Failure> {
        let as_json = self.json;
        let (path, body, tell): (String, Vec<u8>, fn(&Value) -> String) = match &self.what {
            What::Score { which, model } => {
                let (version, file) = model_of(model.as_deref())?;
                (format!("/api/admin/replay/score?{}", which.query(version)), file, scores)
            }
            What::Route { which } => (format!("/api/admin/replay/route?{}", which.query(None)), Vec::new(), routes),
        };
        Door::visit_what_is(place, &self.reach, async |door| {
            let report = replay(door, &path, body, as_json).await?;
            if as_json {
                return screen::json(&report);
            }
            screen::print(&tell(&report))
        })
        .await
    }
}

/// What names a file is one.
fn model_of(model: Option<&str>) -> Result<(Option<&str>, Vec<u8>), Failure> {
    match model {
        Some(file) if Path::new(file).is_file() => {
            let bytes = std::fs::read(file).with_context(|| format!("{file} can't be read"))?;
            if bytes.is_empty() {
                return Err(anyhow!("{file} is empty: it is no model").into());
            }
            Ok((None, bytes))
        }
        version => Ok((version, Vec::new())),
    }
}

async fn replay(door: &Door, path: &str, body: Vec<u8>, as_json: bool) -> Result<Value, Failure> {
    // Drawn on a terminal only.
    let bar = if as_json { ProgressBar::hidden() } else { ProgressBar::new(0) };
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    let mut report = None;
    let called = door.lines_of(Method::POST, path, body, |line| {
        match serde_json::from_slice(line).context("the server answers with a line that is no step")? {
            Line::Step { stage, done, total } => {
                bar.set_message(screen::escaped(&stage));
                bar.set_length(total);
                bar.set_position(done);
            }
            Line::Report { report: found } => report = Some(found),
            Line::Error { error } => return Err(anyhow!("the replay has not come to its end: {error}").into()),
        }
        Ok(true)
    });
    called.await?;
    bar.finish_and_clear();
    Ok(report.ok_or_else(|| anyhow!("the server has broken off its answer: see its log lines"))?)
}

fn number(object: &Value, name: &str) -> u64 {
    object.get(name).and_then(Value::as_u64).unwrap_or(0)
}

/// What scores have become, for people.
fn scores(report: &Value) -> String {
    let mut text = String::new();
    let is_dry = report.get("dryRun").and_then(Value::as_bool) == Some(true);
    let (scored, resumed) = (number(report, "scored"), number(report, "resumed"));
    let model = screen::escaped(&screen::text_of(report, "modelVersion"));
    let verb = if is_dry { "would be" } else { "are" };
    let _ = writeln!(text, "{scored} mails {verb} scored by the model {model}.");
    if resumed > 0 {
        let _ =
            writeln!(text, "{resumed} had been scored by the same replay before; they are not in the numbers below.");
    }
    if number(report, "fromStore") > 0 {
        let _ = writeln!(text, "{} of them are older than the log.", number(report, "fromStore"));
    }
    let (before, after) = (buckets(report, "before"), buckets(report, "after"));
    let most = before.iter().chain(&after).copied().max().unwrap_or(0).max(1);
    let _ = writeln!(text, "\n score    before                                            after");
    for (index, (before, after)) in before.iter().zip(&after).enumerate() {
        let (from, to) = (index as f64 / 10.0, (index + 1) as f64 / 10.0);
        let _ = writeln!(
            text,
            " {from:.1}-{to:.1} {before:>7} {:<40} {after:>7} {}",
            bar(*before, most),
            bar(*after, most)
        );
    }
    let _ = writeln!(
        text,
        "\n{} become spam (over 0.5), {} become ham.",
        number(report, "becameSpam"),
        number(report, "becameHam")
    );
    if let Some(said) = report.get("corrections").filter(|said| number(said, "corrected") > 0) {
        let (all, before, now) = (number(said, "corrected"), number(said, "agreedBefore"), number(said, "agreeNow"));
        let _ = writeln!(
            text,
            "Of {all} mails that people have corrected, the scores of {before} agreed before, {now} now."
        );
    }
    text
}

fn buckets(report: &Value, name: &str) -> Vec<u64> {
    let list = report.get(name).and_then(Value::as_array);
    list.into_iter().flatten().map(|count| count.as_u64().unwrap_or(0)).collect()
}

fn bar(count: u64, most: u64) -> String {
    let chars = (count * BAR_CHARS).div_ceil(most);
    "#".repeat(usize::try_from(chars).unwrap_or(0))
}

/// What inboxes have become, for people.
fn routes(report: &Value) -> String {
    let mut text = String::new();
    let is_dry = report.get("dryRun").and_then(Value::as_bool) == Some(true);
    let verb = if is_dry { "would be" } else { "are" };
    let (moved, looked_at) = (number(report, "moved"), number(report, "lookedAt"));
    let _ = writeln!(text, "{moved} of {looked_at} mails {verb} in other inboxes.");
    for (name, said) in [("cameTo", "came to"), ("left", "left")] {
        for pair in report.get(name).and_then(Value::as_array).into_iter().flatten() {
            let (inbox, count) = (pair.get(0).and_then(Value::as_str), pair.get(1).and_then(Value::as_u64));
            let _ = writeln!(text, "  {} {said} {}", count.unwrap_or(0), screen::escaped(inbox.unwrap_or_default()));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_of_scores_shows_what_was_and_what_is() {
        let mut before = vec![0; 10];
        before[0] = 4;
        let after = vec![1, 1, 1, 0, 0, 0, 0, 0, 0, 1];
        let report = json!({
            "scored": 4, "modelVersion": "abc", "dryRun": false, "resumed": 2, "before": before, "after": after,
            "becameSpam": 1, "becameHam": 0, "corrections": {"corrected": 3, "agreedBefore": 2, "agreeNow": 3},
        });
        let text = scores(&report);
        for part in [
            "4 mails are scored by the model abc",
            "2 had been scored by the same replay",
            "0.0-0.1       4 ########",
            "1 become spam",
            "agreed before, 3 now",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_report_of_routes_names_the_inboxes() {
        let report =
            json!({"moved": 1, "lookedAt": 2, "dryRun": true, "cameTo": [["a@x.org", 1]], "left": [["b@x.org", 1]]});
        let text = routes(&report);
        for part in ["1 of 2 mails would be", "1 came to a@x.org", "1 left b@x.org"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
