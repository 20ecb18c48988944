//! `postlog dead-letters`: what could not be processed, and what becomes of it.

use std::collections::HashSet;

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use super::door::{Door, Reach, segment};
use super::failure::Failure;
use super::{Place, screen};

const PATH: &str = "/api/admin/dead-letters";
/// Characters of a cause in the table.
const MAX_CAUSE_CHARS: usize = 80;
/// Hexadecimal digits of a value for people.
const MAX_HEX_CHARS: usize = 512;
/// Letters that are asked for at once.
const PAGE: usize = 1000;

#[derive(Debug, Args)]
pub struct DeadLetters {
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
    /// List what could not be processed, the oldest first
    List {
        #[command(flatten)]
        which: Which,
        /// Also what was put back or dropped already
        #[arg(long)]
        all: bool,
        /// So many at most
        #[arg(long, value_name = "NUMBER")]
        limit: Option<usize>,
    },
    /// Show one: every letter about it, and the record
    Show {
        /// topic/partition/offset, as the list shows it
        origin: String,
    },
    /// Put records back where they stood, to be handled once more
    Retry {
        #[command(flatten)]
        meant: Meant,
        /// Also what was put back or dropped already
        #[arg(long)]
        again: bool,
    },
    /// Leave them: the list shows them no more
    Drop {
        #[command(flatten)]
        meant: Meant,
    },
}

/// Which letters are meant.
#[derive(Debug, Args)]
struct Which {
    /// Of this stage: processors, forwards, store
    #[arg(long)]
    stage: Option<String>,
    /// Of records on this topic
    #[arg(long)]
    topic: Option<String>,
    /// Given up at this time or later
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

/// Named one by one, or all that are meant.
#[derive(Debug, Args)]
struct Meant {
    /// topic/partition/offset, as the list shows it
    #[arg(required_unless_present_any = ["every", "stage", "topic", "since"])]
    origins: Vec<String>,
    #[command(flatten)]
    which: Which,
    /// Every one that nothing was decided about
    #[arg(long)]
    every: bool,
    /// Only say which they are
    #[arg(long)]
    dry_run: bool,
}

impl Which {
    fn query(&self) -> String {
        let pairs = [("stage", &self.stage), ("topic", &self.topic), ("since", &self.since)];
        let given = pairs.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?)));
        given.map(|(name, text)| format!("&{name}={}", segment(text))).collect()
    }
}

impl DeadLetters {
    pub async fn run(self, place: &Place) -> Result<(), Failure> {
        let Self { reach, json, action } = self;
        Door::visit_what_is(place, &reach, async |door| act(door, action, json).await).await
    }
}

async fn act(door: &Door, action: Action, as_json: bool) -> Result<(), Failure> {
    match action {
        Action::List { which, all, limit } => {
            let letters = letters(door, &which, all, limit).await?;
            list(&letters, as_json)
        }
        Action::Show { origin } => show(&door.json(Method::GET, &path(&origin, "")?, None).await?, as_json),
        Action::Retry { meant, again } => decide(door, &meant, "retry", &json!({"again": again}), as_json).await,
        Action::Drop { meant } => decide(door, &meant, "drop", &json!({}), as_json).await,
    }
}

fn path(origin: &str, what: &str) -> Result<String, Failure> {
    let parts: Vec<&str> = origin.split('/').collect();
    let [topic, partition, offset] = parts.as_slice() else {
        return Err(Failure::Usage(format!("{origin} is not topic/partition/offset, as the list shows it")));
    };
    Ok(format!("{PATH}/{}/{}/{}{what}", segment(topic), segment(partition), segment(offset)))
}

/// Page by page, as many as are wanted.
async fn letters(door: &Door, which: &Which, all: bool, limit: Option<usize>) -> Result<Vec<Value>, Failure> {
    let (mut letters, mut after) = (Vec::new(), String::new());
    loop {
        let left = limit.map_or(PAGE, |limit| limit.saturating_sub(letters.len()).min(PAGE));
        if left == 0 {
            return Ok(letters);
        }
        // Behind a cursor there is nothing that is older.
        let place = if after.is_empty() { which.query() } else { without_since(which).query() };
        let path = format!("{PATH}?all={all}&limit={left}{place}{after}");
        let page = door.json(Method::GET, &path, None).await?;
        letters.extend(page.get("letters").and_then(Value::as_array).into_iter().flatten().cloned());
        match page.get("cursor").and_then(Value::as_str) {
            Some(cursor) => after = format!("&after={}", segment(cursor)),
            None => return Ok(letters),
        }
    }
}

