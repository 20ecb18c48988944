//! `postlog explain`: why a mail is where it is and whom it was told to, or where mail for an address would go.

use std::fmt::Write as _;

use clap::Args;
use hyper::Method;
use serde_json::Value;

use super::door::{Door, Reach, segment};
use super::failure::Failure;
use super::forward::{ATTEMPT_HEAD, attempt_row};
use super::{Place, screen};

#[derive(Debug, Args)]
pub struct Explain {
    #[command(flatten)]
    reach: Reach,
    /// For programs: JSON
    #[arg(long)]
    json: bool,
    /// The id of a message or of an entry, or an address
    #[arg(value_name = "ID|ADDRESS")]
    what: String,
}

impl Explain {
    pub async fn run(self, place: &Place) -> Result<(), Failure> {
        let path = format!("/api/admin/explain/{}", segment(&self.what));
        let as_json = self.json;
        Door::visit(place, &self.reach, async |door| {
            let explained = door.json(Method::GET, &path, None).await?;
            if as_json {
                return screen::json(&explained);
            }
            screen::print(&told(&explained))
        })
        .await
    }
}

/// What is explained, for people.
fn told(explained: &Value) -> String {
    let mut text = String::new();
    let line = |text: &mut String, said: &str| {
        let _ = writeln!(text, "{}", screen::escaped(said));
    };
    let of = screen::text_of;
    if explained.get("message").is_none() {
        line(&mut text, &format!("Mail for {} is saved in {}:", of(explained, "address"), of(explained, "inbox")));
        line(&mut text, &format!("  {}", of(explained, "why")));
        for forward in list(explained, "forwards") {
            line(&mut text, &format!("It is told to {}", named(forward)));
        }
        return text;
    }
    line(&mut text, &format!("message {}", of(explained, "message")));
    if let Some(arrival) = explained.get("arrival").filter(|arrival| !arrival.is_null()) {
        let by = [of(arrival, "door"), of(arrival, "peer")].join(" ");
        let sender = format!("from <{}> by {}", of(arrival, "mailFrom"), by.trim_start());
        line(&mut text, &format!("arrived {} {sender}, {} bytes", of(arrival, "at"), of(arrival, "size")));
    }
    if explained.get("olderThanLog").and_then(Value::as_bool) == Some(true) {
        line(&mut text, "the log has given up what it had of it: this is what the store has");
    }
    if let Some(score) = explained.get("score").filter(|score| !score.is_null()) {
        scored(&mut text, score, explained.get("firstScore").and_then(Value::as_f64));
    }
    if let Some(score) = explained.get("scoredNow").filter(|score| !score.is_null()) {
        line(
            &mut text,
            "its bytes, scored anew by the model in force for all mail, since the reasons of then are gone:",
        );
        scored(&mut text, score, None);
    }
    let replay = of(explained, "replay");
    if !replay.is_empty() {
        line(&mut text, &format!("routed by the replay {replay}"));
    }
    for entry in list(explained, "entries") {
        let folder = of(entry, "startsIn");
        line(
            &mut text,
            &format!("entry {} is in {}, and started in the folder {folder}", of(entry, "_id"), of(entry, "inbox")),
        );
        for why in list(entry, "why").iter().filter_map(Value::as_str) {
            line(&mut text, &format!("  {why}"));
        }
    }
    for forward in list(explained, "forwards") {
        line(&mut text, &format!("told to {}", named(forward)));
        for due in list(forward, "due") {
            let next = of(due, "nextAt");
            let when = if next.is_empty() { "now" } else { &next };
            line(
                &mut text,
                &format!("  {} is due {when}, after {} attempts", of(due, "delivery"), of(due, "attempts")),
            );
        }
        let rows: Vec<Vec<String>> = list(forward, "attempts").iter().map(attempt_row).collect();
        for row in screen::table(&ATTEMPT_HEAD, &rows).lines() {
            let _ = writeln!(text, "  {row}");
        }
    }
    text
}

