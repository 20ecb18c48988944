//! `postlog spam models`: the model that ships in the program, and those that stand on `spam.models`.

use std::collections::BTreeMap;

use anyhow::Context;
use clap::Args;
use hyper::Method;
use mailstore::message::iso;
use processors::spam::{Counts, MODEL_NAME, Model};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::door::{Door, Reach};
use super::super::failure::Failure;
use super::super::{Place, screen};

const PATH: &str = "/api/events/spam.models?from=earliest&follow=false";

#[derive(Debug, Args)]
pub struct Models {
    #[command(flatten)]
    reach: Reach,
    /// Only the one that ships in the program; no server is asked
    #[arg(long)]
    starter: bool,
    /// For programs: a JSON object a line
    #[arg(long)]
    json: bool,
}

/// A record of the topic; without an event, and without a cause, a model is in force no longer. A line without a place
/// is the server's last word.
#[derive(Deserialize)]
struct Line {
    offset: Option<u64>,
    key: Option<String>,
    event: Option<Found>,
    error: Option<String>,
}

impl Line {
    /// Takes the record up. One that can't be read changes nothing, as processors pass over it; it is told.
    fn fold(self, models: &mut BTreeMap<String, Found>) -> anyhow::Result<Option<String>> {
        let Some(offset) = self.offset else {
            anyhow::bail!("the list broke off: {}", self.error.unwrap_or_default());
        };
        match (self.key, self.event, self.error) {
            (Some(key), Some(model), None) => drop(models.insert(key, model)),
            (Some(key), None, None) => drop(models.remove(&key)),
            (key, _, error) => {
                let of = key.map_or_else(String::new, |key| format!(" of {key}"));
                let cause = error.unwrap_or_else(|| "it has no key".to_owned());
                return Ok(Some(format!(
                    "the record{of} at {offset} can't be read, and what stood before it stays in force: {cause}"
                )));
            }
        }
        Ok(None)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Found {
    name: String,
    version: String,
    sequence: i64,
    trained_at: i64,
    spam_messages: i64,
    ham_messages: i64,
}

impl Models {
    pub async fn run(self, place: &Place) -> Result<(), Failure> {
        let mut models = BTreeMap::new();
        if !self.starter {
            let found = &mut models;
            Door::visit_what_is(place, &self.reach, async |door| {
                door.lines(Method::GET, PATH, |line| {
                    let line: Line = serde_json::from_slice(line).context("the server answers with no model")?;
                    if let Some(told) = line.fold(found)? {
                        eprintln!("{}", screen::escaped(&told));
                    }
                    Ok(true)
                })
                .await
            })
            .await?;
        }
        let in_force = if models.contains_key(MODEL_NAME) { "the program's" } else { "the program's, in force" };
        let all = std::iter::once((in_force, starter())).chain(models.into_values().map(|model| ("in force", model)));
        if self.json {
            let lines: String =
                all.map(|(state, model)| format!("{}\n", with_state(&model, state == "the program's"))).collect();
            return screen::print(&lines);
        }
        let rows: Vec<Vec<String>> = all.map(|(state, model)| row(&model, state)).collect();
        screen::print(&screen::table(&["name", "version", "sequence", "trained", "spam", "ham", ""], &rows))
    }
}

fn starter() -> Found {
    let (model, counts) = (Model::starter(), Counts::starter());
    Found {
        name: MODEL_NAME.to_owned(),
        version: model.version().to_owned(),
        sequence: 0,
        trained_at: 0,
        spam_messages: counts.spam_messages().into(),
        ham_messages: counts.ham_messages().into(),
    }
}

fn with_state(model: &Found, is_set_aside: bool) -> serde_json::Value {
    json!({
        "name": model.name, "version": model.version, "sequence": model.sequence, "trained_at": model.trained_at,
        "spam_messages": model.spam_messages, "ham_messages": model.ham_messages, "in_force": !is_set_aside,
    })
}

fn row(model: &Found, state: &str) -> Vec<String> {
    let trained = if model.trained_at == 0 { "-".to_owned() } else { iso(model.trained_at) };
    let numbers = [model.spam_messages, model.ham_messages].map(|count| count.to_string());
    let [spam, ham] = numbers;
    vec![model.name.clone(), model.version.clone(), model.sequence.to_string(), trained, spam, ham, state.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(models: &mut BTreeMap<String, Found>, line: &str) -> anyhow::Result<Option<String>> {
        serde_json::from_str::<Line>(line)?.fold(models)
    }

    #[test]
    fn only_a_tombstone_withdraws_a_model() {
        let mut models = BTreeMap::new();
        let event = r#"{"name": "default", "version": "v", "sequence": 1, "trained_at": 0, "spam_messages": 1, "ham_messages": 2}"#;
        let first = format!(r#"{{"offset": 0, "key": "default", "event": {event}}}"#);
        assert!(fold(&mut models, &first).unwrap().is_none());
        let told = fold(&mut models, r#"{"offset": 1, "key": "default", "event": null, "error": "cut off"}"#).unwrap();
        assert!(told.unwrap().contains("the record of default at 1 can't be read"));
        assert!(fold(&mut models, r#"{"offset": 2, "key": null, "event": null, "error": "gone"}"#).unwrap().is_some());
        assert!(models.contains_key("default"));
        assert!(fold(&mut models, r#"{"error": "the log fails"}"#).is_err(), "what follows is not known");
        assert!(fold(&mut models, r#"{"offset": 3, "key": "default", "event": null}"#).unwrap().is_none());
        assert!(models.is_empty());
    }
}
