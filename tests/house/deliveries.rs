//! Deliveries that several nodes share: each is made by one of them under one id, and what was a dead node's is made by
//! another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::mail::plain;
use crate::support::receiver::{Call, Receiver};
use crate::support::server::{House, OnLog, Server};

const TOLD: &str = "told@example.org";
const MAILS: usize = 20;

/// Sends so many by each of the nodes at once: their message ids.
fn send(servers: &[&Server], name: &str) -> BTreeSet<String> {
    thread::scope(|scope| {
        let send = |node: usize, server: &Server| -> Vec<String> {
            let mut smtp = server.smtp();
            let mut one = |number| {
                let content = plain(&format!("{name} {node} {number}"), 500);
                smtp.send("sender@example.com", &[TOLD], &content).unwrap().queued_as()
            };
            (0..MAILS).map(&mut one).collect()
        };
        let sending: Vec<_> =
            servers.iter().enumerate().map(|(node, server)| scope.spawn(move || send(node, server))).collect();
        sending.into_iter().flat_map(|sending| sending.join().unwrap()).collect()
    })
}

fn message_of(call: &Call) -> String {
    call.json()["_id"].as_str().unwrap().trim_end_matches("-0").to_owned()
}

/// Each message that was told of, with the ids under which it was.
fn told(receiver: &Receiver) -> BTreeMap<String, BTreeSet<String>> {
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for call in receiver.calls() {
        told.entry(message_of(&call)).or_default().insert(call.id());
    }
    told
}

/// All of these were told of, each under one id.
fn all_are_told(receiver: &Receiver, sent: &BTreeSet<String>) -> BTreeMap<String, BTreeSet<String>> {
    let told = eventually(&format!("calls for {} mails", sent.len()), || {
        Some(told(receiver)).filter(|told| sent.iter().all(|id| told.contains_key(id)))
    });
    assert!(told.values().all(|ids| ids.len() == 1), "a mail under several ids: {told:?}");
    told
}

fn reserve(server: &Server, receiver: &Receiver) -> String {
    let webhook = json!({"webhook": receiver.url("/"), "webhookPayload": "thin"});
    server.change("POST", &format!("/api/addresses/{TOLD}"), &webhook);
    server.json("/api/forwards")[0]["_id"].as_str().unwrap().to_owned()
}

/// How many deliveries wait, as every one of the topic's records together says.
fn due(server: &Server) -> usize {
    let mut due = BTreeMap::new();
    for line in server.text("/api/events/forward.due?from=earliest").lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        due.insert(event["key"].as_str().unwrap().to_owned(), !event["event"].is_null());
    }
    due.values().filter(|due| **due).count()
}

#[test]
fn nodes_that_share_deliveries_make_each_once_and_those_of_a_killed_node_are_made_under_the_same_ids() {
    let receiver = Receiver::new();
    let house = House::on(OnLog::Kafka);
    let others = [house.another_node(), house.another_node()];
    let (first, second, third) = (house.start(), others[0].start(), others[1].start());
    reserve(&first, &receiver);
    let mut sent = send(&[&first, &second, &third], "shared");
    all_are_told(&receiver, &sent);
    eventually("nothing is due", || (due(&first) == 0).then_some(()));
    assert_eq!(receiver.calls().len(), sent.len(), "each once");
    // Mail goes on coming while one of them dies.
    let before = receiver.calls().len();
    thread::scope(|scope| {
        let sending = scope.spawn(|| send(&[&first, &second], "under the kill"));
        receiver.called(before + MAILS / 4);
        third.kill();
        sent.extend(sending.join().unwrap());
    });
    all_are_told(&receiver, &sent);
    eventually("nothing is due", || (due(&first) == 0).then_some(()));
    assert_eq!(told(&receiver).len(), sent.len());
}

#[test]
fn what_was_due_when_the_nodes_that_had_it_died_is_made_by_the_one_that_is_left() {
    let is_away = Arc::new(AtomicBool::new(true));
    let away = Arc::clone(&is_away);
    let receiver = Receiver::answering(move |_| if away.load(Ordering::SeqCst) { 503 } else { 200 });
    let house = House::on(OnLog::Kafka);
    let others = [house.another_node(), house.another_node()];
    let (first, second, third) = (house.start(), others[0].start(), others[1].start());
    let id = reserve(&first, &receiver);
    let sent = send(&[&first, &second, &third], "due");
    // There are as many partitions as nodes, so each of them has some.
    eventually("all of it is due", || (due(&first) == sent.len()).then_some(()));
    let tried: BTreeSet<String> = receiver.called(1).iter().map(Call::id).collect();
    second.kill();
    third.kill();
    is_away.store(false, Ordering::SeqCst);
    // A receiver that has failed so often is left alone for a while, which a person can cut short.
    let made = eventually("every delivery is made", || {
        first.change("POST", &format!("/api/forwards/{id}/redeliver"), &json!({"outcome": "later"}));
        (due(&first) == 0).then(|| told(&receiver))
    });
    assert_eq!(made.keys().cloned().collect::<BTreeSet<_>>(), sent);
    assert!(made.values().all(|ids| ids.len() == 1), "{made:?}");
    let ids: BTreeSet<String> = made.into_values().flatten().collect();
    assert!(tried.is_subset(&ids), "what was tried before has the id that it had");
}