/// The score, whose it is, and what weighed most each way.
fn scored(text: &mut String, score: &Value, first: Option<f64>) {
    let of = screen::text_of;
    let number = |name: &str| score.get(name).and_then(Value::as_f64);
    let spam = number("spam").unwrap_or_default();
    let mut said = match of(score, "model").as_str() {
        "" if score.get("model").is_none() => format!("spam {spam:.4}, by which model is not kept"),
        "" => format!("spam {spam:.4}, by no model"),
        model => format!("spam {spam:.4} by the model {model}, version {}", of(score, "version")),
    };
    if let Some(first) = first.filter(|first| (first - spam).abs() > f64::EPSILON) {
        let _ = write!(said, "; the first score was {first:.4}");
    }
    let replay = of(score, "replay");
    if !replay.is_empty() {
        let _ = write!(said, "; scored again by the replay {replay}");
    }
    let _ = writeln!(text, "{}", screen::escaped(&said));
    for (way, sign) in [("spam", 1.0), ("ham", -1.0)] {
        let weight = |token: &Value| token.get("weight").and_then(Value::as_f64).unwrap_or_default();
        let of_way = list(score, "tokens").iter().filter(|token| weight(token) * sign > 0.0);
        let tokens: Vec<String> = of_way.map(|token| format!("{} {:+.2}", of(token, "token"), weight(token))).collect();
        if !tokens.is_empty() {
            let _ = writeln!(text, "  for {way}: {}", screen::escaped(&tokens.join(", ")));
        }
    }
}

fn named(forward: &Value) -> String {
    let of = screen::text_of;
    if forward.get("gone").is_some() {
        return format!("{} (no rule names it any more)", of(forward, "_id"));
    }
    let off = if forward.get("on").and_then(Value::as_bool) == Some(false) { ", which is off" } else { "" };
    format!("{} {} ({}){off}", of(forward, "kind"), of(forward, "target"), of(forward, "_id"))
}

fn list<'a>(object: &'a Value, name: &str) -> &'a [Value] {
    object.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mail_is_explained_with_every_answer() {
        let explained = json!({
            "message": "01", "folder": "inbox", "firstScore": 0.5,
            "arrival": {"at": "2025-11-24T10:00:00.000Z", "mailFrom": "s@y.org", "door": "smtp", "peer": "127.0.0.1", "size": 7},
            "score": {"spam": 0.875, "model": "default", "version": "abc", "tokens": [
                {"token": "pills", "weight": 2.5}, {"token": "meeting\u{1b}", "weight": -0.5},
            ], "replay": "score-1"},
            "entries": [{"_id": "01-0", "inbox": "a@x.org", "startsIn": "spam", "why": ["a@x.org is reserved by ann"]}],
            "forwards": [{"_id": "f", "kind": "webhook", "target": "https://h.example/…", "on": true, "due": [],
                "attempts": [{"at": "t", "delivery": "dlv_1", "entry": "01-0", "attempt": 1, "outcome": "delivered", "status": 200, "cause": ""}]}],
        });
        let text = told(&explained);
        for part in [
            "spam 0.8750 by the model default, version abc; the first score was 0.5000; scored again by the replay score-1",
            "for spam: pills +2.50",
            "for ham: meeting\\u{1b} -0.50",
            "started in the folder spam",
            "from <s@y.org>",
            "a@x.org is reserved by ann",
            "webhook https://h.example/…",
            "delivered",
            "200",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_mail_older_than_the_log_is_told_as_such() {
        let explained = json!({
            "message": "01", "olderThanLog": true, "score": {"spam": 0.25},
            "arrival": {"at": "2025-11-24T10:00:00.000Z", "mailFrom": "s@y.org", "peer": "127.0.0.1", "size": 7},
            "scoredNow": {"spam": 0.75, "model": "default", "version": "abc", "tokens": [{"token": "pills", "weight": 2.5}]},
            "entries": [{"_id": "01-0", "inbox": "a@x.org", "startsIn": "inbox", "why": []}], "forwards": [],
        });
        let text = told(&explained);
        for part in [
            "this is what the store has",
            "from <s@y.org> by 127.0.0.1, 7 bytes",
            "spam 0.2500, by which model is not kept",
            "scored anew by the model in force for all mail",
            "spam 0.7500 by the model default, version abc",
            "for spam: pills +2.50",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
