//! `postlog forward`: whom mail is told to, what became of it, and telling it again.

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Map, Value, json};

use super::door::{Door, Reach, segment};
use super::failure::Failure;
use super::{Place, screen};

const PATH: &str = "/api/forwards";

#[derive(Debug, Args)]
pub struct Forward {
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
    /// List the forwards, and how much is due to each
    List,
    /// Show a forward
    Show { forward: String },
    /// Show what became of each attempt, the newest first
    Attempts {
        forward: String,
        #[command(flatten)]
        which: Which,
        /// So many at most
        #[arg(long, value_name = "NUMBER")]
        limit: Option<usize>,
    },
    /// Tell it the newest mail that it is about, and show what the receiver answers
    Test { forward: String },
    /// Tell again what was told, or given up
    Redeliver {
        /// The forward [default: every one]
        forward: Option<String>,
        #[command(flatten)]
        which: Which,
        /// Only say how much it would be
        #[arg(long)]
        dry_run: bool,
    },
    /// Tell it of mail that was stored before it was set
    Backfill {
        forward: String,
        /// now, earliest, a time such as 2025-11-24T10:00:00Z, or the cursor of a websocket frame
        #[arg(long, value_name = "PLACE")]
        from: String,
        /// Only say how much it would be
        #[arg(long)]
        dry_run: bool,
    },
    /// Switch a forward off; what is due waits
    Pause { forward: String },
    /// Switch a forward on again
    Resume { forward: String },
}

/// Which attempts are meant.
#[derive(Debug, Args)]
struct Which {
    /// Attempts at this time or later [default: a week ago]
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Attempts at this time or before
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// delivered, later, refused, exhausted or dropped
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
    /// Of this message
    #[arg(long, value_name = "ID")]
    message: Option<String>,
    /// Of this delivery
    #[arg(long, value_name = "ID")]
    delivery: Option<String>,
}

impl Which {
    fn pairs(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("since", &self.since),
            ("until", &self.until),
            ("outcome", &self.outcome),
            ("message", &self.message),
            ("delivery", &self.delivery),
        ];
        all.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?))).collect()
    }

    fn members(&self) -> Map<String, Value> {
        self.pairs().into_iter().map(|(name, text)| (name.to_owned(), json!(text))).collect()
    }

    fn query(&self, limit: Option<usize>) -> String {
        let mut parts: Vec<String> =
            self.pairs().into_iter().map(|(name, text)| format!("{name}={}", segment(text))).collect();
        parts.extend(limit.map(|limit| format!("limit={limit}")));
        parts.join("&")
    }
}

impl Forward {
    pub async fn run(self, place: &Place) -> Result<(), Failure> {
        let Self { reach, json, action } = self;
        Door::visit(place, &reach, async |door| act(door, action, json).await).await
    }
}

async fn act(door: &Door, action: Action, as_json: bool) -> Result<(), Failure> {
    let path = |forward: &str, what: &str| format!("{PATH}/{}{what}", segment(forward));
    match action {
        Action::List => list(&door.json(Method::GET, PATH, None).await?, as_json),
        Action::Show { forward } => show(&door.json(Method::GET, &path(&forward, ""), None).await?, as_json),
        Action::Attempts { forward, which, limit } => {
            let path = path(&forward, &format!("/attempts?{}", which.query(limit)));
            attempts(&door.json(Method::GET, &path, None).await?, as_json)
        }
        Action::Test { forward } => tested(&door.json(Method::POST, &path(&forward, "/test"), None).await?, as_json),
        Action::Redeliver { forward, which, dry_run } => {
            let path = forward.map_or_else(|| format!("{PATH}/redeliver"), |forward| path(&forward, "/redeliver"));
            redeliver(door, &path, which.members(), dry_run, as_json).await
        }
        Action::Backfill { forward, from, dry_run } => {
            backfill(door, &path(&forward, "/backfill"), &from, dry_run, as_json).await
        }
        Action::Pause { forward } => {
            let answer = door.json(Method::POST, &path(&forward, "/pause"), None).await?;
            screen::answer(&answer, &format!("{forward} is off; what is due to it waits."), as_json)
        }
        Action::Resume { forward } => {
            let answer = door.json(Method::POST, &path(&forward, "/resume"), None).await?;
            screen::answer(&answer, &format!("{forward} is on."), as_json)
        }
    }
}

