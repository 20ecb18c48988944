//! What was computed is computed again: new scores for old mail, and old mail for new addresses. Nobody is told, and
//! nothing else changes.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use processors::spam::{CORRECTION_WEIGHT, Counts};
use serde_json::{Value, json};

use crate::spam::{ANN, events, move_to, trained};
use crate::support::eventually;
use crate::support::mail::plain;
use crate::support::receiver::Receiver;
use crate::support::server::{House, Server, text_of};
use crate::support::websocket::{Listener, Said};

const MAILS: usize = 60;

/// Mail in three inboxes, some of it starred, deleted or moved; and a model that some of it has taught.
fn furnish(server: &Server, webhook: &str) -> String {
    server.change("POST", &format!("/api/addresses/{ANN}"), &json!({"webhook": webhook, "enablews": true}));
    let mut client = server.smtp();
    for number in 0..MAILS {
        let other = format!("other{}@example.org", number % 2);
        let mut content = plain(&format!("mail{number:03}"), 900);
        // Words that are not in every mail, so that what is taught tells mails apart.
        content.extend_from_slice(if number % 2 == 0 { b"cheap pills\r\n" } else { b"a meeting\r\n" });
        client.send("sender@example.com", &[ANN, &other], &content).unwrap().queued_as();
    }
    let mails = server.inbox_of(ANN, MAILS);
    let id = |index: usize| mails[index]["_id"].as_str().unwrap();
    for index in 0..10 {
        server.change("PUT", &format!("/api/addresses/{ANN}/messages/{}/star", id(index)), &Value::Null);
        move_to(server, ANN, id(index), "spam");
    }
    server.change("DELETE", &format!("/api/addresses/{ANN}/messages/{}", id(20)), &Value::Null);
    taught(server, 10)
}

/// The version of the model that so many mails which were called spam have taught, and nothing else.
fn taught(server: &Server, mails: u32) -> String {
    let wanted = Counts::starter().spam_messages() + mails * CORRECTION_WEIGHT;
    eventually("a model of all that was said", || {
        let model = events(server, "spam.models").pop()?;
        (model["event"]["spam_messages"] == wanted).then(|| trained(server))?
    })
}

/// The score that counts of every message, with the version of its model.
fn scores(server: &Server) -> BTreeMap<String, String> {
    let mut best: BTreeMap<String, (i64, String)> = BTreeMap::new();
    for event in events(server, "mail.scored") {
        let scored = &event["event"];
        let (sequence, version) =
            (scored["model_sequence"].as_i64().unwrap(), scored["model_version"].as_str().unwrap());
        let known = best.entry(scored["message_id"].as_str().unwrap().to_owned()).or_default();
        if sequence >= known.0 {
            *known = (sequence, version.to_owned());
        }
    }
    best.into_iter().map(|(id, (_, version))| (id, version)).collect()
}

/// The dump with every score left out.
fn but_scores(dump: &str) -> Vec<Value> {
    let line = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        for entry in line["entries"].as_array_mut().into_iter().flatten() {
            entry["spam"] = Value::Null;
        }
        line
    };
    dump.lines().map(line).collect()
}

fn report(house: &House, arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = ["replay"].iter().chain(arguments).chain(&["--json"]).copied().collect();
    serde_json::from_slice(&house.run(&arguments).stdout).unwrap()
}

/// Waits until the store shows what stands on the log.
fn shown(house: &House, what: &str, is_it: impl Fn(&str) -> bool) -> String {
    eventually(what, || Some(house.dump()).filter(|dump| is_it(dump)))
}

#[test]
fn every_score_is_the_new_models_and_nothing_else_changes_with_one_partition() {
    every_score_is_the_new_models(1);
}

#[test]
fn every_score_is_the_new_models_and_nothing_else_changes_with_three_partitions() {
    every_score_is_the_new_models(3);
}

