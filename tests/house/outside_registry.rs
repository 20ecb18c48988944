//! With an outside schema registry: its ids on the wire, both kinds readable, and a start that stops when it refuses.

use std::fs;

use schemas::released::{RELEASES, newest};
use schemas::{Topic, codec};

use crate::support::log::read;
use crate::support::mail::plain;
use crate::support::registry::Registry;
use crate::support::server::House;

const ANN: &str = "ann@example.org";
/// Far from ours, which count from 1.
const FIRST_ID: i64 = 100_001;

fn with(registry: &Registry, more: &str) -> House {
    let mut house = House::new();
    house.config = format!("[schema_registry]\nurl = \"{}\"\n{more}", registry.url());
    house
}

fn ids(house: &House, topic: Topic) -> Vec<i32> {
    read(&house.data, topic).iter().map(|record| codec::schema_id(record.value.as_ref().unwrap()).unwrap()).collect()
}

#[test]
fn values_carry_the_ids_of_the_registry_and_those_written_before_are_still_read() {
    let registry = Registry::starting_at(FIRST_ID);
    let mut house = House::new();
    let server = house.start();
    server.deliver(&[ANN], &plain("ours", 300));
    server.inbox_of(ANN, 1);
    assert!(server.stop().success());

    house.config = with(&registry, "").config;
    let server = house.start();
    assert_eq!(registry.schemas().len(), RELEASES.len());
    server.deliver(&[ANN], &plain("theirs", 300));
    server.inbox_of(ANN, 2);
    // This server's own registry calls show both.
    let theirs = registry.schemas().into_iter().find(|known| known.subject == "mail.raw-value").unwrap();
    assert_eq!(server.json("/subjects/mail.raw-value/versions/latest")["id"], theirs.id);
    assert_eq!(server.json(&format!("/schemas/ids/{}", theirs.id))["schema"], newest(Topic::MailRaw).unwrap().json);
    assert_eq!(server.json("/schemas/ids/1")["schema"], newest(Topic::MailRaw).unwrap().json);
    assert!(server.stop().success());
    let theirs = i32::try_from(theirs.id).unwrap();
    assert_eq!(ids(&house, Topic::MailRaw), [1, theirs]);
    for topic in [Topic::MailParsed, Topic::MailScored, Topic::MailRouted] {
        assert!(matches!(ids(&house, topic).as_slice(), [ours, theirs] if *ours < 100 && *theirs > 100_000), "{topic}");
    }
    assert!(ids(&house, Topic::Schemas).iter().all(|id| *id == 9), "where ids are learnt from, they are ours");

    // Started again nothing is registered twice; and a node that knows no registry reads all the same.
    let registered = registry.schemas().len();
    assert!(house.start().stop().success());
    assert_eq!(registry.schemas().len(), registered);
    house.config.clear();
    let server = house.start();
    let rebuilt = house.run(&["rebuild"]);
    assert!(rebuilt.status.success());
    assert_eq!(server.inbox(ANN).len(), 2);
    assert!(server.log_text().contains("ids of an outside schema registry"), "{}", server.log_text());
}

#[test]
fn an_empty_registry_gives_the_ids_that_this_program_would_have_given() {
    let registry = Registry::starting_at(1);
    let house = with(&registry, "");
    assert!(house.start().stop().success());
    let given: Vec<(String, i64)> = registry.schemas().into_iter().map(|known| (known.subject, known.id)).collect();
    let ours: Vec<(String, i64)> =
        RELEASES.iter().map(|release| (release.topic.subject(), release.id.into())).collect();
    assert_eq!(given, ours);
}

#[test]
fn an_id_that_is_ours_for_another_topic_is_read_by_its_topic() {
    // One ahead: 2 is mail.parsed here and mail.raw there.
    let registry = Registry::starting_at(2);
    let house = with(&registry, "");
    let server = house.start();
    server.deliver(&[ANN], &plain("shifted", 300));
    server.inbox_of(ANN, 1);
    assert!(server.stop().success());
    assert_eq!(ids(&house, Topic::MailRaw), [2]);
}

#[test]
fn what_the_registry_refuses_stops_the_start_with_its_reason() {
    let refusing = Registry::starting_at(FIRST_ID);
    refusing.refuse("mail.scored-value");
    let taken = Registry::starting_at(FIRST_ID);
    taken.put("mail.routed-value", r#"{"type": "record", "name": "Other", "fields": []}"#);
    for (registry, parts) in [
        (refusing, ["mail.scored-value", "incompatible", "FULL_TRANSITIVE"]),
        (taken, ["version 1 of mail.routed-value", "this program", "schema_registry.url"]),
    ] {
        let house = with(&registry, "");
        let said = house.try_start().err().unwrap();
        for part in parts {
            assert!(said.contains(part), "{part} is missing: {said}");
        }
        assert!(said.contains(&registry.url()), "{said}");
    }
}

#[test]
fn the_registry_is_asked_with_the_credentials_of_a_file() {
    let registry = Registry::starting_at(FIRST_ID);
    registry.want("Basic YW5uOnNlY3JldA==");
    let mut house = with(&registry, "");
    let said = house.try_start().err().unwrap();
    assert!(said.contains("does not let us in"), "{said}");
    let file = house.data.with_extension("credentials");
    fs::write(&file, "ann:secret\n").unwrap();
    house.config.push_str(&format!("credentials_file = {:?}\n", file.display().to_string()));
    let server = house.start();
    assert!(registry.calls().len() > RELEASES.len());
    assert!(!server.log_text().contains("secret"));
}