fn without_since(which: &Which) -> Which {
    Which { stage: which.stage.clone(), topic: which.topic.clone(), since: None }
}

async fn decide(door: &Door, meant: &Meant, what: &str, body: &Value, as_json: bool) -> Result<(), Failure> {
    let mut origins = meant.origins.clone();
    if origins.is_empty() {
        let letters = letters(door, &meant.which, false, None).await?;
        // Two stages may have given up one record.
        let mut seen = HashSet::new();
        origins = letters.iter().map(|letter| screen::text_of(letter, "origin")).collect();
        origins.retain(|origin| seen.insert(origin.clone()));
    }
    let mut refused = false;
    for origin in origins {
        let path = path(&origin, &format!("/{what}"))?;
        if meant.dry_run {
            screen::answer(&json!({"origin": origin}), &origin, as_json)?;
            continue;
        }
        match door.json(Method::POST, &path, Some(body)).await {
            Ok(decided) => screen::answer(&decided, &sentence(&decided), as_json)?,
            // The others are tried all the same.
            Err(error) => {
                refused = true;
                eprintln!("{}", screen::escaped(&format!("{origin}: {error:#}")));
            }
        }
    }
    if refused { Err(Failure::PartRefused) } else { Ok(()) }
}

fn sentence(decided: &Value) -> String {
    let origin = screen::text_of(decided, "origin");
    match decided.get("place").and_then(Value::as_str) {
        Some(place) => format!("{origin} is put back as {place}."),
        None => format!("{origin} is dropped."),
    }
}

fn list(letters: &[Value], as_json: bool) -> Result<(), Failure> {
    if as_json {
        return letters.iter().try_for_each(screen::json);
    }
    if letters.is_empty() {
        return screen::print("There is none.\n");
    }
    let rows: Vec<Vec<String>> = letters
        .iter()
        .map(|letter| {
            let text = |name: &str| screen::text_of(letter, name);
            let cause: String = text("cause").chars().take(MAX_CAUSE_CHARS).collect();
            vec![text("at"), text("origin"), text("stage"), text("valueBytes"), decision(letter), cause]
        })
        .collect();
    screen::print(&screen::table(&["GIVEN UP", "ORIGIN", "STAGE", "BYTES", "DECISION", "CAUSE"], &rows))
}

fn decision(letter: &Value) -> String {
    let Some(decision) = letter.get("decision").filter(|decision| decision.is_object()) else { return "-".to_owned() };
    let (outcome, place) = (screen::text_of(decision, "outcome"), screen::text_of(decision, "place"));
    if place.is_empty() { outcome } else { format!("{outcome} as {place}") }
}

fn show(shown: &Value, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return screen::json(shown);
    }
    let mut lines = vec![format!("origin    {}", screen::text_of(shown, "origin"))];
    for letter in shown.get("letters").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| screen::text_of(letter, name);
        lines.push(format!("given up  {} by {}: {}", text("at"), text("stage"), text("cause")));
        lines.push(format!("recorded  {}", text("recordedAt")));
        lines.push(format!("key       {}", text("key")));
    }
    lines.push(format!("decision  {}", decision(shown)));
    for header in shown.get("headers").and_then(Value::as_array).into_iter().flatten() {
        lines.push(format!("header    {}: {}", screen::text_of(header, "name"), screen::text_of(header, "value")));
    }
    let bytes = screen::text_of(shown, "valueBytes");
    if let Some(event) = shown.get("event").filter(|event| !event.is_null()) {
        lines.push(format!("value     {bytes} bytes, which can be read now: {event}"));
    } else {
        let hex = screen::text_of(shown, "valueHex");
        let start: String = hex.chars().take(MAX_HEX_CHARS).collect();
        let more = if start.len() < hex.len() { "…" } else { "" };
        lines.push(format!("value     {bytes} bytes, which can't be read: {}", screen::text_of(shown, "error")));
        lines.push(format!("          {start}{more}"));
    }
    screen::print(&lines.iter().map(|line| format!("{}\n", screen::escaped(line))).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_path_of_three_parts_and_nothing_else() {
        assert_eq!(path("mail.raw/0/7", "/drop").unwrap(), "/api/admin/dead-letters/mail.raw/0/7/drop");
        for text in ["mail.raw", "a/b/c/d", ""] {
            assert!(path(text, "").is_err(), "{text}");
        }
        assert_eq!(path("../%/x?", "").unwrap(), "/api/admin/dead-letters/../%25/x%3F");
    }
}
