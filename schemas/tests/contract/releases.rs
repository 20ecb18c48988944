//! A released schema is for ever: its file never changes, its id neither, and what replaces it has to be read by
//! programs that know only it, and has to read what it wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use apache_avro::Schema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use schemas::Topic;
use schemas::released::{RELEASES, newest, released};
use sha2::{Digest, Sha256};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("avsc")
}

fn fingerprints_file() -> PathBuf {
    folder().join("fingerprints.txt")
}

fn sha256(text: &str) -> String {
    let mut hexadecimal = String::new();
    for byte in Sha256::digest(text) {
        write!(hexadecimal, "{byte:02x}").unwrap();
    }
    hexadecimal
}

/// Whether programs that know one of the two can read what programs that know the other wrote. A union may grow: a
/// kind of change that is new can't be read by an old program, everything else can.
fn compatible(earlier: &str, later: &str) -> Result<(), String> {
    let parse = |json: &str| Schema::parse_str(json).map_err(|error| error.to_string());
    let (earlier, later) = (parse(earlier)?, parse(later)?);
    match SchemaCompatibility::can_read(&earlier, &later) {
        Ok(Compatibility::Full) => {}
        Ok(Compatibility::Partial) => return Err("new programs can't read all that is on the log".to_owned()),
        Err(error) => return Err(format!("new programs can't read the log: {error}")),
    }
    SchemaCompatibility::can_read(&later, &earlier).map_err(|error| format!("old programs can't read it: {error}"))?;
    Ok(())
}

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/fixtures");
    fs::read_to_string(folder.join(format!("{name}.avsc"))).unwrap()
}

#[test]
fn a_released_file_is_never_changed() {
    let recorded = fs::read_to_string(fingerprints_file()).unwrap_or_default();
    let recorded: BTreeMap<String, String> = recorded
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(fingerprint, row)| (row.to_owned(), fingerprint.to_owned()))
        .collect();
    let mut found = recorded.clone();
    for release in RELEASES {
        let row = format!("{} {}.v{}.avsc", release.id, release.topic, release.version);
        let fingerprint = sha256(release.json);
        let file = folder().join(format!("{}.v{}.avsc", release.topic, release.version));
        assert_eq!(fs::read_to_string(file).unwrap(), release.json, "{row}");
        assert_eq!(*found.entry(row.clone()).or_insert_with(|| fingerprint.clone()), fingerprint, "{row} was changed");
    }
    assert_eq!(found.len(), RELEASES.len(), "a released schema was removed, or has another id or version");
    if found != recorded {
        // Rows are added, never changed: a change has failed above.
        assert_eq!(std::env::var("BLESS").as_deref(), Ok("1"), "new schemas: record them with BLESS=1");
        let lines = found.iter().map(|(row, fingerprint)| format!("{fingerprint}  {row}\n"));
        fs::write(fingerprints_file(), lines.collect::<String>()).unwrap();
    }
}

#[test]
fn every_file_is_released_and_every_topic_has_a_schema() {
    let files: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".avsc"))
        .collect();
    let released: BTreeSet<String> =
        RELEASES.iter().map(|release| format!("{}.v{}.avsc", release.topic, release.version)).collect();
    assert_eq!(files, released);
    for topic in Topic::ALL {
        assert!(newest(topic).is_some(), "{topic}");
    }
}

#[test]
fn ids_count_from_1_and_versions_count_within_their_topic() {
    let mut versions: BTreeMap<Topic, i32> = BTreeMap::new();
    for (expected, release) in (1..).zip(RELEASES) {
        let version = versions.entry(release.topic).or_default();
        *version += 1;
        assert_eq!((release.id, release.version), (expected, *version));
    }
    let first = &released()[0];
    assert_eq!((first.subject.as_str(), first.version, first.id), ("mail.raw-value", 1, 1));
}

#[test]
fn every_schema_is_compatible_with_every_earlier_one_of_its_topic() {
    for later in RELEASES {
        for earlier in RELEASES {
            if earlier.topic == later.topic && earlier.version <= later.version {
                let checked = compatible(earlier.json, later.json);
                assert_eq!(checked, Ok(()), "{} v{} and v{}", later.topic, earlier.version, later.version);
            }
        }
    }
}

#[test]
fn an_incompatible_change_is_found() {
    let newest = newest(Topic::MailScored).unwrap().json;
    assert_eq!(compatible(newest, &fixture("field-added-with-default")), Ok(()));
    for (name, cause) in [
        ("field-removed-without-default", "old programs can't read it"),
        ("field-added-without-default", "new programs can't read the log"),
        ("field-of-another-type", "new programs can't read the log"),
        ("record-renamed", "new programs can't read the log"),
    ] {
        let found = compatible(newest, &fixture(name));
        assert!(found.as_ref().is_err_and(|error| error.starts_with(cause)), "{name}: {found:?}");
    }
    let actions = schemas::released::newest(Topic::MailActions).unwrap().json;
    let fewer = fixture("variant-removed");
    assert!(compatible(actions, &fewer).is_err_and(|error| error.starts_with("new programs can't read all")));
    assert_eq!(compatible(&fewer, actions), Ok(()), "a union may grow");
}

#[test]
fn every_field_record_and_enum_says_what_it_means() {
    for release in RELEASES {
        let schema: serde_json::Value = serde_json::from_str(release.json).unwrap();
        assert_eq!(schema["namespace"], "postlog");
        described(&schema, &format!("{} v{}", release.topic, release.version));
    }
}

/// Aliases and other ways that the codec's resolution doesn't know stay out.
fn described(schema: &serde_json::Value, path: &str) {
    let named = schema.get("name").and_then(serde_json::Value::as_str);
    let path = named.map_or_else(|| path.to_owned(), |name| format!("{path} {name}"));
    assert!(schema.get("aliases").is_none(), "{path} has aliases");
    if named.is_some() {
        assert!(schema["doc"].as_str().is_some_and(|doc| !doc.is_empty()), "{path} has no doc");
    }
    if schema["type"] == "enum" {
        assert!(schema["default"].is_string(), "{path} has no default symbol");
    }
    for inner in ["type", "items"].into_iter().filter_map(|key| schema.get(key)) {
        described(inner, &path);
    }
    for variant in schema.as_array().into_iter().flatten().chain(schema["fields"].as_array().into_iter().flatten()) {
        described(variant, &path);
    }
}
