//! Each stage in processes of its own, on a Kafka and a Cassandra: what one takes in another shows, partitions are
//! shared, and nothing is lost, doubled or brought back when one of them freezes, dies or comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::cassandra::{self, Cassandra};
use crate::support::http::request;
use crate::support::mail::plain;
use crate::support::receiver::Receiver;
use crate::support::server::{House, KEY, OnLog, Server, signal, text_of};
use crate::support::websocket::{Listener, Said};
use crate::support::{clock, eventually, kafka};

const TOLD: &str = "told@example.org";
const MAILS: usize = 60;
const MAIL_BYTES: usize = 3_000;
const ROUNDS: usize = 20;
/// Longer than the group waits for a member that has gone quiet.
const FROZEN: Duration = Duration::from_secs(13);

fn inbox(number: usize) -> String {
    format!("scale{}@example.org", number % 7)
}

/// Message ids by the number of the mail, which its subject says.
pub type Sent = BTreeMap<usize, String>;

pub fn send(server: &Server, numbers: impl Iterator<Item = usize>) -> Sent {
    let mut smtp = server.smtp();
    let mut send = |number| {
        let content = plain(&format!("scale {number}"), MAIL_BYTES);
        let reply = smtp.send("sender@example.com", &[&inbox(number)], &content).unwrap();
        (number, reply.queued_as())
    };
    numbers.map(&mut send).collect()
}

/// Every mail is there, once, with its bytes.
pub fn all_are_there(server: &Server, sent: &Sent) {
    let listed = || -> Vec<(String, String)> {
        let of = |mail: &Value| (mail["_id"].as_str().unwrap().to_owned(), mail["inbox"].as_str().unwrap().to_owned());
        (0..7).flat_map(|number| server.inbox(&inbox(number))).map(|mail| of(&mail)).collect()
    };
    eventually(&format!("{} mails", sent.len()), || Some(()).filter(|()| listed().len() >= sent.len()));
    let mut found = listed();
    found.sort();
    let mut expected: Vec<_> = sent.iter().map(|(number, id)| (format!("{id}-0"), inbox(*number))).collect();
    expected.sort();
    assert_eq!(found, expected, "each mail once, where it was sent to");
    for (number, id) in sent {
        server.content(&inbox(*number), &format!("{id}-0"), &plain(&format!("scale {number}"), MAIL_BYTES));
    }
}

/// A house on this Cassandra whose nodes are told apart by their stages.
pub fn house_on(cassandra: &str) -> House {
    let mut house = House::with_partitions_on(OnLog::Kafka, 4);
    house.set("POSTLOG_STORE", &cassandra::new_store(cassandra));
    house
}

#[test]
fn what_one_process_takes_in_another_computes_a_third_stores_and_two_show() {
    let house = house_on(cassandra::shared());
    let nodes = |stages| [house.another_node_with(stages), house.another_node_with(stages)];
    let [first_api, second_api] = nodes("api").map(|node| (node.start(), node)).map(|(server, node)| (node, server));
    let others: Vec<(House, Server)> = ["processors", "sinks"]
        .into_iter()
        .flat_map(nodes)
        .map(|node| (node.start(), node))
        .map(|(server, node)| (node, server))
        .collect();
    let ingest = nodes("ingest").map(|node| (node.start(), node)).map(|(server, node)| (node, server));
    let mut sent = send(&ingest[0].1, (0..MAILS).filter(|number| number % 2 == 0));
    sent.extend(send(&ingest[1].1, (0..MAILS).filter(|number| number % 2 == 1)));
    all_are_there(&first_api.1, &sent);
    all_are_there(&second_api.1, &sent);
    a_write_is_read_elsewhere_at_once(&first_api.1, &second_api.1, &sent);
    who_is_told_may_ask_at_once(&ingest[0].1, &first_api.1, &second_api.1);
    for (node, _) in ingest.iter().chain(&others) {
        assert!(!node.data.join("database").exists(), "{} needs no database", node.stages);
        node.run(&["ready"]);
    }
    for (_, server) in ingest.into_iter().chain(others).chain([first_api, second_api]) {
        assert!(server.stop().success());
    }
}

fn a_write_is_read_elsewhere_at_once(one: &Server, other: &Server, sent: &Sent) {
    for (number, id) in sent.iter().take(ROUNDS) {
        let path = format!("/api/addresses/{}/messages/{id}-0", inbox(*number));
        one.change("PUT", &format!("{path}/read/true"), &Value::Null);
        assert_eq!(other.json(&path)["read"], true, "mail {number}");
        other.change("PUT", &format!("{path}/labels/seen"), &Value::Null);
        assert_eq!(one.json(&path)["labels"], serde_json::json!(["seen"]), "mail {number}");
    }
}

