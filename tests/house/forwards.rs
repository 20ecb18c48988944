//! Mail is told to whom it concerns, once it is stored, and nothing that was to be told is lost. Websockets have tests of
//! their own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::http::request;
use crate::support::mail::plain;
use crate::support::on_both_logs;
use crate::support::receiver::Receiver;
use crate::support::server::{House, KEY, OnLog, Server};

on_both_logs!(
    a_mail_to_a_reserved_address_with_a_webhook_is_told_with_all_that_it_says,
    of_a_reserved_address_and_its_catch_all_both_are_told_and_a_target_that_both_name_once,
    whoever_is_told_may_ask_for_the_mail_at_once,
    what_was_due_to_a_dead_target_at_a_kill_arrives_under_the_ids_of_its_first_attempts,
    a_rebuild_and_a_start_tell_nobody,
    a_receiver_that_is_gone_switches_its_forward_off_and_what_is_due_waits,
    private_networks_are_not_called_and_the_refusal_names_the_setting,
    a_webhook_is_signed_with_its_secret_and_the_one_before_it,
    a_copy_goes_to_another_address_once_also_in_a_circle,
    an_operator_is_told_why_a_mail_is_where_it_is_and_whom_it_was_told_to,
    forwards_are_seen_and_moved_by_their_owners_and_administrators_only,
);

pub fn reserve(server: &Server, address: &str, settings: &Value) -> Value {
    server.change("POST", &format!("/api/addresses/{address}"), settings)
}

/// What stands on a topic.
fn events(server: &Server, topic: &str) -> Vec<Value> {
    let text = server.text(&format!("/api/events/{topic}?from=earliest"));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits until every delivery that was ever due has ended.
pub fn all_ended(server: &Server) {
    eventually("nothing is due", || {
        let mut due = BTreeMap::new();
        for event in events(server, "forward.due") {
            due.insert(event["key"].as_str().unwrap().to_owned(), !event["event"].is_null());
        }
        due.values().all(|due| !due).then_some(())
    });
}

fn a_mail_to_a_reserved_address_with_a_webhook_is_told_with_all_that_it_says(log: OnLog) {
    let receiver = Receiver::new();
    let house = House::on(log);
    let server = house.start();
    reserve(&server, "ann@example.org", &json!({"webhook": receiver.url("/hook")}));
    let id = server.deliver(&["ann@example.org"], &plain("told", 900));
    let call = receiver.called(1).remove(0);
    let told = call.json();
    assert_eq!((call.path.as_str(), call.header("content-type")), ("/hook", Some("application/json")));
    assert_eq!(told["_id"], format!("{id}-0"));
    assert_eq!((&told["subject"], &told["inbox"]), (&json!("told"), &json!("ann@example.org")));
    assert_eq!(told["text"], server.text(&format!("/api/text/ann@example.org/{id}-0")));
    assert_eq!(told["raw"], server.text(&format!("/api/raw/ann@example.org/{id}-0")));
    assert!(call.id().starts_with("dlv_"));
    all_ended(&server);
    assert_eq!(receiver.calls().len(), 1);
}

/// The forward of this kind that one of these rules names.
pub fn forward(server: &Server, kind: &str, rule: &str) -> String {
    let listed = server.json("/api/forwards");
    let is_it = |one: &&Value| one["kind"] == kind && one["rules"].as_array().unwrap().contains(&json!(rule));
    listed.as_array().unwrap().iter().find(is_it).expect("the forward is listed")["_id"].as_str().unwrap().to_owned()
}

fn of_a_reserved_address_and_its_catch_all_both_are_told_and_a_target_that_both_name_once(log: OnLog) {
    let receiver = Receiver::new();
    let house = House::on(log);
    let server = house.start();
    let catch_all = json!({
        "inbox": "all@caught.example", "webhook": receiver.url("/all"), "webhookSlack": receiver.url("/all-slack"),
    });
    server.change("PUT", "/api/admin/domains/caught.example", &json!({"private": true}));
    server.change("PUT", "/api/admin/domains/caught.example/catch-all", &catch_all);
    let own = json!({"webhook": receiver.url("/own"), "webhookSlack": receiver.url("/own-slack")});
    reserve(&server, "ann@caught.example", &own);
    let same = json!({"webhook": receiver.url("/all"), "webhookSlack": receiver.url("/own-slack")});
    reserve(&server, "same@caught.example", &same);
    let paths = |from: usize, calls: usize| {
        let mut paths: Vec<String> =
            receiver.called(from + calls)[from..].iter().map(|call| call.path.clone()).collect();
        all_ended(&server);
        assert_eq!(receiver.calls().len(), from + calls, "no more than that");
        paths.sort();
        paths
    };
    server.deliver(&["ann@caught.example"], &plain("one", 400));
    assert_eq!(paths(0, 4), ["/all", "/all-slack", "/own", "/own-slack"]);
    server.deliver(&["other+tag@caught.example"], &plain("two", 400));
    assert_eq!(paths(4, 2), ["/all", "/all-slack"]);
    server.deliver(&["same@caught.example"], &plain("three", 400));
    assert_eq!(paths(6, 3), ["/all", "/all-slack", "/own-slack"]);
    server.inbox_of("ann@caught.example", 1);
    let caught = server.inbox_of("all@caught.example", 1).remove(0);
    assert_eq!(caught["originalInbox"], "other+tag@caught.example");
    // Several recipients of one mail: each target once for all of them.
    server.deliver(&["ann@caught.example", "same@caught.example", "x@caught.example"], &plain("four", 400));
    assert_eq!(paths(9, 4), ["/all", "/all-slack", "/own", "/own-slack"]);
}

fn whoever_is_told_may_ask_for_the_mail_at_once(log: OnLog) {
    const MAILS: usize = 300;
    let house = House::on(log);
    let server = house.start();
    let http = server.http;
    let statuses = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&statuses);
    let receiver = Receiver::answering(move |call| {
        let id = call.json()["_id"].as_str().unwrap().to_owned();
        let path = format!("/api/addresses/ask@example.org/messages/{id}");
        let answer = request(http, "GET", &path, &[("Mailsac-Key", KEY)], &[]).unwrap();
        seen.lock().unwrap().push(answer.status);
        200
    });
    reserve(&server, "ask@example.org", &json!({"webhook": receiver.url("/"), "webhookPayload": "thin"}));
    let mut smtp = server.smtp();
    for number in 0..MAILS {
        let sent = smtp.send("sender@example.com", &["ask@example.org"], &plain(&format!("ask{number}"), 600));
        sent.unwrap().queued_as();
    }
    receiver.called(MAILS);
    assert_eq!(*statuses.lock().unwrap(), [200; MAILS]);
}

