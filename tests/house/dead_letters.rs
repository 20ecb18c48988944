//! What can't be processed: it has a letter that says why, can be put back or left, and stops nobody behind it.

use schemas::event::ReleasedSchema;
use schemas::released::newest;
use schemas::{Event, NewRecord, Topic, codec};
use serde_json::Value;

use crate::support::eventually;
use crate::support::log::append;
use crate::support::mail::{plain, raw};
use crate::support::server::{House, Server, text_of};

const ANN: &str = "ann@example.org";
/// It would clear a terminal: by ESC, and by the one character that means the same.
const EVIL: &str = "\x1b[2J\u{9b}2Jevil";
/// Of a program that this one knows nothing of.
const UNKNOWN_ID: i32 = 900;

fn letters(house: &House, arguments: &[&str]) -> Vec<Value> {
    let output = house.run(&[&["dead-letters", "list", "--json"], arguments].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn origins(letters: &[Value]) -> Vec<&str> {
    letters.iter().map(|letter| letter["origin"].as_str().unwrap()).collect()
}

fn open_letters(server: &Server, count: usize) {
    eventually(&format!("{count} open letters"), || {
        let page = server.json("/api/admin/dead-letters");
        (page["letters"].as_array().unwrap().len() == count).then_some(())
    });
}

#[test]
fn poison_has_letters_and_what_can_be_read_later_is_put_back_and_arrives() {
    let house = House::new();
    assert!(house.start().stop().success());
    let (id, mut unknown) = raw("later", ANN);
    unknown[1..5].copy_from_slice(&UNKNOWN_ID.to_be_bytes());
    let key = id.as_str();
    let poison = [(key, b"".to_vec()), (EVIL, b"\x01\x1b[2Jevil".to_vec()), (key, unknown), (key, vec![0, 0, 0])];
    append(
        &house.data,
        poison.into_iter().map(|(key, value)| NewRecord::new(Topic::MailRaw, key.to_owned(), value)).collect(),
    );
    let server = house.start();
    server.deliver(&["bob@example.org"], &plain("behind", 300));
    server.inbox_of("bob@example.org", 1);
    open_letters(&server, 4);
    let listed = letters(&house, &[]);
    assert_eq!(origins(&listed), ["mail.raw/0/0", "mail.raw/0/1", "mail.raw/0/2", "mail.raw/0/3"]);
    for (letter, cause) in listed.iter().zip(["empty", "magic byte", "schema id 900", "ends inside"]) {
        assert!(letter["cause"].as_str().unwrap().contains(cause), "{letter}");
        assert_eq!((&letter["stage"], &letter["decision"]), (&Value::from("processors"), &Value::Null));
    }
    narrowed(&house);
    shown(&house);
    decided(&house, &server);
    assert!(server.stop().success());

    // The program that wrote it comes, and its schema with it.
    let schema = ReleasedSchema {
        subject: Topic::MailRaw.subject(),
        version: 2,
        id: UNKNOWN_ID,
        schema: newest(Topic::MailRaw).unwrap().json.to_owned(),
    };
    let value = codec::encode(&Event::Schema(schema)).unwrap();
    append(&house.data, vec![NewRecord::new(Topic::Schemas, "mail.raw-value/2", value)]);
    let server = house.start();
    house.run(&["dead-letters", "retry", "mail.raw/0/2", "--again"]);
    let entry = server.inbox_of(ANN, 1).remove(0);
    assert_eq!(entry["_id"], format!("{id}-0"));
    house.run(&["dead-letters", "retry", "mail.raw/0/2", "--again"]);
    server.deliver(&["bob@example.org"], &plain("behind again", 300));
    server.inbox_of("bob@example.org", 2);
    assert_eq!(server.inbox(ANN).len(), 1, "the same message twice is the same entry");
    server.content(ANN, entry["_id"].as_str().unwrap(), &plain("later", 300));
    assert!(server.stop().success());
}

fn narrowed(house: &House) {
    assert_eq!(letters(house, &["--stage", "store"]).len(), 0);
    assert_eq!(letters(house, &["--topic", "mail.raw", "--limit", "2"]).len(), 2);
    assert_eq!(letters(house, &["--since", "2999-01-01"]).len(), 0);
    assert_eq!(letters(house, &["--since", "2020-01-01", "--stage", "processors"]).len(), 4);
}

fn shown(house: &House) {
    let text = text_of(&house.run(&["dead-letters", "show", "mail.raw/0/1"]));
    assert!(text.contains("011b5b324a6576696c") && text.contains("magic byte"), "{text}");
    assert!(text.contains("\\u{1b}[2J\\u{9b}2Jevil"), "{text}");
    let json = text_of(&house.run(&["dead-letters", "show", "mail.raw/0/1", "--json"]));
    assert!(json.contains("\\u001b[2J\\u009b2Jevil"), "{json}");
    for said in [&text, &json] {
        assert!(!said.contains(['\x1b', '\u{9b}']), "no letter reaches the terminal as it came");
    }
    let table = text_of(&house.run(&["dead-letters", "list"]));
    assert!(table.contains("mail.raw/0/3") && !table.contains('\x1b'), "{table}");
    let missing = house.command(&["dead-letters", "show", "mail.raw/0/99"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(1), "{}", text_of(&missing));
}

fn decided(house: &House, server: &Server) {
    house.run(&["dead-letters", "drop", "mail.raw/0/0", "mail.raw/0/1"]);
    assert_eq!(origins(&letters(house, &[])), ["mail.raw/0/2", "mail.raw/0/3"]);
    let dry = text_of(&house.run(&["dead-letters", "retry", "--every", "--dry-run"]));
    assert!(dry.contains("mail.raw/0/2") && dry.contains("mail.raw/0/3"), "{dry}");
    // Put back while nothing has changed, it fails again, at its new place.
    house.run(&["dead-letters", "retry", "mail.raw/0/2"]);
    open_letters(server, 2);
    assert_eq!(origins(&letters(house, &[])), ["mail.raw/0/3", "mail.raw/0/5"]);
    let twice = house.command(&["dead-letters", "retry", "mail.raw/0/2", "mail.raw/0/0"]).output().unwrap();
    assert_eq!(twice.status.code(), Some(4), "{}", text_of(&twice));
    assert!(text_of(&twice).contains("mail.raw/0/5"), "{}", text_of(&twice));
    let all = letters(house, &["--all"]);
    let decision = |place: usize| all[place]["decision"]["outcome"].as_str();
    assert_eq!((decision(0), decision(2), decision(3)), (Some("dropped"), Some("retried"), None));
    assert_eq!((&all[2]["decision"]["place"], &all[2]["decision"]["by"]), (&"mail.raw/0/5".into(), &"admin".into()));
}

#[test]
fn decisions_are_an_administrators() {
    let house = House::new();
    let server = house.start();
    for (method, path) in [
        ("GET", "/api/admin/dead-letters"),
        ("GET", "/api/admin/dead-letters/mail.raw/0/0"),
        ("POST", "/api/admin/dead-letters/mail.raw/0/0/retry"),
        ("POST", "/api/admin/dead-letters/mail.raw/0/0/drop"),
    ] {
        let answer = crate::support::http::request(server.http, method, path, &[], &[]).unwrap();
        assert_eq!(answer.status, 401, "{method} {path}");
        let expected = if path.ends_with("letters") { 200 } else { 404 };
        assert_eq!(server.call(method, path, &[]).status, expected, "{method} {path}");
    }
}
