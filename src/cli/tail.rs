//! `postlog tail`: the events of a topic, one a line.

use anyhow::{Context, anyhow};
use clap::Args;
use hyper::Method;
use mailstore::message::iso;
use schemas::Topic;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::door::{Door, Reach, segment};
use super::failure::Failure;
use super::{Place, screen};

/// Texts inside an event are cut at so many characters for people.
const MAX_SHOWN_CHARS: usize = 120;

#[derive(Debug, Args)]
pub struct Tail {
    #[command(flatten)]
    reach: Reach,
    /// The topic, such as mail.raw, mail.routed or accounts
    topic: String,
    /// Where to begin: earliest, latest, an offset, or a time such as 2025-11-24T10:00:00Z [default: earliest]
    #[arg(long, value_name = "PLACE")]
    from: Option<String>,
    /// Begin behind a cursor: of a line of --json, a websocket frame, or what the last tail has said at its end
    #[arg(long, value_name = "CURSOR", conflicts_with = "from")]
    after: Option<String>,
    /// So many at most
    #[arg(long, value_name = "NUMBER")]
    limit: Option<u64>,
    /// Go on with what comes
    #[arg(long, short)]
    follow: bool,
    /// For programs: one JSON object a line, nothing cut
    #[arg(long)]
    json: bool,
}

impl Tail {
    pub async fn run(self, place: &Place) -> Result<(), Failure> {
        let topic: Topic =
            self.topic.parse().map_err(|error: schemas::topic::UnknownTopic| Failure::Usage(error.to_string()))?;
        let path = self.path(topic);
        let as_json = self.json;
        let (mut unreadable, mut cursor) = (0_u64, None);
        let (unreadable_seen, cursor_seen) = (&mut unreadable, &mut cursor);
        Door::visit_what_is(place, &self.reach, async |door| {
            door.lines(Method::GET, &path, |line| {
                let told = Told::read(line);
                *unreadable_seen += u64::from(told.error.is_some());
                *cursor_seen = told.cursor.or(cursor_seen.take());
                if as_json {
                    return screen::json_line(line);
                }
                let shown = human(String::from_utf8_lossy(line).trim_end())?;
                screen::write(format!("{}\n", screen::escaped(&shown)).as_bytes())
            })
            .await
        })
        .await?;
        if let Some(cursor) = cursor.filter(|_| !as_json) {
            // Beside what was asked for, so that a pipe carries events alone.
            eprintln!("what comes next: --after {}", screen::escaped(&cursor));
        }
        if unreadable > 0 {
            return Err(anyhow!("of {topic} not everything can be read: {unreadable} of these lines say why").into());
        }
        Ok(())
    }
}

impl Tail {
    fn path(&self, topic: Topic) -> String {
        let place = match (&self.after, &self.from) {
            (Some(cursor), _) => format!("after={}", segment(cursor)),
            (None, from) => format!("from={}", segment(from.as_deref().unwrap_or("earliest"))),
        };
        let limit = self.limit.map(|limit| format!("&limit={limit}")).unwrap_or_default();
        format!("/api/events/{topic}?{place}&follow={}&format=ndjson{limit}", self.follow)
    }
}

/// What a line says besides its event.
#[derive(Default, Deserialize)]
struct Told {
    /// It is about what can't be read.
    error: Option<IgnoredAny>,
    cursor: Option<String>,
}

impl Told {
    fn read(line: &[u8]) -> Self {
        serde_json::from_slice(line).unwrap_or_default()
    }
}

/// `time partition/offset key event`
fn human(line: &str) -> Result<String, Failure> {
    let mut record: Value = serde_json::from_str(line).context("the server answers with a line that is no JSON")?;
    if let Some(event) = record.get_mut("event") {
        cut(event);
    }
    let number = |name: &str| record.get(name).and_then(Value::as_i64).unwrap_or_default();
    let said = match record.get("error").and_then(Value::as_str) {
        Some(error) => format!("can't be read: {error}"),
        None => record.get("event").map(Value::to_string).unwrap_or_default(),
    };
    let (partition, offset, key) = (number("partition"), number("offset"), screen::text_of(&record, "key"));
    Ok(format!("{} {partition}/{offset} {key} {said}", iso(number("timestamp"))))
}

fn cut(value: &mut Value) {
    match value {
        Value::String(text) => {
            let count = text.chars().count();
            if count > MAX_SHOWN_CHARS {
                let start: String = text.chars().take(MAX_SHOWN_CHARS).collect();
                *text = format!("{start}… ({count} characters)");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(cut),
        Value::Object(members) => members.values_mut().for_each(cut),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_about_what_can_not_be_read_is_told_from_others() {
        let names_error = |line: &[u8]| Told::read(line).error.is_some();
        assert!(names_error(br#"{"offset":7,"event":null,"error":"it is cut"}"#));
        assert!(names_error(br#"{"error":"the log is closed"}"#));
        assert!(!names_error(br#"{"offset":7,"event":{"error":"as the mail says"}}"#));
        assert_eq!(Told::read(br#"{"offset":7,"cursor":"AQ"}"#).cursor.as_deref(), Some("AQ"));
    }

    #[test]
    fn a_line_for_people_has_time_place_key_and_a_cut_event() {
        let long = "x".repeat(MAX_SHOWN_CHARS + 1);
        let line = format!(
            r#"{{"topic":"mail.raw","partition":1,"offset":7,"timestamp":0,"key":"k","event":{{"a":"{long}","b":"y"}}}}"#
        );
        let shown = human(&line).unwrap();
        assert!(shown.starts_with("1970-01-01T00:00:00.000Z 1/7 k {"), "{shown}");
        assert!(shown.contains("… (121 characters)") && shown.contains(r#""b":"y""#), "{shown}");
    }
}