fn every_score_is_the_new_models(partitions: u32) {
    let receiver = Receiver::new();
    let house = House::with_partitions(partitions);
    let server = house.start();
    let version = furnish(&server, &receiver.url("/hook"));
    receiver.called(MAILS);
    let mut listener = Listener::greeted(&server, ANN);
    let before = house.dump();
    let dry = report(&house, &["score", "--dry-run"]);
    assert_eq!(house.dump(), before);
    let done = report(&house, &["score"]);
    assert_eq!((&done["scored"], &done["modelVersion"]), (&json!(MAILS), &json!(version)));
    assert_eq!((&done["after"], &done["corrections"]), (&dry["after"], &dry["corrections"]));
    assert_eq!(done["corrections"]["corrected"], 10);
    assert!(scores(&server).values().all(|known| *known == version));
    let again = report(&house, &["score"]);
    assert_eq!((&again["scored"], &again["resumed"]), (&json!(0), &json!(MAILS)), "there is nothing left to do");
    let after = shown(&house, "the new scores", |dump| dump != before);
    assert_eq!(but_scores(&after), but_scores(&before));
    // An older model is the later word, too; and so is the one in force after it.
    let older = report(&house, &["score", "--model", "starter"]);
    let starter = older["modelVersion"].as_str().unwrap().to_owned();
    assert!(starter != version && scores(&server).values().all(|known| *known == starter));
    let newest = report(&house, &["score"]);
    assert_eq!((&newest["scored"], &newest["resumed"]), (&json!(MAILS), &json!(0)));
    assert!(scores(&server).values().all(|known| *known == version));
    shown(&house, "the same scores as before", |dump| dump == after);
    server.deliver(&[ANN], &plain("after all", 900));
    let Said::Frame(frame) = listener.next() else { panic!("closed") };
    assert_eq!(frame["subject"], "after all", "nobody was told of the replays");
    receiver.called(MAILS + 1);
    assert_eq!(receiver.calls().len(), MAILS + 1);
    assert!(server.stop().success());
}

#[test]
fn slack_is_told_of_each_mail_and_of_no_replay() {
    let receiver = Receiver::new();
    let house = House::new();
    let server = house.start();
    server.change("POST", &format!("/api/addresses/{ANN}"), &json!({"webhookSlack": receiver.url("/slack")}));
    server.deliver(&[ANN], &plain("one", 500));
    server.deliver(&[ANN], &plain("two", 500));
    receiver.called(2);
    assert_eq!(report(&house, &["score", "--model", "starter"])["scored"], 2);
    assert_eq!(report(&house, &["route"])["lookedAt"], 2);
    server.deliver(&[ANN], &plain("after all", 500));
    let calls = receiver.called(3);
    assert_eq!(calls.len(), 3);
    assert!(calls[2].json().to_string().contains("after all"), "nobody was told of the replays");
    assert!(server.stop().success());
}

