//! Brokers and nodes that freeze, die and come back: nothing that was acknowledged is lost or doubled, whoever is asked
//! meanwhile hears the truth, and everything goes on by itself.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::eventually;
use crate::support::http::request;
use crate::support::kafka::Broker;
use crate::support::mail::plain;
use crate::support::server::{House, OnLog, Server};
use crate::support::smtp::Smtp;

const INBOX: &str = "outage@example.org";
const ROUNDS: usize = 4;
/// How long the load goes on in each state.
const LOAD: Duration = Duration::from_millis(1500);

fn impatient(broker: &Broker) -> House {
    let mut house = House::on_broker(&broker.address);
    house.set("POSTLOG_KAFKA_MESSAGE_TIMEOUT_SECONDS", "3");
    house.set("POSTLOG_LOG_PARTITIONS", "3");
    house
}

fn ready(server: &Server) -> (u16, String) {
    let answer = request(server.http, "GET", "/readyz", &[], &[]).unwrap();
    (answer.status, answer.text())
}

/// The answer's code, and the id where it is 250.
fn try_to_send(server: &Server, token: &str) -> (u16, Option<String>) {
    let mut smtp = server.smtp();
    let reply = smtp.send("sender@example.com", &[INBOX], &plain(token, 600)).unwrap();
    (reply.code, (reply.code == 250).then(|| format!("{}-0", reply.queued_as())))
}

fn ids(server: &Server) -> Vec<String> {
    server.inbox(INBOX).iter().map(|mail| mail["_id"].as_str().unwrap().to_owned()).collect()
}

/// All of these are shown, and nothing twice.
fn all_are_there(server: &Server, acknowledged: &BTreeSet<String>) {
    let found = eventually("every mail that was acknowledged", || {
        let found = ids(server);
        acknowledged.iter().all(|id| found.contains(id)).then_some(found)
    });
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), found.len(), "an entry twice");
    let mails = server.inbox(INBOX);
    let subjects: BTreeSet<String> = mails.iter().map(|mail| mail["subject"].to_string()).collect();
    assert_eq!(subjects.len(), mails.len(), "a mail twice");
}

fn refused_while_away_and_taken_afterwards(take_away: impl Fn(&Broker), bring_back: impl Fn(&Broker)) {
    let broker = Broker::start();
    let house = impatient(&broker);
    let server = house.start();
    let mut acknowledged = BTreeSet::new();
    acknowledged.extend(try_to_send(&server, "before").1);
    all_are_there(&server, &acknowledged);
    take_away(&broker);
    let (code, _) = try_to_send(&server, "while it is away");
    assert!(matches!(code, 421 | 451), "{code}");
    let (_, text) = eventually("what is missing", || Some(ready(&server)).filter(|(status, _)| *status == 503));
    assert!(text.contains("kafka") && text.contains(&broker.address), "{text}");
    bring_back(&broker);
    eventually("ready again", || Some(()).filter(|()| ready(&server).0 == 200));
    let again = eventually("mail is taken again", || try_to_send(&server, "after").1);
    acknowledged.insert(again);
    all_are_there(&server, &acknowledged);
    assert!(server.stop().success());
}

#[test]
fn a_broker_that_is_frozen_is_named_and_mail_is_refused_until_it_thaws() {
    refused_while_away_and_taken_afterwards(|broker| broker.signal(Signal::STOP), |broker| broker.signal(Signal::CONT));
}

#[test]
fn a_broker_that_is_killed_is_named_and_mail_is_refused_until_it_is_back() {
    refused_while_away_and_taken_afterwards(|broker| broker.signal(Signal::KILL), |broker| broker.start_again());
}

#[test]
fn the_start_waits_for_a_broker_and_says_so() {
    let broker = Broker::absent();
    let mut house = impatient(&broker);
    let server = thread::scope(|scope| {
        let starting = scope.spawn(|| house.start());
        eventually("the line that says what is waited for", || waiting_lines(&house).then_some(()));
        broker.start_again();
        starting.join().unwrap()
    });
    assert!(try_to_send(&server, "at last").1.is_some());
    assert!(server.stop().success());
    broker.signal(Signal::KILL);
    house.set("POSTLOG_KAFKA_START_WAIT_SECONDS", "1");
    let begun = Instant::now();
    let text = house.try_start().err().expect("nobody is there");
    assert!(text.contains(&broker.address) && begun.elapsed() < Duration::from_secs(20), "{text}");
}

/// Whether a log beside the data folder says so.
fn waiting_lines(house: &House) -> bool {
    let beside = std::fs::read_dir(house.data.parent().unwrap()).unwrap();
    let logs = beside.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok());
    logs.into_iter().any(|text| text.contains("waiting for a kafka broker"))
}

#[test]
fn nodes_that_are_killed_in_turn_under_load_lose_and_double_nothing() {
    let house = House::on(OnLog::Kafka);
    let first = house.start();
    let second = house.another_node_with("ingest,processors");
    let third = house.another_node();
    let over = AtomicBool::new(false);
    let mut acknowledged = thread::scope(|scope| {
        let load = scope.spawn(|| load(&first, &over));
        for round in 0..ROUNDS {
            let node = if round % 2 == 0 { &second } else { &third };
            let server = node.start();
            thread::sleep(LOAD); // Not to wait for anything: the load goes on.
            server.kill();
        }
        over.store(true, Ordering::Relaxed);
        load.join().unwrap()
    });
    assert!(acknowledged.len() > ROUNDS, "the load was a load");
    let server = third.start();
    acknowledged.extend(try_to_send(&server, "last").1);
    all_are_there(&first, &acknowledged);
    all_are_there(&server, &acknowledged);
    first.kill();
    all_are_there(&house.start(), &acknowledged);
}

fn load(server: &Server, over: &AtomicBool) -> BTreeSet<String> {
    let mut acknowledged = BTreeSet::new();
    let mut smtp = Smtp::open(server.smtp).unwrap();
    for number in 0..400 {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let reply = smtp.send("sender@example.com", &[INBOX], &plain(&format!("load{number}"), 600)).unwrap();
        acknowledged.insert(format!("{}-0", reply.queued_as()));
        thread::sleep(Duration::from_millis(20));
    }
    acknowledged
}
