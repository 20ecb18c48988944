//! Golden bytes: `golden/<topic>.v<version>.<case>.bin` and beside it the JSON that it is read as. `BLESS=1` writes
//! those of the newest schemas anew; those of older schemas are only ever read.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use schemas::codec::{decode, encode, event_json, schema_id};
use schemas::released::{RELEASES, newest};
use schemas::{Event, Topic};
use serde_json::Value;

use crate::examples;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn stem(event: &Event, case: &str) -> String {
    let version = newest(event.topic()).unwrap().version;
    format!("{}.v{version}.{case}", event.topic())
}

fn blessed() -> bool {
    std::env::var_os("BLESS").is_some_and(|value| value == "1")
}

#[test]
fn every_event_is_written_as_its_golden_bytes() {
    for (case, event) in examples::all() {
        let path = folder().join(stem(&event, case));
        let bytes = encode(&event).unwrap();
        let json = format!("{:#}\n", event_json(&event));
        if blessed() {
            fs::write(path.with_added_extension("bin"), &bytes).unwrap();
            fs::write(path.with_added_extension("json"), json).unwrap();
            continue;
        }
        assert_eq!(fs::read(path.with_added_extension("bin")).unwrap(), bytes, "{path:?}");
        assert_eq!(fs::read_to_string(path.with_added_extension("json")).unwrap(), json, "{path:?}");
    }
}

#[test]
fn every_event_is_read_back_as_it_was() {
    for (case, event) in examples::all() {
        let bytes = encode(&event).unwrap();
        assert_eq!(decode(event.topic(), &bytes).unwrap(), event, "{case}");
    }
}

#[test]
fn golden_bytes_of_every_version_are_read_as_their_json() {
    let mut versions = BTreeSet::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "bin") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let (topic, _) = name.split_once(".v").unwrap();
        let topic: Topic = topic.parse().unwrap();
        let event = decode(topic, &bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let json: Value = serde_json::from_str(&fs::read_to_string(path.with_extension("json")).unwrap()).unwrap();
        let id = schema_id(&bytes).unwrap();
        let read = event_json(&event);
        if newest(topic).is_some_and(|newest| newest.id == id) {
            assert_eq!(read, json, "{name}");
        }
        assert!(holds(&read, &json), "{name}: {read} is not {json} and what has been added since");
        versions.insert(id);
    }
    let released: BTreeSet<i32> = RELEASES.iter().map(|release| release.id).collect();
    assert_eq!(versions, released, "each released schema has golden bytes");
}

/// Whether everything of `json` is in what was read; only members that a later version has added are not in it.
fn holds(read: &Value, json: &Value) -> bool {
    match (read, json) {
        (Value::Object(read), Value::Object(json)) => {
            json.iter().all(|(name, value)| read.get(name).is_some_and(|found| holds(found, value)))
        }
        (Value::Array(read), Value::Array(json)) => {
            read.len() == json.len() && read.iter().zip(json).all(|(read, json)| holds(read, json))
        }
        (read, json) => read == json,
    }
}

#[test]
fn each_variant_of_each_union_and_each_symbol_has_golden_bytes() {
    for release in RELEASES {
        let schema: Value = serde_json::from_str(release.json).unwrap();
        let mut wanted = BTreeSet::new();
        variants(&schema, &mut wanted);
        let prefix = format!("{}.v{}.", release.topic, release.version);
        let mut text = String::new();
        for entry in fs::read_dir(folder()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if name.starts_with(&prefix) && name.ends_with(".json") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
        for name in wanted {
            assert!(text.contains(&format!("\"{name}\"")), "{prefix}*: {name} has no golden bytes");
        }
    }
}

/// The records that are variants of unions without null, and the symbols of enums.
fn variants(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Array(union) => {
            let records = union.iter().filter(|variant| variant["type"] == "record");
            if !union.iter().any(|variant| variant == "null") {
                found.extend(records.map(|record| record["name"].as_str().unwrap().to_owned()));
            }
            union.iter().for_each(|variant| variants(variant, found));
        }
        Value::Object(object) => {
            for symbol in object.get("symbols").and_then(Value::as_array).into_iter().flatten() {
                found.insert(symbol.as_str().unwrap().to_owned());
            }
            for key in ["type", "items"] {
                object.get(key).into_iter().for_each(|inner| variants(inner, found));
            }
            for field in object.get("fields").and_then(Value::as_array).into_iter().flatten() {
                variants(field, found);
            }
        }
        _ => {}
    }
}