#[test]
fn a_replay_that_was_killed_goes_on_and_ends_in_the_same_state() {
    let receiver = Receiver::new();
    let house = House::with_partitions(3);
    let server = house.start();
    let version = furnish(&server, &receiver.url("/hook"));
    assert!(server.stop().success());
    let copy = house.data.with_extension("copy");
    let copied = Command::new("cp").args(["-r".as_ref(), house.data.as_os_str(), copy.as_os_str()]).status().unwrap();
    assert!(copied.success());
    let uncut = House::at(copy);
    assert_eq!(report(&uncut, &["score"])["scored"], MAILS, "while nobody runs");
    let server = house.start();
    let mut replaying = house
        .command(&["replay", "score", "--rate", "20"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let marked = |server: &Server| {
        let scored = events(server, "mail.scored");
        scored.iter().filter(|event| event["event"]["replay"].is_string()).count()
    };
    eventually("a part of it", || (marked(&server) >= 10).then_some(()));
    server.kill();
    let _ = replaying.wait();
    let server = house.start();
    let half = marked(&server);
    assert!((1..MAILS).contains(&half), "{half}");
    let done = report(&house, &["score"]);
    let (scored, resumed) = (done["scored"].as_u64().unwrap(), done["resumed"].as_u64().unwrap());
    assert_eq!((scored + resumed, resumed), (MAILS as u64, half as u64));
    assert!(scores(&server).values().all(|known| *known == version));
    let wanted = uncut.dump();
    shown(&house, "what an uncut replay shows", |dump| dump == wanted);
    assert!(server.stop().success());
}

#[test]
fn a_replay_that_its_caller_leaves_ends_and_goes_on_when_it_is_asked_for_again() {
    let house = House::new();
    let server = house.start();
    furnish(&server, "https://hooks.example/none");
    let mut replaying = house
        .command(&["replay", "score", "--rate", "20"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("a part of it", || {
        events(&server, "mail.scored").iter().any(|event| event["event"]["replay"].is_string()).then_some(())
    });
    replaying.kill().unwrap();
    let _ = replaying.wait();
    let done = eventually("the first one has ended", || {
        let output = house.command(&["replay", "score", "--json"]).output().unwrap();
        output.status.success().then(|| serde_json::from_slice::<Value>(&output.stdout).unwrap())
    });
    assert!(done["resumed"].as_u64().unwrap() > 0, "{done}");
    assert_eq!(done["scored"].as_u64().unwrap() + done["resumed"].as_u64().unwrap(), MAILS as u64);
    assert!(server.stop().success());
}

const OUTLIVING: usize = 120;

/// A server that has mail to these, of which the log has given up a part.
fn outlives_its_log(house: &mut House, recipients: &[&str], then: impl Fn(&Server)) -> Server {
    let large = house.config.clone();
    house.config = format!("{large}segment_bytes = 131072\n");
    let server = house.start();
    let mut client = server.smtp();
    for number in 0..OUTLIVING {
        client.send("sender@example.com", recipients, &plain(&format!("mail{number:03}"), 10 * 1024)).unwrap();
    }
    then(&server);
    assert!(server.stop().success());
    house.config = format!("{large}segment_bytes = 131072\nretention_bytes = 614400\n[upkeep]\nevery_seconds = 1\n");
    let server = house.start();
    eventually("a part of the log is removed", || {
        events(&server, "mail.raw").first().and_then(|first| first["offset"].as_u64()).filter(|first| *first > 20)
    });
    server
}

#[test]
fn mail_that_is_older_than_the_log_finds_the_address_that_is_reserved_today() {
    let mut house = House::with_partitions(1);
    let (all, desk) = ("all@caught.example", "desk@caught.example");
    let server = outlives_its_log(&mut house, &["x@caught.example", desk], |server| {
        let mails = server.inbox_of("x@caught.example", OUTLIVING);
        assert_eq!(mails.len(), OUTLIVING);
    });
    let ids = |inbox: &str, count| -> Vec<Value> {
        server.inbox_of(inbox, count).iter().map(|mail| mail["_id"].clone()).collect()
    };
    // Two entries of each mail, and the oldest of one inbox is deleted.
    let oldest = ids(desk, OUTLIVING).last().unwrap().as_str().unwrap().to_owned();
    server.change("DELETE", &format!("/api/addresses/{desk}/messages/{oldest}"), &Value::Null);
    server.change("PUT", "/api/admin/domains/caught.example", &json!({"private": true}));
    server.change("PUT", "/api/admin/domains/caught.example/catch-all", &json!({"inbox": all}));
    let gathered = report(&house, &["route"]);
    assert_eq!((&gathered["lookedAt"], &gathered["moved"]), (&json!(OUTLIVING), &json!(OUTLIVING)), "{gathered}");
    ids(all, OUTLIVING);
    assert_eq!(report(&house, &["route"])["moved"], 0, "there is nothing left to do");
    server.change("POST", &format!("/api/addresses/{desk}"), &Value::Null);
    let found = report(&house, &["route"]);
    assert_eq!(found["moved"], OUTLIVING - 1, "{found}");
    let parted = ids(desk, OUTLIVING - 1);
    let message = oldest.split('-').next().unwrap();
    assert!(parted.iter().all(|id| !id.as_str().unwrap().starts_with(message)), "what is deleted stays deleted");
    ids(all, OUTLIVING);
    assert_eq!(report(&house, &["route"])["moved"], 0, "there is nothing left to do");
    let last = parted.last().unwrap().as_str().unwrap();
    let explained = text_of(&house.run(&["explain", last]));
    assert!(explained.contains(&format!("entry {last} is in {desk}")), "{explained}");
    assert!(server.stop().success());
}

#[test]
fn mail_that_is_older_than_the_log_is_scored_from_the_store() {
    let mut house = House::with_partitions(1);
    let inbox = "kept@example.org";
    let server = outlives_its_log(&mut house, &[inbox], |server| {
        let mails = server.inbox_of(inbox, OUTLIVING);
        for mail in &mails[100..] {
            let id = mail["_id"].as_str().unwrap();
            server.change("PUT", &format!("/api/addresses/{inbox}/messages/{id}/star"), &Value::Null);
        }
    });
    let kept = server.inbox(inbox);
    for mail in &kept[..12] {
        move_to(&server, inbox, mail["_id"].as_str().unwrap(), "spam");
    }
    let version = taught(&server, 12);
    let done = report(&house, &["score"]);
    assert_eq!(done["scored"], kept.len(), "{done}");
    assert!(done["fromStore"].as_u64().unwrap() >= 20, "{done}");
    let scores = scores(&server);
    for mail in &kept {
        let message = mail["_id"].as_str().unwrap().split('-').next().unwrap();
        assert_eq!(scores.get(message), Some(&version), "{message}");
    }
    // Where it came from and why it is there is known of it still.
    let oldest = kept.last().unwrap()["_id"].as_str().unwrap();
    let explained = text_of(&house.run(&["explain", oldest]));
    for part in ["this is what the store has", "scored again by the replay score-", "scored anew by", "nobody's"] {
        assert!(explained.contains(part), "{part}: {explained}");
    }
    assert!(server.stop().success());
}

#[test]
fn an_address_that_is_reserved_today_finds_its_mail_of_yesterday() {
    let receiver = Receiver::new();
    let house = House::with_partitions(3);
    let server = house.start();
    server.change("PUT", "/api/admin/domains/caught.example", &json!({"private": true}));
    server.change("PUT", "/api/admin/domains/caught.example/catch-all", &json!({"inbox": "all@caught.example"}));
    for number in 0..5 {
        server.deliver(&["desk@caught.example", "x@caught.example"], &plain(&format!("desk{number}"), 500));
        server.deliver(&["any@caught.example"], &plain(&format!("any{number}"), 500));
    }
    let mails = server.inbox_of("all@caught.example", 10);
    let desk: Vec<&Value> = mails.iter().filter(|mail| mail["subject"].as_str().unwrap().starts_with("desk")).collect();
    let path = |mail: &Value| format!("/api/addresses/all@caught.example/messages/{}", mail["_id"].as_str().unwrap());
    server.change("PUT", &format!("{}/star", path(desk[0])), &Value::Null);
    server.change("PUT", &format!("{}/folder/trash", path(desk[1])), &Value::Null);
    server.change("DELETE", &path(desk[2]), &Value::Null);
    server.change("POST", "/api/addresses/desk@caught.example", &json!({"webhook": receiver.url("/desk")}));
    let before = house.dump();
    let dry = report(&house, &["route", "--dry-run"]);
    assert_eq!((&dry["moved"], house.dump()), (&json!(4), before));
    let done = report(&house, &["route", "--inbox", "desk@caught.example"]);
    assert_eq!((&done["moved"], &done["cameTo"]), (&json!(4), &json!([["desk@caught.example", 4]])), "{done}");
    let found = server.inbox_of("desk@caught.example", 4);
    let of = |mail: &Value| found.iter().find(|one| one["_id"] == mail["_id"]).unwrap();
    assert!(of(desk[0])["savedBy"].is_string());
    assert_eq!(of(desk[1])["folder"], "trash");
    assert!(found.iter().all(|mail| mail["_id"] != desk[2]["_id"]), "what is deleted stays deleted");
    // Its second recipient's entry is in the catch-all's inbox still.
    server.inbox_of("all@caught.example", 9);
    assert_eq!(report(&house, &["route"])["moved"], 0, "there is nothing left to do");
    server.deliver(&["desk@caught.example"], &plain("new", 500));
    assert_eq!(receiver.called(1)[0].json()["subject"], "new", "nobody was told of what was found");
    let explained = text_of(&house.run(&["explain", desk[0]["_id"].as_str().unwrap()]));
    assert!(explained.contains("routed by the replay route-"), "{explained}");
    assert!(server.stop().success());
}