/// Says how much it is before anything is made due.
async fn redeliver(
    door: &Door,
    path: &str,
    mut members: Map<String, Value>,
    dry_run: bool,
    as_json: bool,
) -> Result<(), Failure> {
    let number = |answer: &Value, name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
    members.insert("dryRun".to_owned(), Value::Bool(true));
    let counted = door.json(Method::POST, path, Some(&Value::Object(members.clone()))).await?;
    let said = |verb: &str, answer: &Value| {
        let (again, waiting) = (number(answer, "deliveries"), number(answer, "retried"));
        format!("{again} deliveries {verb} made again, and {waiting} that wait {verb} tried at once.")
    };
    if dry_run {
        return screen::answer(&counted, &said("would be", &counted), as_json);
    }
    if !as_json {
        screen::print(&format!("{}\n", said("will be", &counted)))?;
    }
    members.remove("dryRun");
    let done = door.json(Method::POST, path, Some(&Value::Object(members))).await?;
    screen::answer(&done, &said("are", &done), as_json)
}

async fn backfill(door: &Door, path: &str, from: &str, dry_run: bool, as_json: bool) -> Result<(), Failure> {
    let body = json!({"from": from, "dryRun": dry_run}).to_string().into_bytes();
    let mut failed = None;
    door.lines_of(Method::POST, path, body, |line| {
        if as_json {
            return screen::json_line(line);
        }
        let step: Value = serde_json::from_slice(line).unwrap_or_default();
        let number = |name: &str| step.get(name).and_then(Value::as_u64).unwrap_or_default();
        let deliveries = number("deliveries");
        let said = match step.get("stage").and_then(Value::as_str) {
            Some("counted") if dry_run => format!("{deliveries} mails would be told.\n"),
            Some("counted") => format!("{deliveries} mails will be told.\n"),
            Some("due") => format!("{deliveries} of {} are due\n", number("of")),
            Some("done") if dry_run => String::new(),
            Some("done") => format!("{deliveries} deliveries are due as {}.\n", screen::text_of(&step, "origin")),
            _ => {
                failed = Some(screen::text_of(&step, "error"));
                String::new()
            }
        };
        screen::write(said.as_bytes())
    })
    .await?;
    match failed {
        Some(error) => Err(anyhow::anyhow!("the backfill has ended early: {error}").into()),
        None => Ok(()),
    }
}

fn list(listed: &Value, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return screen::json(listed);
    }
    let rows: Vec<Vec<String>> = listed
        .as_array()
        .into_iter()
        .flatten()
        .map(|forward| {
            let text = |name: &str| screen::text_of(forward, name);
            let on = if forward.get("on").and_then(Value::as_bool) == Some(true) { "on" } else { "off" };
            vec![text("_id"), text("kind"), on.to_owned(), text("due"), text("target"), rules(forward)]
        })
        .collect();
    screen::print(&screen::table(&["forward", "kind", "state", "due", "target", "rules"], &rows))
}

fn rules(forward: &Value) -> String {
    let rules = forward.get("rules").and_then(Value::as_array);
    rules.into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

fn show(forward: &Value, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return screen::json(forward);
    }
    let rows: Vec<Vec<String>> = forward
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null() && value.as_str() != Some(""))
        .map(|(name, value)| {
            let shown = if value.is_array() { rules(forward) } else { screen::text_of(forward, name) };
            vec![name.trim_start_matches('_').to_owned(), shown]
        })
        .collect();
    screen::print(&screen::table(&["what", "value"], &rows))
}

fn attempts(listed: &Value, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return screen::json(listed);
    }
    let rows: Vec<Vec<String>> = listed.as_array().into_iter().flatten().map(attempt_row).collect();
    screen::print(&screen::table(&ATTEMPT_HEAD, &rows))
}

pub const ATTEMPT_HEAD: [&str; 7] = ["at", "delivery", "entry", "attempt", "outcome", "status", "cause"];

pub fn attempt_row(attempt: &Value) -> Vec<String> {
    ATTEMPT_HEAD.iter().map(|name| screen::text_of(attempt, name)).collect()
}

fn tested(answer: &Value, as_json: bool) -> Result<(), Failure> {
    let attempt = answer.get("attempt").filter(|attempt| !attempt.is_null());
    let Some(attempt) = attempt else {
        let delivery = screen::text_of(answer, "delivery");
        return screen::answer(answer, &format!("{delivery} is due, and has not been tried yet."), as_json);
    };
    if as_json {
        return screen::json(answer);
    }
    screen::print(&screen::table(&ATTEMPT_HEAD, &[attempt_row(attempt)]))?;
    let said = screen::text_of(attempt, "answer");
    if said.is_empty() { Ok(()) } else { screen::print(&format!("\nThe receiver says: {}\n", screen::escaped(&said))) }
}
