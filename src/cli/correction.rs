//! `postlog correction`: what people have said of mail, and how it is taken back.

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use super::door::{Door, Reach, segment};
use super::failure::Failure;
use super::{Place, screen};

#[derive(Debug, Args)]
pub struct Correction {
    #[command(flatten)]
    reach: Reach,
    /// For programs: JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the corrections that stand
    List {
        #[command(flatten)]
        which: Which,
    },
    /// Take corrections back, also long after the mail is gone; the model is as if they had never been
    TakeBack {
        #[command(flatten)]
        which: Which,
        /// All of them
        #[arg(long)]
        all: bool,
    },
}

#[derive(Debug, Args)]
struct Which {
    /// Of this account
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// Of this message
    #[arg(long, value_name = "ID")]
    message: Option<String>,
}

impl Correction {
    pub async fn run(self, place: &Place) -> Result<(), Failure> {
        let Self { reach, json, action } = self;
        Door::visit(place, &reach, async |door| match action {
            Action::List { which } => list(door, &which, json).await,
            Action::TakeBack { which, all } => take_back(door, &which, all, json).await,
        })
        .await
    }
}

async fn list(door: &Door, which: &Which, as_json: bool) -> Result<(), Failure> {
    let texts = [("account", &which.account), ("message", &which.message)];
    let parts = texts.into_iter().filter_map(|(name, text)| Some(format!("{name}={}", segment(text.as_deref()?))));
    let path = format!("/api/admin/corrections?{}", parts.collect::<Vec<_>>().join("&"));
    let mut rows: Vec<Vec<String>> = Vec::new();
    let listed = door.lines(Method::GET, &path, |line| {
        let correction: Value = serde_json::from_slice(line).context("the server answers with something else")?;
        if let Some(error) = correction.get("error").and_then(Value::as_str) {
            return Err(anyhow!("the list is not complete: {error}").into());
        }
        if as_json {
            return screen::json_line(line);
        }
        rows.push(["message", "account", "verdict", "at"].map(|name| screen::text_of(&correction, name)).to_vec());
        Ok(true)
    });
    listed.await?;
    if as_json {
        return Ok(());
    }
    screen::print(&screen::table(&["message", "account", "verdict", "at"], &rows))
}

async fn take_back(door: &Door, which: &Which, all: bool, as_json: bool) -> Result<(), Failure> {
    let body = json!({ "account": which.account, "message": which.message, "all": all });
    let taken = door.json(Method::POST, "/api/admin/corrections/take-back", Some(&body)).await?;
    let count = screen::text_of(&taken, "takenBack");
    screen::answer(&taken, &format!("{count} corrections are taken back."), as_json)
}
