//! Killed at any moment: what got its 250 is there once, nothing is there twice, nothing is there half.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use rand::Rng;
use serde_json::Value;

use crate::support::eventually;
use crate::support::mail::plain;
use crate::support::on_both_logs;
use crate::support::server::{House, OnLog, Server};
use crate::support::smtp::Smtp;

on_both_logs!(kill_9_under_load_loses_nothing_that_was_acknowledged_and_shows_nothing_twice_or_half);

const KILLS: u32 = 5;
const WORKERS: usize = 4;
const MAIL_BYTES: [usize; 3] = [400, 10 * 1024, 150 * 1024];
const LONGEST_LOAD_MS: u64 = 600;

/// What was sent: by whom, and the id that its 250 named, if one came.
pub struct Sent {
    pub inbox: String,
    pub token: String,
    pub size_bytes: usize,
    pub acknowledged: Option<String>,
}

fn kills() -> u32 {
    std::env::var("POSTLOG_TEST_KILLS").ok().map_or(KILLS, |kills| kills.parse().unwrap())
}

fn kill_9_under_load_loses_nothing_that_was_acknowledged_and_shows_nothing_twice_or_half(log: OnLog) {
    let house = House::with_partitions_on(log, 3);
    let mut all: Vec<Sent> = Vec::new();
    for round in 0..kills() {
        let server = house.start();
        let moment = Duration::from_millis(rand::rng().random_range(1..LONGEST_LOAD_MS));
        let sent = load_until_killed(server, round, moment);
        let server = house.start();
        check(&server, &sent);
        all.extend(sent);
        if round % 2 == 0 {
            server.kill(); // At once again: recovery has to survive, too.
        } else {
            assert!(server.stop().success());
        }
    }
    let acknowledged = all.iter().filter(|sent| sent.acknowledged.is_some()).count();
    eprintln!("{acknowledged} of {} mails were acknowledged", all.len());
    assert!(acknowledged > 0, "the load was a load");
    let server = house.start();
    check(&server, &all);
    let dump = house.dump();
    house.run(&["rebuild"]);
    assert_eq!(house.dump(), dump, "what the kills left is what the log says");
}

fn load_until_killed(server: Server, round: u32, moment: Duration) -> Vec<Sent> {
    let over = Arc::new(AtomicBool::new(false));
    let begin = Arc::new(Barrier::new(WORKERS + 1));
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let (over, begin, address) = (over.clone(), begin.clone(), server.smtp);
            thread::spawn(move || {
                begin.wait();
                work(&format!("r{round}w{worker}"), address, &over)
            })
        })
        .collect();
    begin.wait();
    thread::sleep(moment); // Not to wait for anything: the moment of the kill is drawn.
    server.kill();
    over.store(true, Ordering::Relaxed);
    workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
}

fn work(name: &str, address: std::net::SocketAddr, over: &AtomicBool) -> Vec<Sent> {
    let inbox = format!("{name}@kill.example");
    let mut sent = Vec::new();
    let Ok(mut client) = Smtp::open(address) else { return sent };
    for number in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let token = format!("{name}n{number}");
        let size_bytes = MAIL_BYTES[number % MAIL_BYTES.len()];
        let answer = client.send("sender@example.com", &[&inbox], &plain(&token, size_bytes));
        let acknowledged = answer.as_ref().ok().filter(|reply| reply.code == 250).map(|reply| reply.queued_as());
        sent.push(Sent { inbox: inbox.clone(), token, size_bytes, acknowledged });
        if answer.is_err() {
            break;
        }
    }
    sent
}

/// What was acknowledged is there, nothing is there twice, and all of it has its bytes.
pub fn check(server: &Server, sent: &[Sent]) {
    let mut inboxes: BTreeMap<&str, Vec<&Sent>> = BTreeMap::new();
    for mail in sent {
        inboxes.entry(&mail.inbox).or_default().push(mail);
    }
    for (inbox, mails) in inboxes {
        let wanted: BTreeSet<String> =
            mails.iter().filter_map(|mail| mail.acknowledged.as_ref()).map(|id| format!("{id}-0")).collect();
        let found = eventually(&format!("what was acknowledged in {inbox}"), || {
            let inbox = server.inbox(inbox);
            let ids: BTreeSet<String> = inbox.iter().map(id_of).collect();
            wanted.is_subset(&ids).then_some(inbox)
        });
        let ids: BTreeSet<String> = found.iter().map(id_of).collect();
        assert_eq!(ids.len(), found.len(), "an id twice in {inbox}");
        let mut subjects = BTreeSet::new();
        for message in &found {
            let token = message["subject"].as_str().unwrap();
            assert!(subjects.insert(token), "{token} twice in {inbox}");
            let mail = mails.iter().find(|mail| mail.token == token).expect("only what was sent");
            let acknowledged = mail.acknowledged.as_ref().map(|id| format!("{id}-0"));
            assert!(acknowledged.is_none_or(|id| id == id_of(message)), "{token} under another id");
            server.content(inbox, &id_of(message), &plain(token, mail.size_bytes));
        }
    }
}

fn id_of(message: &Value) -> String {
    message["_id"].as_str().unwrap().to_owned()
}
