//! `postlog store migrate`: who takes the steps that the tables of a store on CQL lack, and when.

use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::scale::{all_are_there, house_on, send};
use crate::support::PATIENCE;
use crate::support::cassandra::{self, Cassandra};
use crate::support::server::{House, lines_of, text_of};

#[test]
fn a_store_that_lacks_steps_is_refused_where_the_start_may_not_take_them() {
    let mut house = house_on(cassandra::shared());
    house.set("POSTLOG_CQL_MIGRATE", "false");
    let failure = house.try_start().err().expect("it must not start");
    assert!(failure.contains("postlog store migrate"), "{failure}");
    let migrated = house.run(&["store", "migrate", "--json"]);
    let steps: Value = serde_json::from_slice(&migrated.stdout).unwrap();
    assert!(!steps["steps"].as_array().unwrap().is_empty(), "{steps}");
    let again: Value = serde_json::from_slice(&house.run(&["store", "migrate", "--json"]).stdout).unwrap();
    assert_eq!(again["steps"], serde_json::json!([]));
    let server = house.start();
    all_are_there(&server, &send(&server, 0..2));
    assert!(server.stop().success());
}

/// A migration of a store whose server is not up, and what it says.
fn waiting(house: &House) -> (Child, mpsc::Receiver<String>) {
    let mut command = house.command(&["store", "migrate", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = lines_of(child.stderr.take().unwrap());
    (child, lines)
}

#[test]
fn a_migration_waits_for_a_server_that_is_not_up_yet_and_says_so_every_second() {
    let cassandra = Cassandra::absent();
    let house = house_on(&cassandra.address);
    let (child, lines) = waiting(&house);
    let began = Instant::now();
    for _ in 0..3 {
        let line = lines.recv_timeout(PATIENCE).unwrap();
        assert!(line.contains("waiting for the servers") && line.contains(&cassandra.address), "{line}");
    }
    assert!(began.elapsed() < Duration::from_secs(20), "a line a second");
    cassandra.start_again();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text_of(&output));
    let steps: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!steps["steps"].as_array().unwrap().is_empty(), "{steps}");
}

#[test]
fn a_migration_does_not_wait_for_ever() {
    let cassandra = Cassandra::absent();
    let mut house = house_on(&cassandra.address);
    house.set("POSTLOG_CQL_START_WAIT_SECONDS", "1");
    let output = house.command(&["store", "migrate"]).output().unwrap();
    let text = text_of(&output);
    assert!(!output.status.success() && text.contains(&cassandra.address), "{text}");
    assert!(text.contains("waiting for the servers") && text.contains("can't be brought up to date"), "{text}");
}
