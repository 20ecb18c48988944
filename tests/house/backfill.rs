//! Mail that was there before a forward is told when somebody asks for it, in its order.

use serde_json::{Value, json};

use super::forwards::{all_ended, forward, reserve};
use crate::support::mail::plain;
use crate::support::on_both_logs;
use crate::support::receiver::Receiver;
use crate::support::server::{House, OnLog};
use crate::support::websocket::{Listener, Said};

on_both_logs!(
    a_new_webhook_is_told_of_stored_mail_in_the_order_of_its_arrival,
    a_backfill_may_begin_behind_a_frame_that_a_websocket_showed,
);

fn a_new_webhook_is_told_of_stored_mail_in_the_order_of_its_arrival(log: OnLog) {
    const MAILS: usize = 120;
    // The order of arrival is that of one partition.
    let house = House::with_partitions_on(log, 1);
    let server = house.start();
    reserve(&server, "late@example.org", &Value::Null);
    let mut smtp = server.smtp();
    let sent: Vec<String> = (0..MAILS)
        .map(|number| {
            let mail = plain(&format!("late{number}"), 400);
            smtp.send("sender@example.com", &["late@example.org"], &mail).unwrap().queued_as()
        })
        .collect();
    server.deliver(&["nobody@example.org"], &plain("another", 400));
    server.inbox_of("late@example.org", MAILS);
    let receiver = Receiver::new();
    let webhook = json!({"webhook": receiver.url("/"), "webhookOrdered": true, "webhookPayload": "thin"});
    server.change("PUT", "/api/addresses/late@example.org", &webhook);
    let told_at_arrival = server.deliver(&["late@example.org"], &plain("last", 400));
    receiver.called(1);
    all_ended(&server);
    let id = forward(&server, "webhook", "late@example.org");
    let dry = house.run(&["forward", "backfill", &id, "--from", "earliest", "--dry-run"]);
    assert!(String::from_utf8_lossy(&dry.stdout).contains(&format!("{MAILS} mails would be told")));
    assert_eq!(receiver.calls().len(), 1);
    let run = house.run(&["forward", "backfill", &id, "--from", "earliest"]);
    assert!(String::from_utf8_lossy(&run.stdout).contains(&format!("{MAILS} mails will be told")));
    let calls = receiver.called(MAILS + 1);
    all_ended(&server);
    let told: Vec<String> =
        calls.iter().map(|call| call.json()["_id"].as_str().unwrap().trim_end_matches("-0").to_owned()).collect();
    assert_eq!(told[0], told_at_arrival);
    assert_eq!(told[1..], sent);
    assert_eq!(receiver.calls().len(), MAILS + 1);
}

fn a_backfill_may_begin_behind_a_frame_that_a_websocket_showed(log: OnLog) {
    let house = House::on(log);
    let server = house.start();
    reserve(&server, "ann@example.org", &json!({"enablews": true}));
    let mut listener = Listener::greeted(&server, "ann@example.org");
    server.deliver(&["ann@example.org"], &plain("seen", 400));
    let Said::Frame(frame) = listener.next() else { panic!("the socket was closed") };
    let later = server.deliver(&["ann@example.org"], &plain("later", 400));
    server.inbox_of("ann@example.org", 2);
    let receiver = Receiver::new();
    server.change("PUT", "/api/addresses/ann@example.org", &json!({"webhook": receiver.url("/")}));
    let id = forward(&server, "webhook", "ann@example.org");
    house.run(&["forward", "backfill", &id, "--from", frame["cursor"].as_str().unwrap()]);
    all_ended(&server);
    let told: Vec<Value> = receiver.calls().iter().map(|call| call.json()["_id"].clone()).collect();
    assert_eq!(told, [json!(format!("{later}-0"))]);
    let refused = house.command(&["forward", "backfill", &id, "--from", "nonsense"]).output().unwrap();
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("cursor"));
}
