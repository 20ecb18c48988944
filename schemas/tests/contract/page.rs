//! `docs/events.md`: the part below its mark is made of the topics and the schemas. `BLESS=1` writes it.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use schemas::Topic;
use schemas::released::newest;
use schemas::topic::{Kept, Partitions};
use serde_json::Value;

const MARK: &str = "<!-- Made of schemas/avsc by `BLESS=1 cargo test -p schemas page`: change those. -->\n";

#[test]
fn the_page_says_what_the_schemas_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/events.md");
    let text = fs::read_to_string(&path).unwrap();
    let (by_hand, _) = text.split_once(MARK).expect("docs/events.md has the mark");
    let whole = format!("{by_hand}{MARK}{}", Topic::ALL.into_iter().map(section).collect::<String>());
    if std::env::var("BLESS").as_deref() == Ok("1") {
        fs::write(&path, &whole).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap() == whole, "docs/events.md is behind: run the tests with BLESS=1");
}

fn section(topic: Topic) -> String {
    let release = newest(topic).unwrap();
    let schema: Value = serde_json::from_str(release.json).unwrap();
    let mut page = format!("\n## {topic}\n\n{}\n\n", text(&schema["doc"]));
    let partitions = match topic.partitions() {
        Partitions::Many => "`log.partitions` of them",
        Partitions::One => "one: every node sees one order",
    };
    let kept = match topic.kept() {
        Kept::AsRaw => "as long as the mail in `mail.raw` that caused it".to_owned(),
        Kept::RawRetention => {
            "`log.retention_days` and `log.retention_bytes`; not set: as long as the store".to_owned()
        }
        Kept::AsStore => "as long as the store keeps mail".to_owned(),
        Kept::Days(days) => format!("{days} days"),
        Kept::ForEver => "for ever".to_owned(),
        Kept::Compacted => "the last record of each key (compacted)".to_owned(),
    };
    let _ = write!(page, "- Partitions: {partitions}. Kept: {kept}.\n- Subject `{}`, ", topic.subject());
    let _ = writeln!(page, "newest version {} with id {}.\n- Twice: {}", release.version, release.id, twice(topic));
    let _ = write!(page, "\n| field | type | what it is |\n|---|---|---|\n");
    fields("", &schema, &mut page);
    page
}

/// How a consumer notices what it has seen already.
const fn twice(topic: Topic) -> &'static str {
    match topic {
        Topic::MailRaw => {
            "a `message_id` stands here once, unless a dead letter was put back: keep the first by `message_id`."
        }
        Topic::MailParsed => "keep the last by `message_id`.",
        Topic::MailScored => {
            "each message has a first score and perhaps later ones; the one that counts has the highest `model_sequence`, \
             then the highest offset."
        }
        Topic::MailRouted => {
            "the last record of a `message_id` replaces those before it whole. Skip records whose `replay` is not null \
             where you tell somebody of new mail."
        }
        Topic::MailActions => "changes are resulting values, never toggles: applying one twice is applying it once.",
        Topic::Accounts => "by `event_id`; of two that exclude each other the one with the lower offset holds.",
        Topic::ForwardDue => "by `delivery_id`; a record without a value says that the delivery has ended.",
        Topic::ForwardAttempts => "by `delivery_id` and `attempt`.",
        Topic::DeadLetters => {
            "by `origin` and `stage`. A record without a value ends the letters of its key: headers `postlog.outcome` \
             (`retried` or `dropped`), `postlog.by`, `postlog.place`."
        }
        Topic::Schemas => {
            "by key: `subject/version` is ours, `subject/version/id` the id that an outside registry gave. Values here \
             always carry our id."
        }
        _ => "the last record of a key replaces those before it.",
    }
}

fn fields(path: &str, schema: &Value, page: &mut String) {
    for field in schema["fields"].as_array().into_iter().flatten() {
        let path = format!("{path}{}", text(&field["name"]));
        let doc = text(&field["doc"]).replace('|', "\\|");
        let _ = writeln!(page, "| `{path}` | {} | {doc} |", kind(&field["type"]));
        inner(&path, &field["type"], page);
    }
}

/// What stands inside a field: the fields of a record, of a list's records, of each kind of a change.
fn inner(path: &str, schema: &Value, page: &mut String) {
    let variants = schema.as_array();
    let records = variants.map_or(0, |all| all.iter().filter(|one| one["type"] == "record").count());
    for variant in variants.into_iter().flatten() {
        if records > 1 && variant["type"] == "record" {
            let name = text(&variant["name"]);
            let _ = writeln!(page, "| `{path}` = `{name}` | record | {} |", text(&variant["doc"]));
            fields(&format!("{path}.{name}."), variant, page);
        } else {
            inner(path, variant, page);
        }
    }
    if schema["type"] == "array" {
        inner(&format!("{path}[]"), &schema["items"], page);
    }
    if schema["type"] == "record" {
        fields(&format!("{path}."), schema, page);
    }
}

fn kind(schema: &Value) -> String {
    if let Some(variants) = schema.as_array() {
        let kinds: Vec<String> = variants.iter().filter(|one| *one != "null").map(kind).collect();
        let all = if kinds.len() > 2 { "one of several".to_owned() } else { kinds.join(" or ") };
        return if variants.iter().any(|one| one == "null") { format!("{all}, or null") } else { all };
    }
    if schema["logicalType"] == "timestamp-millis" {
        return "time (ms)".to_owned();
    }
    match schema["type"].as_str() {
        Some("array") => format!("list of {}", kind(&schema["items"])),
        Some("enum") => {
            let symbols: Vec<&str> = schema["symbols"].as_array().into_iter().flatten().map(text).collect();
            format!("one of {}", symbols.join(", "))
        }
        Some("record") => format!("record {}", text(&schema["name"])),
        Some(other) => other.to_owned(),
        None => text(schema).to_owned(),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