/// By a webhook, which one of the sinks calls, and by a websocket of a node that stores nothing.
fn who_is_told_may_ask_at_once(ingest: &Server, api: &Server, asked: &Server) {
    let http = asked.http;
    let path = |inbox: &Value, id: &Value| {
        format!("/api/addresses/{}/messages/{}", inbox.as_str().unwrap(), id.as_str().unwrap())
    };
    let receiver = Receiver::answering(move |call| {
        let mail = call.json();
        let answer = request(http, "GET", &path(&mail["inbox"], &mail["_id"]), &[("Mailsac-Key", KEY)], &[]);
        answer.unwrap().status
    });
    let settings = serde_json::json!({"webhook": receiver.url("/"), "enablews": true});
    api.change("POST", &format!("/api/addresses/{TOLD}"), &serde_json::json!({}));
    api.change("PUT", &format!("/api/addresses/{TOLD}"), &settings);
    let mut listener = Listener::greeted(asked, TOLD);
    for number in 0..ROUNDS {
        ingest.deliver(&[TOLD], &plain(&format!("told {number}"), 900));
        match listener.next() {
            Said::Frame(mail) => {
                assert_eq!(mail["subject"], format!("told {number}"));
                assert_eq!(asked.call("GET", &path(&mail["inbox"], &mail["_id"]), &[]).status, 200);
            }
            closed => panic!("{closed:?}"),
        }
    }
    let calls = receiver.called(ROUNDS);
    let told: BTreeSet<String> = calls.iter().map(|call| call.json()["subject"].to_string()).collect();
    assert_eq!((calls.len(), told.len()), (ROUNDS, ROUNDS), "each mail once: a call that came too early comes again");
}

#[test]
fn a_sink_that_was_frozen_while_another_took_its_place_changes_nothing_when_it_thaws() {
    let house = house_on(cassandra::shared());
    let nodes = ["ingest,processors,api", "sinks", "sinks"].map(|stages| house.another_node_with(stages));
    let [server, first, second] = nodes.each_ref().map(House::start);
    let mut sent = send(&server, 0..MAILS);
    all_are_there(&server, &sent);
    thread::scope(|scope| {
        let sending = scope.spawn(|| send(&server, MAILS..3 * MAILS));
        signal(first.pid(), "STOP");
        sent.extend(sending.join().unwrap());
    });
    let frozen_at = Instant::now();
    all_are_there(&server, &sent);
    let (number, id) = sent.first_key_value().unwrap();
    let path = format!("/api/addresses/{}/messages/{id}-0", inbox(*number));
    server.change("PUT", &format!("{path}/read/true"), &Value::Null);
    server.change("DELETE", &format!("/api/addresses/{}/messages/{}-0", inbox(1), sent[&1]), &Value::Null);
    thread::sleep(FROZEN.saturating_sub(frozen_at.elapsed()));
    signal(first.pid(), "CONT");
    sent.extend(send(&server, 3 * MAILS..4 * MAILS));
    sent.remove(&1);
    all_are_there(&server, &sent);
    assert_eq!(server.json(&path)["read"], true, "what it had in hand when it froze is older");
    // The other one dies: the one that thawed has all of it.
    second.kill();
    sent.extend(send(&server, 4 * MAILS..5 * MAILS));
    all_are_there(&server, &sent);
    assert!(first.stop().success() && server.stop().success());
}

#[test]
fn clocks_an_hour_apart_bring_nothing_back_and_hide_nothing() {
    let house = house_on(cassandra::shared());
    let mut ahead = house.another_node();
    clock::set_ahead(&mut ahead, 3600);
    let (behind, ahead) = (house.start(), ahead.start());
    let now = |server: &Server| server.call("GET", "/livez", &[]).header("date").unwrap_or_default().to_owned();
    assert_ne!(now(&behind).get(..19), now(&ahead).get(..19), "their clocks differ");
    let mut sent = send(&behind, (0..MAILS).filter(|number| number % 2 == 0));
    sent.extend(send(&ahead, (0..MAILS).filter(|number| number % 2 == 1)));
    all_are_there(&behind, &sent);
    // Each undoes what stands there by the other.
    for number in 0..ROUNDS {
        let path = format!("/api/addresses/{}/messages/{}-0", inbox(number), sent[&number]);
        let [by, other] = if number % 2 == 0 { [&behind, &ahead] } else { [&ahead, &behind] };
        by.change("PUT", &format!("{path}/read/true"), &Value::Null);
        other.change("PUT", &format!("{path}/read/false"), &Value::Null);
        assert_ne!(by.json(&path)["read"], true, "mail {number}");
        if number % 4 < 2 {
            by.change("DELETE", &path, &Value::Null);
            sent.remove(&number);
        }
    }
    all_are_there(&ahead, &sent);
    // Everything goes to the one that is behind.
    ahead.kill();
    sent.extend(send(&behind, MAILS..MAILS + ROUNDS));
    all_are_there(&behind, &sent);
    for (number, id) in sent.iter().take(ROUNDS / 2) {
        let mail = behind.json(&format!("/api/addresses/{}/messages/{id}-0", inbox(*number)));
        assert_ne!(mail["read"], true, "mail {number}: what was said last counts");
    }
    assert!(behind.stop().success());
}

