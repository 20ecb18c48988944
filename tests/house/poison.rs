//! Records that come to the topics from outside, past every door of ours: whatever they are, they have letters that say
//! where they stand and why, and stop nobody.

use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use schemas::event::ReleasedSchema;
use schemas::released::newest;
use schemas::{Event, Topic, codec};
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::kafka::produce;
use crate::support::mail::{plain, raw};
use crate::support::server::{House, OnLog, Server, text_of};

const ANN: &str = "ann@example.org";
const BOB: &str = "bob@example.org";
/// Of a program that comes later.
const UNKNOWN_ID: i32 = 901;
/// All of it goes to one partition, in order.
const PARTITION: u32 = 1;
/// The magic byte and the schema id.
const PREFIX_BYTES: usize = 5;
const NOISE_BYTES: usize = 300;

/// A schema of the registry, as it stands on the topic of the schemas.
fn schema(id: i32, version: i32) -> Vec<u8> {
    let schema = newest(Topic::MailRaw).unwrap().json.to_owned();
    let released = ReleasedSchema { subject: Topic::MailRaw.subject(), version, id, schema };
    codec::encode(&Event::Schema(released)).unwrap().to_vec()
}

/// A good value under the id of a schema that nobody knows yet.
fn unknown(subject: &str) -> Vec<u8> {
    let (_, mut value) = raw(subject, ANN);
    value[1..PREFIX_BYTES].copy_from_slice(&UNKNOWN_ID.to_be_bytes());
    value
}

/// Each with a part of the cause that its letter has to name.
fn poisons() -> Vec<(Vec<u8>, &'static str)> {
    let (_, good) = raw("cut", ANN);
    let mut chance = StdRng::seed_from_u64(0x706f_6973_6f6e);
    let mut noise = vec![0; NOISE_BYTES];
    chance.fill_bytes(&mut noise);
    // A serializer that names schemas by uuid begins with the magic byte 1 and the uuid's 16 bytes.
    let by_uuid = [&[1][..], &noise[..16], &good[PREFIX_BYTES..]].concat();
    let framed_noise = [&good[..PREFIX_BYTES], &noise].concat();
    vec![
        (Vec::new(), "empty"),
        (by_uuid, "magic byte"),
        (unknown("later"), "schema id 901"),
        (good[..good.len() / 2].to_vec(), "does not fit its schema"),
        (noise, "magic byte"),
        (framed_noise, "does not fit its schema"),
        (schema(UNKNOWN_ID + 1, 9), "belongs to schemas"),
    ]
}

fn listed(house: &House, arguments: &[&str]) -> Vec<Value> {
    let output = house.run(&[&["dead-letters", "list", "--json"], arguments].concat());
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn open_letters(house: &House, count: usize) -> Vec<Value> {
    eventually(&format!("{count} open letters"), || Some(listed(house, &[])).filter(|listed| listed.len() == count))
}

fn origin(offset: usize) -> String {
    format!("mail.raw/{PARTITION}/{offset}")
}

#[test]
fn poison_that_kcat_brings_has_letters_and_everything_behind_it_is_delivered() {
    let house = House::on(OnLog::Kafka);
    let server = house.start();
    let poisons = poisons();
    for (value, _) in &poisons {
        produce(&house, Topic::MailRaw, PARTITION, Some("key"), value);
    }
    let (without_key, value) = raw("no key", ANN);
    produce(&house, Topic::MailRaw, PARTITION, None, &value);
    // As many as reach every partition.
    for number in 0..20 {
        server.deliver(&[BOB], &plain(&format!("behind {number}"), 400));
    }
    assert_eq!(server.inbox_of(ANN, 1)[0]["_id"], format!("{without_key}-0"));
    server.inbox_of(BOB, 20);
    let letters = open_letters(&house, poisons.len());
    for (offset, (letter, (_, cause))) in letters.iter().zip(&poisons).enumerate() {
        assert_eq!(letter["origin"], origin(offset), "{letter}");
        assert!(letter["cause"].as_str().unwrap().contains(cause), "{cause}: {letter}");
    }
    for (offset, (value, cause)) in poisons.iter().enumerate() {
        let shown = text_of(&house.run(&["dead-letters", "show", &origin(offset)]));
        let beginning: String = value.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        assert!(shown.contains(&beginning) && shown.contains(cause), "{shown}");
    }
    what_can_be_read_later_is_put_back(&house, &server);
    // The nodes are none the worse for it, and a new one reads past all of it.
    assert_eq!(server.call("GET", "/readyz", &[]).status, 200);
    let another = house.another_node().start();
    another.inbox_of(ANN, 2);
    another.inbox_of(BOB, 20);
    assert_eq!(listed(&house, &["--all"]).len(), poisons.len(), "nobody wrote them again");
}

/// The program that wrote it comes, and its schema with it.
fn what_can_be_read_later_is_put_back(house: &House, server: &Server) {
    house.run(&["dead-letters", "drop", &origin(0), &origin(1)]);
    house.run(&["dead-letters", "drop", &origin(3), &origin(4), &origin(5), &origin(6)]);
    assert_eq!(open_letters(house, 1)[0]["origin"], origin(2));
    produce(house, Topic::Schemas, 0, Some("mail.raw-value/2"), &schema(UNKNOWN_ID, 2));
    eventually("its schema is served", || {
        let path = format!("/schemas/ids/{UNKNOWN_ID}");
        (server.call("GET", &path, &[]).status == 200).then_some(())
    });
    house.run(&["dead-letters", "retry", &origin(2)]);
    server.inbox_of(ANN, 2);
    assert_eq!(open_letters(house, 0), Vec::<Value>::new());
    let decisions: Vec<Value> =
        listed(house, &["--all"]).iter().map(|letter| letter["decision"]["outcome"].clone()).collect();
    let (dropped, retried) = (json!("dropped"), json!("retried"));
    let expected = [&dropped, &dropped, &retried, &dropped, &dropped, &dropped, &dropped];
    assert_eq!(decisions.iter().collect::<Vec<_>>(), expected);
}
