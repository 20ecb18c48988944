//! `postlog spam eval`: how well a model tells spam from ham that it has not seen.

use std::fmt::Write as _;

use clap::Args;
use processors::spam::{self, Kind};
use serde_json::json;

use super::super::failure::Failure;
use super::super::screen;
use super::choice::Choice;
use super::figures::{self, Figures};
use super::labelled::{Labelled, Progress, read_each};

#[derive(Debug, Args)]
pub struct Eval {
    #[command(flatten)]
    mails: Labelled,
    #[command(flatten)]
    model: Choice,
    /// For programs: the figures as one JSON object, and no progress
    #[arg(long)]
    json: bool,
}

impl Eval {
    pub fn run(self) -> Result<(), Failure> {
        if self.mails.is_empty() {
            return Err(Failure::Usage("name mail to judge by: --spam PATH… and --ham PATH…".to_owned()));
        }
        let model = self.model.load()?;
        let found = self.mails.find()?;
        let mut progress = Progress::new(found.iter().flat_map(|(_, files)| files), self.json);
        let mut scores = Vec::new();
        read_each(found, |kind, mail| {
            if let Some((_, content)) = progress.note(mail) {
                scores.push((spam::judge(&spam::read(content), &model).score, kind == Kind::Spam));
            }
            Ok(())
        })?;
        let Some(figures) = figures::of(&scores) else {
            return Err(anyhow::anyhow!("none of the mail could be read").into());
        };
        if self.json {
            let mut object = json!(figures);
            let about = json!({ "name": model.name(), "version": model.version(), "tokens": model.tokens() });
            if let Some(fields) = object.as_object_mut() {
                fields.insert("model".to_owned(), about);
            }
            screen::json(&object)?;
        } else {
            screen::print(&told(&figures, model.version()))?;
        }
        progress.finish()
    }
}

fn told(figures: &Figures, version: &str) -> String {
    let percent = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{:.2} %", share * 100.0));
    let area = figures.roc_area.map_or_else(|| "-".to_owned(), |area| format!("{area:.6}"));
    let missing = figures.one_minus_roca_percent.map_or_else(|| "-".to_owned(), |missing| format!("{missing:.4} %"));
    let mut text = String::new();
    for (name, value) in [
        ("model", version.to_owned()),
        ("spam, ham", format!("{}, {}", figures.spam, figures.ham)),
        ("ROC area", area),
        ("1-ROCA", missing),
        ("accuracy at 0.5", percent(Some(figures.accuracy))),
        ("ham over 0.5", percent(figures.false_positive_rate)),
        ("spam not over 0.5", percent(figures.false_negative_rate)),
        ("log loss", format!("{:.4}", figures.log_loss)),
    ] {
        let _ = writeln!(text, "{name:18} {value}");
    }
    let row = |bin: &figures::Bin| {
        let of = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
        let (scores, mails) = (format!("{:.1} to {:.1}", bin.from, bin.to), bin.mails.to_string());
        vec![scores, mails, of(bin.mean_score), of(bin.spam_share)]
    };
    let rows: Vec<Vec<String>> = figures.calibration.iter().map(row).collect();
    let table = screen::table(&["score", "mails", "mean score", "share of spam"], &rows);
    let _ = write!(text, "\n{table}");
    if figures.roc_area.is_some() {
        let _ = write!(text, "\n{}", figures::drawn(&figures.curve));
    }
    text
}
