//! What readers see is computed from the log, and can be computed again.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::mail::plain;
use crate::support::on_every_ground;
use crate::support::server::{House, OnLog, Server};

on_every_ground!(a_rebuild_changes_nothing_with_one_partition, a_rebuild_changes_nothing_with_three_partitions);

const MAILS: usize = 120;
const MAIL_BYTES: usize = 10 * 1024;
const SEGMENT_BYTES: usize = 128 * 1024;

/// Mail in several inboxes, with stars, deletions, reservations and a catch-all.
fn furnish(server: &Server) {
    server.change("POST", "/api/addresses/own@example.org", &json!({"info": "own"}));
    let mut client = server.smtp();
    for number in 0..MAILS {
        let inbox = format!("inbox{}@example.org", number % 4);
        let content = plain(&token(number), MAIL_BYTES);
        client.send("sender@example.com", &[&inbox, "own@example.org"], &content).unwrap().queued_as();
    }
    for inbox in ["inbox0@example.org", "inbox1@example.org"] {
        let mails = server.inbox_of(inbox, MAILS / 4);
        for message in [&mails[0], &mails[10], mails.last().unwrap()] {
            server.change("PUT", &format!("/api/addresses/{inbox}/messages/{}/star", id(message)), &Value::Null);
        }
        server.change("DELETE", &format!("/api/addresses/{inbox}/messages/{}", id(&mails[5])), &Value::Null);
    }
    server.inbox_of("own@example.org", MAILS);
}

fn token(number: usize) -> String {
    format!("mail{number:04}")
}

fn id(message: &Value) -> &str {
    message["_id"].as_str().unwrap()
}

fn a_rebuild_changes_nothing_with_one_partition(log: OnLog) {
    rebuild(&House::with_partitions_on(log, 1));
}

fn a_rebuild_changes_nothing_with_three_partitions(log: OnLog) {
    rebuild(&House::with_partitions_on(log, 3));
}

fn rebuild(house: &House) {
    let server = house.start();
    furnish(&server);
    let dump = house.dump();
    assert!(dump.lines().count() > MAILS, "{dump}");
    for line in dump.lines() {
        let _: Value = serde_json::from_str(line).unwrap();
    }
    house.run(&["rebuild"]);
    assert_eq!(house.dump(), dump, "rebuilt while the server runs");
    server.deliver(&["later@example.org"], &plain("later", 500));
    server.inbox_of("later@example.org", 1);
    let dump = house.dump();
    assert!(server.stop().success());
    house.run(&["rebuild"]);
    assert_eq!(house.dump(), dump, "rebuilt while nobody runs");
}

#[test]
fn a_rebuild_keeps_what_is_older_than_the_log_stars_and_their_bytes_included() {
    let mut house = House::with_partitions(1);
    let large = house.config.clone();
    house.config = format!("{large}segment_bytes = {SEGMENT_BYTES}\n");
    let server = house.start();
    furnish(&server);
    assert!(server.stop().success());
    let half = MAILS * MAIL_BYTES / 2;
    house.config =
        format!("{large}segment_bytes = {SEGMENT_BYTES}\nretention_bytes = {half}\n[upkeep]\nevery_seconds = 1\n");
    let server = house.start();
    eventually("the first half of the log is removed", || {
        let events = server.text("/api/events/mail.raw?from=earliest&follow=false");
        let first: Value = serde_json::from_str(events.lines().next()?).ok()?;
        (first["offset"].as_u64()? > MAILS as u64 / 4).then_some(())
    });
    let starred = starred(&server);
    assert_eq!(starred.len(), 6, "stars outlive the log");
    let dump = house.dump();
    house.run(&["rebuild"]);
    assert_eq!(house.dump(), dump);
    for (inbox, message) in &starred {
        let sent = plain(message["subject"].as_str().unwrap(), MAIL_BYTES);
        server.content(inbox, id(message), &sent);
    }
    assert!(server.stop().success());
    let server = house.start();
    assert_eq!(house.dump(), dump, "and after a restart");
    assert_eq!(self::starred(&server).len(), 6);
    assert!(server.stop().success());
}

#[test]
fn a_kill_in_the_middle_of_a_rebuild_changes_nothing() {
    let house = House::with_partitions(3);
    let server = house.start();
    furnish(&server);
    let dump = house.dump();
    let rebuilding = house.command(&["rebuild"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    server.kill();
    let _ = rebuilding.wait_with_output();
    let server = house.start();
    eventually("the same as before", || (house.dump() == dump).then_some(()));
    house.run(&["rebuild"]);
    assert_eq!(house.dump(), dump);
    assert!(server.stop().success());
}

fn starred(server: &Server) -> Vec<(&'static str, Value)> {
    let mut starred = Vec::new();
    for inbox in ["inbox0@example.org", "inbox1@example.org"] {
        let mails = server.inbox(inbox).into_iter().filter(|message| message["savedBy"].is_string());
        starred.extend(mails.map(|message| (inbox, message)));
    }
    starred
}
