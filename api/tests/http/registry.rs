//! The schema registry's read calls, as stock clients make them.

use schemas::event::ReleasedSchema;
use schemas::released::newest;
use schemas::{Event, NewRecord, Topic, codec, standing};
use serde_json::{Value, json};

use crate::house::House;

const V1: &str = "application/vnd.schemaregistry.v1+json";

async fn get(house: &House, path: &str) -> Value {
    let answer = house.ask(&format!("GET {path}")).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    assert_eq!(answer.header("content-type"), V1, "{path}");
    answer.json()
}

#[track_caller]
fn failed(answer: &crate::house::Answer, status: u16, code: u32, message: &str) {
    let body = answer.json();
    assert_eq!((answer.status.as_u16(), &body["error_code"]), (status, &json!(code)), "{body}");
    assert_eq!(body["message"], message);
    assert_eq!(answer.header("content-type"), V1);
}

#[tokio::test]
async fn every_subject_version_and_id_is_shown_to_anybody() {
    let house = House::new().await;
    let subjects: Vec<String> = serde_json::from_value(get(&house, "/subjects").await).unwrap();
    assert_eq!(subjects.len(), Topic::ALL.len());
    assert_eq!(get(&house, "/subjects?subjectPrefix=forward.&deleted=true").await.as_array().unwrap().len(), 2);
    assert_eq!(get(&house, "/subjects?subjectPrefix=:*:forward.due").await, json!(["forward.due-value"]));
    assert_eq!(get(&house, "/subjects?deletedOnly=true").await, json!([]));
    for topic in Topic::ALL {
        let (release, subject) = (newest(topic).unwrap(), topic.subject());
        let latest = get(&house, &format!("/subjects/{subject}/versions/latest")).await;
        let expected = json!({
            "subject": subject, "version": release.version, "id": release.id, "schema": release.json,
        });
        assert_eq!(latest, expected);
        assert_eq!(get(&house, &format!("/subjects/{subject}/versions/-1")).await, latest);
        let (version, id) = (release.version, release.id);
        assert_eq!(get(&house, &format!("/subjects/{subject}/versions/{version}")).await, latest);
        let versions: Vec<i32> = (1..=version).collect();
        assert_eq!(get(&house, &format!("/subjects/{subject}/versions")).await, json!(versions));
        assert_eq!(get(&house, &format!("/schemas/ids/{id}")).await, json!({"schema": release.json}));
        assert_eq!(get(&house, &format!("/schemas/ids/{id}/subjects")).await, json!([subject]));
        let placed = json!([{"subject": subject, "version": version}]);
        assert_eq!(get(&house, &format!("/schemas/ids/{id}/versions")).await, placed);
        let plain: Value = serde_json::from_str(release.json).unwrap();
        assert_eq!(get(&house, &format!("/schemas/ids/{id}/schema")).await, plain);
        assert_eq!(get(&house, &format!("/subjects/{subject}/versions/latest/schema")).await, plain);
        assert_eq!(get(&house, &format!("/subjects/{subject}/versions/1/referencedby")).await, json!([]));
    }
    assert_eq!(get(&house, "/schemas/types").await, json!(["AVRO"]));
    assert_eq!(get(&house, "/schemas?latestOnly=true").await.as_array().unwrap().len(), subjects.len());
    assert_eq!(get(&house, "/contexts").await, json!(["."]));
    assert_eq!(get(&house, "/mode").await, json!({"mode": "READONLY"}));
    assert_eq!(get(&house, "/config").await, json!({"compatibilityLevel": "FULL_TRANSITIVE"}));
    let grows = json!({"compatibilityLevel": "BACKWARD_TRANSITIVE"});
    assert_eq!(get(&house, "/config/accounts-value").await, grows);
    let others = get(&house, "/config/mail.raw-value?defaultToGlobal=true").await;
    assert_eq!(others, json!({"compatibilityLevel": "FULL_TRANSITIVE"}));
}

#[tokio::test]
async fn what_is_not_there_is_told_by_the_numbers_that_clients_know() {
    let house = House::new().await;
    let cases: [(&str, u16, u32, &str); 10] = [
        ("/subjects/x-value/versions", 404, 40401, "Subject 'x-value' not found."),
        ("/subjects/x-value/versions/latest", 404, 40401, "Subject 'x-value' not found."),
        ("/subjects/mail.raw-value/versions/9", 404, 40402, "Version 9 not found."),
        (
            "/subjects/mail.raw-value/versions/0",
            422,
            42202,
            "The specified version '0' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\"",
        ),
        ("/schemas/ids/4711", 404, 40403, "Schema 4711 not found"),
        ("/schemas/ids/4711/versions", 404, 40403, "Schema 4711 not found"),
        ("/schemas/ids/x", 404, 404, "HTTP 404 Not Found"),
        (
            "/config/mail.raw-value",
            404,
            40408,
            "Subject 'mail.raw-value' does not have subject-level compatibility configured",
        ),
        ("/mode/x", 404, 40409, "Subject 'x' does not have subject-level mode configured"),
        ("/subjects/accounts-value", 405, 405, "HTTP 405 Method Not Allowed"),
    ];
    for (path, status, code, message) in cases {
        failed(&house.ask(&format!("GET {path}")).await, status, code, message);
    }
}