fn what_was_due_to_a_dead_target_at_a_kill_arrives_under_the_ids_of_its_first_attempts(log: OnLog) {
    const MAILS: usize = 60;
    let gone = Receiver::new();
    let address = gone.address;
    drop(gone);
    let living = Receiver::new();
    let house = House::with_partitions_on(log, 3);
    let server = house.start();
    reserve(&server, "dead@example.org", &json!({"webhook": format!("http://{address}/dead")}));
    reserve(&server, "living@example.org", &json!({"webhook": living.url("/")}));
    let mut sent = BTreeSet::new();
    for number in 0..MAILS {
        let mail = plain(&format!("dead{number}"), 500);
        sent.insert(server.deliver(&["dead@example.org", "living@example.org"], &mail));
    }
    living.called(MAILS);
    let tried = |server: &Server| -> BTreeMap<String, String> {
        let attempts = events(server, "forward.attempts").into_iter().map(|event| event["event"].clone());
        let failed = attempts.filter(|attempt| attempt["outcome"] != "Delivered");
        let pair = |one: Value| (one["delivery_id"].as_str().unwrap().to_owned(), one["message_id"].to_string());
        failed.map(pair).collect()
    };
    let first = eventually("an attempt that failed", || Some(tried(&server)).filter(|tried| !tried.is_empty()));
    server.kill();
    let back = Receiver::at(address, |_| 200);
    let server = house.start();
    let id = forward(&server, "webhook", "dead@example.org");
    server.change("POST", &format!("/api/forwards/{id}/redeliver"), &json!({"outcome": "later"}));
    let calls = back.called(MAILS);
    all_ended(&server);
    let told: BTreeMap<String, String> =
        calls.iter().map(|call| (call.id(), call.json()["_id"].as_str().unwrap().to_owned())).collect();
    let messages: BTreeSet<String> = told.values().map(|id| id.trim_end_matches("-0").to_owned()).collect();
    assert_eq!((told.len(), messages), (MAILS, sent), "each under one id of its own");
    assert!(first.keys().all(|id| told.contains_key(id)), "an attempt before the kill had another id");
}

