//! What newer programs write: schemas that this one learns at run time, resolved to its own by name.

use apache_avro::Schema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use schemas::codec::{CodecError, MAX_SCHEMA_BYTES, decode, learn};
use schemas::event::{AccountChange, ForwardKind};
use schemas::released::newest;
use schemas::{Event, Topic};

use crate::examples;

/// The newest schema of a topic, changed.
fn changed(topic: Topic, from: &str, to: &str) -> String {
    let json = newest(topic).unwrap().json;
    assert!(json.contains(from), "{from}");
    json.replacen(from, to, 1)
}

fn record(fields: &[(&str, Value)]) -> Value {
    Value::Record(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

fn string(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn written(id: i32, schema: &str, value: &Value) -> Vec<u8> {
    let schema = Schema::parse_str(schema).unwrap();
    let datum = GenericDatumWriter::builder(&schema).validate(false).build().unwrap();
    let mut bytes = vec![0];
    bytes.extend(id.to_be_bytes());
    datum.write_value_ref(&mut bytes, value).unwrap();
    bytes
}

fn account_event(variant: u32, change: Value) -> Value {
    record(&[
        ("event_id", string("e1")),
        ("at", Value::TimestampMillis(5)),
        ("by", Value::Union(0, Box::new(Value::Null))),
        ("change", Value::Union(variant, Box::new(change))),
    ])
}

fn change_of(event: Event) -> AccountChange {
    let Event::Account(event) = event else { panic!("{event:?}") };
    event.change
}

/// `accounts` as a newer program may have it: a field and a kind of change more, at the front to make it hard.
fn newer_accounts() -> String {
    let json = changed(
        Topic::Accounts,
        r#""name": "change", "type": ["#,
        r#""name": "change", "type": [{"type": "record", "name": "Praised", "fields": [{"name": "domain", "type": "string"}]},"#,
    );
    json.replacen(r#""fields": ["#, r#""fields": [{"name": "seen", "type": "int", "default": 0},"#, 1)
}

#[test]
fn a_value_of_a_schema_that_is_not_known_is_read_once_it_is_learnt() {
    let json = changed(Topic::Schemas, r#""fields": ["#, r#""fields": [{"name": "added", "type": "string"},"#);
    let value = written(
        1_001,
        &json,
        &record(&[
            ("added", string("dropped")),
            ("subject", string("s")),
            ("version", Value::Int(2)),
            ("id", Value::Int(3)),
            ("schema", string("{}")),
        ]),
    );
    assert!(matches!(decode(Topic::Schemas, &value), Err(CodecError::UnknownSchema(1_001))));
    learn(1_001, Topic::Schemas, &json).unwrap();
    let Ok(Event::Schema(read)) = decode(Topic::Schemas, &value) else { panic!() };
    assert_eq!((read.subject.as_str(), read.version, read.id), ("s", 2, 3));
    assert!(matches!(decode(Topic::MailRaw, &value), Err(CodecError::OtherTopic { id: 1_001, .. })));
}

#[test]
fn changes_of_the_same_shape_are_told_apart_by_name() {
    let json = newer_accounts();
    learn(1_002, Topic::Accounts, &json).unwrap();
    let domain = || record(&[("domain", string("example.org"))]);
    let mut read = Vec::new();
    for variant in 1..13 {
        let mut event = account_event(variant, domain());
        if let Value::Record(fields) = &mut event {
            fields.insert(0, ("seen".to_owned(), Value::Int(1)));
        }
        let schema = Schema::parse_str(&json).unwrap();
        let mut bytes = vec![0, 0, 0, 3, 0xea];
        let writer = GenericDatumWriter::builder(&schema).validate(false).build().unwrap();
        if writer.write_value_ref(&mut bytes, &event).is_ok() {
            read.extend(decode(Topic::Accounts, &bytes).map(change_of));
        }
    }
    let domain = || "example.org".to_owned();
    let removed = AccountChange::DomainRemoved { domain: domain() };
    let uncaught = AccountChange::CatchAllRemoved { domain: domain() };
    assert_eq!(read, [removed, uncaught]);
}

#[test]
fn a_kind_of_change_that_is_not_known_is_an_error_that_names_it() {
    let json = newer_accounts();
    learn(1_003, Topic::Accounts, &json).unwrap();
    let mut event = account_event(0, record(&[("domain", string("example.org"))]));
    if let Value::Record(fields) = &mut event {
        fields.insert(0, ("seen".to_owned(), Value::Int(1)));
    }
    let error = decode(Topic::Accounts, &written(1_003, &json, &event)).unwrap_err();
    assert!(error.to_string().contains("Praised"), "{error}");
}

#[test]
fn what_an_older_schema_lacked_gets_its_default() {
    // As if `by` had been added later: only fields with defaults may.
    let json = changed(
        Topic::Accounts,
        r#"{"name": "by", "type": ["null", "string"], "default": null, "#,
        "{\"name\": \"who\", \"type\": \"int\", ",
    );
    learn(1_004, Topic::Accounts, &json).unwrap();
    let event = record(&[
        ("event_id", string("e1")),
        ("at", Value::TimestampMillis(5)),
        ("who", Value::Int(1)),
        ("change", Value::Union(1, Box::new(record(&[("account", string("ann"))])))),
    ]);
    let Ok(Event::Account(read)) = decode(Topic::Accounts, &written(1_004, &json, &event)) else { panic!() };
    assert_eq!(read.by, None);
    assert_eq!(read.change, AccountChange::AccountRemoved { account: "ann".to_owned() });
}

#[test]
fn a_symbol_that_is_not_known_is_read_as_the_default() {
    let json = changed(Topic::Accounts, r#""Mail", "Unknown"]"#, r#""Pigeon", "Unknown"]"#);
    learn(1_005, Topic::Accounts, &json).unwrap();
    let forward = record(&[
        ("id", string("f1")),
        ("kind", Value::Enum(2, "Pigeon".to_owned())),
        ("sealed_target", Value::Bytes(vec![1])),
        ("payload", Value::Enum(0, "Full".to_owned())),
        ("ordered", Value::Boolean(false)),
        ("sealed_secrets", Value::Array(Vec::new())),
    ]);
    let settings = record(&[
        ("info", string("")),
        ("enable_websocket", Value::Boolean(false)),
        ("slack_to_from", Value::Boolean(false)),
        ("forwards", Value::Array(vec![forward])),
    ]);
    let change = record(&[("address", string("a@example.org")), ("settings", settings)]);
    let read = change_of(decode(Topic::Accounts, &written(1_005, &json, &account_event(8, change))).unwrap());
    let AccountChange::AddressChanged { settings, .. } = read else { panic!("{read:?}") };
    assert_eq!(settings.forwards[0].kind, ForwardKind::Unknown);
}

#[test]
fn every_example_reads_the_same_by_a_learnt_schema() {
    for (number, topic) in (1_100..).zip(Topic::ALL) {
        // A field more at the end: everything before it stays where it was.
        let json = newest(topic).unwrap().json.trim_end();
        let json = json.strip_suffix("]\n}").unwrap();
        let json = format!("{json}, {{\"name\": \"added\", \"type\": \"boolean\", \"default\": false}}]\n}}");
        learn(number, topic, &json).unwrap();
        for (case, event) in examples::all() {
            if event.topic() != topic {
                continue;
            }
            let mut bytes = schemas::codec::encode(&event).unwrap().to_vec();
            bytes[1..5].copy_from_slice(&number.to_be_bytes());
            bytes.push(1);
            assert_eq!(decode(topic, &bytes).unwrap(), event, "{topic} {case}");
        }
    }
}

#[test]
fn an_id_that_is_taken_is_learnt_for_the_same_schema_only() {
    let schemas = newest(Topic::Schemas).unwrap();
    learn(schemas.id, Topic::Schemas, schemas.json).unwrap();
    let other = changed(Topic::Schemas, r#""type": "int""#, r#""type": "long""#);
    assert!(matches!(learn(schemas.id, Topic::Schemas, &other), Err(CodecError::Schema { .. })));
    assert!(matches!(learn(schemas.id, Topic::Accounts, schemas.json), Err(CodecError::Schema { .. })));
    let added = changed(Topic::Schemas, r#""fields": ["#, r#""fields": [{"name": "x", "type": "string"},"#);
    learn(1_006, Topic::Schemas, &added).unwrap();
    learn(1_006, Topic::Schemas, &added).unwrap();
    assert!(matches!(learn(1_006, Topic::Schemas, schemas.json), Err(CodecError::Schema { .. })));
}

#[test]
fn a_schema_that_can_not_be_read_safely_is_not_learnt() {
    let with = |field: &str| changed(Topic::Schemas, r#""fields": ["#, &format!(r#""fields": [{field},"#));
    let nothings = with(r#"{"name": "x", "type": {"type": "array", "items": "null"}}"#);
    let empty = r#"{"type": "array", "items": {"type": "record", "name": "Empty", "fields": []}}"#;
    let empties = with(&format!(r#"{{"name": "x", "type": {empty}}}"#));
    let itself = with(r#"{"name": "x", "type": ["null", "ReleasedSchema"]}"#);
    let spaces = format!("{}{}", newest(Topic::Schemas).unwrap().json, " ".repeat(MAX_SCHEMA_BYTES));
    let lacking = changed(Topic::Schemas, r#""name": "subject""#, r#""name": "other""#);
    for (number, json) in (1_200..).zip(["", "{}", &nothings, &empties, &itself, &spaces, &lacking]) {
        let refused = learn(number, Topic::Schemas, json);
        assert!(matches!(refused, Err(CodecError::Schema { id, .. }) if id == number), "{number}: {refused:?}");
    }
}