fn away_and_back(take_away: impl Fn(&Cassandra), bring_back: impl Fn(&Cassandra)) {
    let cassandra = Cassandra::start();
    let mut house = house_on(&cassandra.address);
    house.set("POSTLOG_CQL_REQUEST_SECONDS", "2");
    let server = house.start();
    let mut sent = send(&server, 0..MAILS);
    all_are_there(&server, &sent);
    thread::scope(|scope| {
        let sending = scope.spawn(|| send(&server, MAILS..2 * MAILS));
        take_away(&cassandra);
        sent.extend(sending.join().unwrap());
    });
    let ready = || {
        let answer = request(server.http, "GET", "/readyz", &[], &[]).unwrap();
        (answer.status, answer.text())
    };
    let (_, text) = eventually("what is missing", || Some(ready()).filter(|(status, _)| *status == 503));
    assert!(text.contains(&cassandra.address), "{text}");
    sent.extend(send(&server, 2 * MAILS..3 * MAILS));
    bring_back(&cassandra);
    eventually("ready again", || Some(()).filter(|()| ready().0 == 200));
    all_are_there(&server, &sent);
    assert!(server.stop().success());
}

#[test]
fn mail_is_taken_while_cassandra_is_frozen_and_shown_once_it_thaws() {
    away_and_back(|cassandra| cassandra.signal(Signal::STOP), |cassandra| cassandra.signal(Signal::CONT));
}

#[test]
fn mail_is_taken_while_cassandra_is_dead_and_shown_once_it_is_back() {
    away_and_back(|cassandra| cassandra.signal(Signal::KILL), |cassandra| cassandra.start_again());
}

#[test]
fn a_rebuild_into_an_empty_keyspace_gives_what_was_there() {
    let mut house = house_on(cassandra::shared());
    let server = house.start();
    let sent = send(&server, 0..MAILS);
    all_are_there(&server, &sent);
    for (number, id) in sent.iter().step_by(5) {
        let path = format!("/api/addresses/{}/messages/{id}-0", inbox(*number));
        server.change("PUT", &format!("{path}/star"), &Value::Null);
        server.change(
            "DELETE",
            &format!("/api/addresses/{}/messages/{}-0", inbox(number + 1), sent[&(number + 1)]),
            &Value::Null,
        );
    }
    let dump = house.dump();
    assert!(server.stop().success());
    house.set("POSTLOG_STORE", &cassandra::new_store(cassandra::shared()));
    house.run(&["rebuild"]);
    assert_eq!(house.dump(), dump);
    assert_eq!(house.start().json("/api/me")["_id"], "admin");
    assert_eq!(house.dump(), dump, "and a server on it adds nothing");
}

#[test]
fn a_store_of_another_log_is_refused_with_a_text() {
    let mut house = house_on(cassandra::shared());
    assert!(house.start().stop().success());
    let other = House::on_broker(kafka::shared());
    let store = house.environment.iter().find(|(name, _)| *name == "POSTLOG_STORE").unwrap().1.clone();
    house.environment.clone_from(&other.environment);
    house.set("POSTLOG_STORE", &store);
    let failure = house.try_start().err().expect("it must not start");
    assert!(failure.contains("another log") || failure.contains("filled from the log"), "{failure}");
}

#[test]
fn stages_alone_on_an_embedded_log_are_refused_with_the_line_to_change() {
    let house = House::new();
    for stages in ["api", "sinks", "ingest,api"] {
        let output = house.command(&["check", "--stages", stages]).output().unwrap();
        let text = text_of(&output);
        assert_eq!(output.status.code(), Some(2), "{stages}: {text}");
        assert!(text.contains("stages") && text.contains("log.kind") && text.contains("kafka://"), "{stages}: {text}");
    }
    let alone = ["check", "--stages", "api", "--log", "kafka://one:9092", "--store", "cql://one:9042/mail"];
    house.run(&alone);
}