fn a_rebuild_and_a_start_tell_nobody(log: OnLog) {
    let receiver = Receiver::new();
    let house = House::on(log);
    let server = house.start();
    reserve(&server, "ann@example.org", &json!({"webhook": receiver.url("/")}));
    for number in 0..20 {
        server.deliver(&["ann@example.org"], &plain(&format!("mail{number}"), 400));
    }
    receiver.called(20);
    all_ended(&server);
    // Compaction may take what has ended, but not the last record of a partition.
    let last = |server: &Server| {
        let due = events(server, "forward.due");
        due.iter().map(|line| (line["partition"].as_u64(), line["offset"].as_u64())).collect::<BTreeMap<_, _>>()
    };
    let before = last(&server);
    assert_eq!(server.call("POST", "/api/admin/rebuild", &[]).status, 200);
    assert!(server.stop().success());
    house.run(&["rebuild"]);
    let server = house.start();
    server.deliver(&["nobody@example.org"], &plain("behind", 400));
    server.inbox_of("nobody@example.org", 1);
    assert_eq!(last(&server), before, "nothing became due");
    assert_eq!(receiver.calls().len(), 20);
}

fn a_receiver_that_is_gone_switches_its_forward_off_and_what_is_due_waits(log: OnLog) {
    let over = Arc::new(AtomicBool::new(true));
    let is_over = Arc::clone(&over);
    let receiver = Receiver::answering(move |_| if is_over.load(Ordering::SeqCst) { 410 } else { 200 });
    let house = House::on(log);
    let server = house.start();
    reserve(&server, "ann@example.org", &json!({"webhook": receiver.url("/secret-path")}));
    let id = forward(&server, "webhook", "ann@example.org");
    server.deliver(&["ann@example.org"], &plain("gone", 400));
    let off = eventually("the forward is off", || {
        Some(server.json(&format!("/api/forwards/{id}"))).filter(|forward| forward["on"] == false)
    });
    assert!(off["offCause"].as_str().unwrap().contains("410"), "{off}");
    assert!(!off.to_string().contains("secret-path"), "{off}");
    server.deliver(&["ann@example.org"], &plain("waits", 400));
    eventually("it is due", || (server.json(&format!("/api/forwards/{id}"))["due"] == 1).then_some(()));
    over.store(false, Ordering::SeqCst);
    house.run(&["forward", "resume", &id]);
    assert_eq!(receiver.called(2)[1].json()["subject"], "waits");
    all_ended(&server);
    let attempts = server.json(&format!("/api/forwards/{id}/attempts"));
    let outcomes: Vec<&str> =
        attempts.as_array().unwrap().iter().map(|attempt| attempt["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["delivered", "refused"]);
    let tested: Value = serde_json::from_slice(&house.run(&["forward", "test", &id, "--json"]).stdout).unwrap();
    assert_eq!(tested["attempt"]["status"], 200, "{tested}");
    assert!(!server.log_text().contains("secret-path"));
}

fn private_networks_are_not_called_and_the_refusal_names_the_setting(log: OnLog) {
    let canary = Receiver::new();
    let mut house = House::on(log);
    house.http_listen = "0.0.0.0:0";
    let server = house.start();
    let port = canary.address.port();
    let urls = [
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://2130706433:{port}/"),
        "http://10.0.0.1/".to_owned(),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "http://[fd00::1]/".to_owned(),
    ];
    for (number, url) in urls.iter().enumerate() {
        let address = format!("ssrf{number}@example.org");
        reserve(&server, &address, &json!({"webhook": url}));
        server.deliver(&[&address], &plain("ssrf", 300));
    }
    let attempts = eventually("an attempt each", || {
        let attempts = events(&server, "forward.attempts");
        (attempts.len() >= urls.len()).then_some(attempts)
    });
    all_ended(&server);
    for attempt in attempts.iter().map(|attempt| &attempt["event"]) {
        assert_eq!(attempt["outcome"], "Refused", "{attempt}");
        assert!(attempt["cause"].as_str().unwrap().contains("forward.allow"), "{attempt}");
    }
    assert!(canary.calls().is_empty());
    assert!(server.stop().success());
    // The setting that it names opens it.
    house.config = "[forward]\nallow = [\"127.0.0.0/8\"]\n".to_owned();
    let server = house.start();
    server.deliver(&["ssrf0@example.org"], &plain("allowed", 300));
    canary.called(1);
}

fn a_webhook_is_signed_with_its_secret_and_the_one_before_it(log: OnLog) {
    let receiver = Receiver::new();
    let house = House::on(log);
    let server = house.start();
    let webhook = json!({"webhook": receiver.url("/"), "webhookSecret": "new"});
    let first = reserve(&server, "ann@example.org", &webhook)["webhookSecret"].as_str().unwrap().to_owned();
    let signatures = |calls: usize, subject: &str| {
        server.deliver(&["ann@example.org"], &plain(subject, 400));
        let header = receiver.called(calls)[calls - 1].header("webhook-signature").unwrap().to_owned();
        header.split(' ').filter(|one| one.starts_with("v1,")).count()
    };
    assert_eq!(signatures(1, "one"), 1);
    let again = server.change("PUT", "/api/addresses/ann@example.org", &json!({"webhookSecret": "new"}));
    assert_ne!(again["webhookSecret"], first.as_str());
    assert_eq!(signatures(2, "two"), 2);
    let shown = server.text("/api/addresses/ann@example.org") + &server.text("/api/forwards");
    assert!(!shown.contains("whsec_"), "{shown}");
    // Another address that names the same URL names the same forward.
    reserve(&server, "bob@example.org", &json!({"webhook": receiver.url("/")}));
    assert_eq!(server.json("/api/addresses/bob@example.org")["webhookSecrets"], 2);
}

fn a_copy_goes_to_another_address_once_also_in_a_circle(log: OnLog) {
    let house = House::on(log);
    let server = house.start();
    reserve(&server, "a@example.org", &Value::Null);
    reserve(&server, "b@example.org", &json!({"forward": "a@example.org"}));
    server.change("PUT", "/api/addresses/a@example.org", &json!({"forward": "b@example.org"}));
    server.deliver(&["a@example.org"], &plain("circle", 400));
    let copy = server.inbox_of("b@example.org", 1).remove(0);
    assert_eq!(copy["subject"], "circle");
    all_ended(&server);
    assert_eq!((server.inbox("a@example.org").len(), server.inbox("b@example.org").len()), (1, 1));
}

fn an_operator_is_told_why_a_mail_is_where_it_is_and_whom_it_was_told_to(log: OnLog) {
    let receiver = Receiver::new();
    let house = House::with_partitions_on(log, 3);
    let server = house.start();
    reserve(&server, "ann@example.org", &json!({"webhook": receiver.url("/hush")}));
    let id = server.deliver(&["ann+tag@example.org"], &plain("explained", 400));
    receiver.called(1);
    all_ended(&server);
    let text = String::from_utf8(house.run(&["explain", &format!("{id}-0")]).stdout).unwrap();
    for part in
        ["<sender@example.com>", "is ann@example.org, reserved by admin", "webhook http://127.0.0.1", "delivered"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("hush"), "{text}");
    let text = String::from_utf8(house.run(&["explain", "ann@example.org"]).stdout).unwrap();
    assert!(text.contains("saved in ann@example.org") && text.contains("webhook"), "{text}");
}

fn forwards_are_seen_and_moved_by_their_owners_and_administrators_only(log: OnLog) {
    let receiver = Receiver::new();
    let house = House::on(log);
    let server = house.start();
    let key = |name: &str| {
        let made = server.change("POST", "/api/admin/accounts", &json!({"account": name, "email": "x@y.example"}));
        made["key"].as_str().unwrap().to_owned()
    };
    let (ann, bob) = (key("ann"), key("bob"));
    let call = |key: &str, method: &str, path: &str, body: &str| {
        request(server.http, method, path, &[("Mailsac-Key", key)], body.as_bytes()).unwrap()
    };
    let settings = json!({"webhook": receiver.url("/hush")}).to_string();
    assert_eq!(call(&ann, "POST", "/api/addresses/ann@example.org", &settings).status, 200);
    let id = forward(&server, "webhook", "ann@example.org");
    for (method, what, body) in [
        ("GET", "", ""),
        ("GET", "/attempts", ""),
        ("POST", "/test", ""),
        ("POST", "/redeliver", r#"{"outcome":"refused"}"#),
        ("POST", "/backfill", r#"{"from":"earliest","dryRun":true}"#),
        ("POST", "/pause", ""),
        ("POST", "/resume", ""),
    ] {
        let path = format!("/api/forwards/{id}{what}");
        assert_eq!(call(&bob, method, &path, body).status, 404, "{method} {path}");
        let answer = call(&ann, method, &path, body);
        // Her inbox is empty, so there is nothing to test with.
        assert_eq!(answer.status, if what == "/test" { 400 } else { 200 }, "{method} {path}: {}", answer.text());
    }
    assert_eq!(call(&bob, "GET", "/api/forwards", "").json(), json!([]));
    assert_eq!(call(&ann, "GET", "/api/forwards", "").json().as_array().unwrap().len(), 1);
    assert_eq!(call(&bob, "GET", "/api/admin/explain/ann@example.org", "").status, 403);
}
