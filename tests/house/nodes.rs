//! Several nodes on one log: whoever asks whichever of them, the log decides, and all of them say the same.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;

use serde_json::{Value, json};

use crate::support::http::request;
use crate::support::mail::plain;
use crate::support::server::{House, OnLog, Server};

const ROUNDS: usize = 20;

fn account(server: &Server, name: &str) -> String {
    let email = format!("{name}@accounts.example");
    let made = server.change("POST", "/api/admin/accounts", &json!({"account": name, "email": email}));
    made["key"].as_str().unwrap().to_owned()
}

fn events(server: &Server, topic: &str) -> Vec<Value> {
    let text = server.text(&format!("/api/events/{topic}?from=earliest"));
    text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].clone()).collect()
}

/// How often the accounts heard of something.
fn count_of(server: &Server, change: &str) -> usize {
    events(server, "accounts").iter().filter(|event| event["change"].to_string().contains(change)).count()
}

#[test]
fn an_address_reserved_through_one_node_has_the_mail_that_another_takes_at_the_next_moment() {
    let house = House::on(OnLog::Kafka);
    let server = house.start();
    let other = house.another_node_with("ingest,processors");
    let second = other.start();
    let added = server.call("PUT", "/api/admin/domains/caught.example", b"{}");
    assert!(matches!(added.status, 200 | 204), "{}", added.text());
    let catch_all = json!({"inbox": "all@caught.example"}).to_string();
    let set = server.call("PUT", "/api/admin/domains/caught.example/catch-all", catch_all.as_bytes());
    assert!(matches!(set.status, 200 | 204), "{}", set.text());
    let mut smtp = second.smtp();
    for round in 0..ROUNDS {
        let address = format!("own{round}@caught.example");
        server.change("POST", &format!("/api/addresses/{address}"), &json!({}));
        smtp.send("sender@example.com", &[&address], &plain(&address, 300)).unwrap().queued_as();
    }
    for round in 0..ROUNDS {
        let inbox = server.inbox_of(&format!("own{round}@caught.example"), 1);
        assert_eq!(inbox[0]["subject"], format!("own{round}@caught.example"));
    }
    assert_eq!(server.inbox("all@caught.example").len(), 0, "nothing went by the catch-all");
    assert!(second.stop().success() && server.stop().success());
}

#[test]
fn a_node_that_comes_before_the_one_with_the_key_makes_no_account() {
    let house = House::on(OnLog::Kafka);
    let mut early = house.another_node_with("ingest,processors");
    early.wrapper = ["env", "--unset=POSTLOG_ADMIN_KEY"].map(str::to_owned).to_vec();
    let early = early.start();
    let server = house.start();
    assert_eq!(server.call("GET", "/api/me", &[]).status, 200, "the key that was given opens the first account");
    assert!(early.stop().success() && server.stop().success());
}

#[test]
fn of_two_accounts_that_race_for_an_address_on_two_nodes_one_wins_on_both() {
    let house = House::on(OnLog::Kafka);
    let other = house.another_node_with("api");
    let servers = [house.start(), other.start()];
    let keys = [account(&servers[0], "ann"), account(&servers[0], "bob")];
    let begin = Barrier::new(2);
    for round in 0..ROUNDS {
        let path = format!("/api/addresses/raced{round}@example.org");
        let race = |racer: usize| {
            begin.wait();
            let headers = [("Mailsac-Key", keys[racer].as_str()), ("Content-Type", "application/json")];
            request(servers[racer].http, "POST", &path, &headers, b"{}").unwrap().status
        };
        let statuses = thread::scope(|scope| {
            let other = scope.spawn(|| race(1));
            [race(0), other.join().unwrap()]
        });
        // The loser hears that it is taken, or, a moment later, whose it is not.
        assert!(matches!(statuses, [200, 400 | 401] | [400 | 401, 200]), "round {round}: {statuses:?}");
        for server in &servers {
            let sees = |key: &String| {
                let headers = [("Mailsac-Key", key.as_str())];
                request(server.http, "GET", &path, &headers, &[]).unwrap().status == 200
            };
            let seen: Vec<bool> = keys.iter().map(sees).collect();
            let won: Vec<bool> = statuses.iter().map(|status| *status == 200).collect();
            assert_eq!(seen, won, "round {round}");
        }
    }
}

