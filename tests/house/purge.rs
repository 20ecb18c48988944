//! Deleted mail gives the disk back.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::mail::plain;
use crate::support::server::House;

const INBOX: &str = "ann@example.org";
const MAILS: usize = 40;

fn segments(data: &Path) -> usize {
    let entries = fs::read_dir(data.join("log/mail.raw/0")).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|name| name == "seg")).count()
}

#[test]
fn segments_of_which_nothing_is_kept_are_given_up_without_any_retention() {
    let mut house = House::new();
    house.config = "[log]\nsegment_bytes = 65536\n[upkeep]\nevery_seconds = 1\n".to_owned();
    let server = house.start();
    for number in 0..MAILS {
        server.deliver(&[INBOX], &plain(&format!("mail{number}"), 20_000));
    }
    let mails = server.inbox_of(INBOX, MAILS);
    let filled = segments(&house.data);
    assert!(filled > 8, "{filled} segments");
    // The oldest but a few: what lies before those goes.
    for mail in mails.iter().skip(4) {
        let id = mail["_id"].as_str().unwrap();
        server.change("DELETE", &format!("/api/addresses/{INBOX}/messages/{id}"), &Value::Null);
    }
    eventually("the oldest segments to go", || (segments(&house.data) <= 4).then_some(()));
    for (number, mail) in mails.iter().take(4).enumerate() {
        let sent = plain(&format!("mail{}", MAILS - 1 - number), 20_000);
        server.content(INBOX, mail["_id"].as_str().unwrap(), &sent);
    }
    server.change("POST", &format!("/api/addresses/{INBOX}"), &json!({}));
    assert_eq!(server.call("DELETE", &format!("/api/addresses/{INBOX}/messages"), &[]).status, 204);
    eventually("all but the segment that grows to go", || (segments(&house.data) == 1).then_some(()));
    assert!(server.stop().success());
    let server = house.start();
    server.deliver(&[INBOX], &plain("after", 2_000));
    server.inbox_of(INBOX, 1);
    assert!(server.stop().success());
    house.run(&["rebuild"]);
}