#[tokio::test]
async fn a_schema_that_stands_here_is_found_and_nothing_is_registered_or_removed() {
    let house = House::new().await;
    let release = newest(Topic::MailScored).unwrap();
    let parsed: Value = serde_json::from_str(release.json).unwrap();
    let body = json!({"schema": parsed.to_string()}).to_string();
    let found = house.send("POST /subjects/mail.scored-value", &body).await;
    assert_eq!((found.status.as_u16(), found.json()["id"].as_i64()), (200, Some(i64::from(release.id))));
    assert_eq!((found.json()["version"].as_i64(), found.header("content-type")), (Some(1), V1));
    let registered = house.send("POST /subjects/mail.scored-value/versions", &body).await;
    assert_eq!((registered.status.as_u16(), registered.json()), (200, json!({"id": release.id})));
    let asked = |line: &'static str, body: &'static str| house.send(line, body);
    let other = r#"{"schema": "\"string\""}"#;
    failed(&asked("POST /subjects/mail.scored-value", other).await, 404, 40403, "Schema not found");
    failed(&asked("POST /subjects/x", other).await, 404, 40401, "Subject 'x' not found.");
    failed(&asked("POST /subjects/x", "{").await, 400, 400, "Unable to process JSON");
    for (line, body) in [
        ("POST /subjects/mail.scored-value/versions", other),
        ("POST /subjects/x/versions", other),
        ("DELETE /subjects/mail.raw-value", ""),
        ("DELETE /subjects/mail.raw-value/versions/1", ""),
        ("PUT /config", "{}"),
        ("PUT /mode/mail.raw-value", "{}"),
    ] {
        let answer = house.send(line, body).await;
        assert_eq!((answer.status.as_u16(), answer.json()["error_code"].as_i64()), (422, Some(42205)), "{line}");
    }
    let invalid = house.send("POST /subjects/mail.scored-value", r#"{"schema": "{"}"#).await;
    assert_eq!((invalid.status.as_u16(), invalid.json()["error_code"].as_i64()), (422, Some(42201)));
}

#[tokio::test]
async fn the_content_type_is_the_one_that_the_caller_takes() {
    let house = House::new().await;
    for (accepted, given) in [
        ("*/*", V1),
        ("application/vnd.schemaregistry.v1+json,application/json;q=0.5", V1),
        ("application/vnd.schemaregistry+json;q=0.9,application/json", "application/vnd.schemaregistry+json"),
        ("application/json", "application/json"),
        ("text/html", V1),
    ] {
        let answer = house.ask(&format!("GET /subjects none accept={accepted}")).await;
        assert_eq!(answer.header("content-type"), given, "{accepted}");
    }
}

#[tokio::test]
async fn what_a_newer_program_or_an_outside_registry_has_put_on_the_log_is_served_at_once() {
    let house = House::new().await;
    let release = newest(Topic::MailScored).unwrap();
    let newer = ReleasedSchema {
        subject: "mail.scored-value".into(),
        version: 2,
        id: 900,
        schema: release.json.replacen("\"fields\": [", "\"fields\": [{\"name\": \"x\", \"type\": \"int\"},", 1),
    };
    let outside = ReleasedSchema { version: 1, id: 2, schema: release.json.to_owned(), ..newer.clone() };
    for (schema, is_outside) in [(newer.clone(), false), (outside, true)] {
        let key = standing::key(&schema, is_outside);
        let value = codec::encode(&Event::Schema(schema)).unwrap();
        house.log_append(NewRecord::new(Topic::Schemas, key, value)).await;
    }
    assert_eq!(get(&house, "/schemas/ids/900").await, json!({"schema": newer.schema}));
    assert_eq!(get(&house, "/subjects/mail.scored-value/versions").await, json!([1, 2]));
    // The id in use is the outside one; ours is still read.
    assert_eq!(get(&house, "/subjects/mail.scored-value/versions/1").await["id"], 2);
    assert_eq!(get(&house, "/schemas/ids/3").await, json!({"schema": release.json}));
    // An id that means two things is told apart by the subject.
    let parsed = newest(Topic::MailParsed).unwrap().json;
    assert_eq!(get(&house, "/schemas/ids/2?subject=mail.parsed-value").await, json!({"schema": parsed}));
    assert_eq!(get(&house, "/schemas/ids/2?subject=mail.scored-value").await, json!({"schema": release.json}));
}