#[test]
fn what_one_node_was_told_the_other_shows_and_every_mail_is_in_both_stores_once() {
    let house = House::on(OnLog::Kafka);
    let other = house.another_node();
    let (first, second) = (house.start(), other.start());
    let inbox = "both@example.org";
    let sent: BTreeSet<String> = (0..ROUNDS)
        .map(|number| {
            let server = if number % 2 == 0 { &first } else { &second };
            format!("{}-0", server.deliver(&[inbox], &plain(&format!("both{number}"), 2_000)))
        })
        .collect();
    let ids = |server: &Server| -> BTreeSet<String> {
        server.inbox_of(inbox, ROUNDS).iter().map(|mail| mail["_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((ids(&first), ids(&second)), (sent.clone(), sent.clone()));
    let starred = sent.first().unwrap();
    first.change("PUT", &format!("/api/addresses/{inbox}/messages/{starred}/star"), &Value::Null);
    let path = format!("/api/addresses/{inbox}/messages/{starred}");
    crate::support::eventually("the star on the other node", || {
        Some(second.json(&path)).filter(|mail| mail["savedBy"].is_string())
    });
    let routed = events(&first, "mail.routed");
    assert_eq!(routed.len(), ROUNDS, "each mail was routed once, by one of the two");
}

#[test]
fn nodes_that_start_at_the_same_moment_make_one_first_account_with_one_key() {
    let first = House::on(OnLog::Kafka);
    let second = first.another_node();
    let (one, other) = thread::scope(|scope| {
        let other = scope.spawn(|| second.start());
        (first.start(), other.join().unwrap())
    });
    for server in [&one, &other] {
        assert_eq!(server.json("/api/me")["_id"], "admin");
    }
    assert_eq!(count_of(&one, "KeyCreated"), 1);
    assert!((1..=2).contains(&count_of(&one, "AccountCreated")), "the second, if there was one, came too late");
}

#[test]
fn a_node_whose_seal_key_is_not_that_of_the_installation_is_refused() {
    let house = House::on(OnLog::Kafka);
    let server = house.start();
    let mut stranger = house.another_node();
    stranger.environment.retain(|(name, _)| *name != "POSTLOG_SEAL_KEY");
    let text = stranger.try_start().err().expect("it has no key of this installation");
    assert!(text.contains("seal_key_file") && !stranger.data.join("seal.key").exists(), "{text}");
    stranger.stages = "ingest,processors";
    assert!(stranger.start().stop().success(), "who opens nothing needs none");
    let webhook = json!({"webhook": "http://127.0.0.1:9/"});
    server.change("POST", "/api/addresses/told@example.org", &webhook);
    stranger.stages = "api";
    stranger.set("POSTLOG_SEAL_KEY", &"0f".repeat(32));
    let text = stranger.try_start().err().expect("its key opens nothing");
    assert!(text.contains("opens none of the 1 webhooks"), "{text}");
    stranger.set("POSTLOG_SEAL_KEY_LOST", "true");
    assert!(stranger.start().stop().success(), "the operator says that it is lost");
}

#[test]
fn a_store_that_was_filled_from_another_log_stops_the_start() {
    let mut house = House::on(OnLog::Kafka);
    let server = house.start();
    server.deliver(&["ann@example.org"], &plain("here", 300));
    server.inbox_of("ann@example.org", 1);
    assert!(server.stop().success());
    let prefix = house.environment.iter().find(|(name, _)| *name == "POSTLOG_KAFKA_PREFIX").unwrap().1.clone();
    house.set("POSTLOG_KAFKA_PREFIX", &format!("{prefix}other-"));
    let text = house.try_start().err().expect("the store is of another log");
    assert!(text.contains("filled from the log") && text.contains(&format!("{prefix}other-")), "{text}");
    house.set("POSTLOG_KAFKA_PREFIX", &prefix);
    assert_eq!(house.start().inbox("ann@example.org").len(), 1);
}

#[test]
fn a_command_beside_a_node_without_http_works_on_a_folder_of_its_own() {
    let house = House::on(OnLog::Kafka);
    let server = house.start();
    let mute = house.another_node_with("ingest,processors");
    let muted = mute.start();
    let refused = mute.command(&["address", "list"]).output().unwrap();
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("serves no HTTP"), "{text}");
    house.another_node().run(&["address", "reserve", "by-command@example.org"]);
    assert!(server.json("/api/addresses/by-command@example.org")["owner"].is_string());
    assert!(muted.stop().success());
}
