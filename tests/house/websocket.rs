//! `/incoming-messages` as its clients see it: order, fan-out, resuming, and who may listen.
//!
//! `POSTLOG_TEST_SOCKETS=2000` and `POSTLOG_TEST_FRAMES=10000` raise how many listen and how many mails come.

use std::collections::HashSet;
use std::thread;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite;

use crate::support::mail::plain;
use crate::support::on_both_logs;
use crate::support::server::{House, OnLog, Server};
use crate::support::websocket::{Listener, Said};

on_both_logs!(
    no_frame_precedes_its_250_and_its_mail_can_be_read_at_once,
    everybody_who_listens_gets_every_mail_and_the_memory_stays_bounded,
    a_slow_reader_is_closed_with_a_cursor_and_resumes_without_a_gap_or_a_repeat,
    a_cursor_is_good_after_a_restart_and_a_cursor_of_elsewhere_is_not,
    pages_of_others_and_names_of_others_are_refused,
    an_address_in_a_catch_all_domain_is_told_to_both_and_nothing_is_told_where_it_is_off,
    neither_a_rebuild_nor_a_mail_that_is_brought_in_confuses_who_listens,
);

const ANN: &str = "ann@example.org";

fn count_of(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

fn reserve(server: &Server, address: &str) {
    server.change("POST", &format!("/api/addresses/{address}"), &json!({"enablews": true}));
}

fn mail(said: Said) -> Value {
    match said {
        Said::Frame(frame) => frame,
        Said::Closed(code, reason) => panic!("closed: {code} {reason}"),
    }
}

fn no_frame_precedes_its_250_and_its_mail_can_be_read_at_once(log: OnLog) {
    let house = House::on(log);
    let server = house.start();
    let mails = count_of("POSTLOG_TEST_FRAMES", 400);
    thread::scope(|scope| {
        for client in 0..4 {
            let server = &server;
            scope.spawn(move || {
                let inbox = format!("client{client}@example.org");
                reserve(server, &inbox);
                let mut listener = Listener::greeted(server, &inbox);
                let mut smtp = server.smtp();
                for index in 0..mails / 4 {
                    let token = format!("order-{client}-{index}");
                    smtp.submit("sender@example.com", &[&inbox], &plain(&token, 1000)).unwrap();
                    // Only when the frame is here is it looked whether the answer had come.
                    let frame = mail(listener.next());
                    let answered = smtp.waiting();
                    assert!(answered.starts_with(b"250 "), "{token}: {:?}", String::from_utf8_lossy(&answered));
                    let id = frame["_id"].as_str().unwrap().to_owned();
                    let read = server.json(&format!("/api/addresses/{inbox}/messages/{id}"));
                    assert_eq!((&read["subject"], &frame["subject"]), (&json!(token), &json!(token)));
                    assert!(id.starts_with(&smtp.reply().unwrap().queued_as()));
                }
            });
        }
    });
    assert!(server.stop().success());
}

fn everybody_who_listens_gets_every_mail_and_the_memory_stays_bounded(log: OnLog) {
    // The order of arrival is that of one partition.
    let house = House::with_partitions_on(log, 1);
    let server = house.start();
    let (sockets, mails) = (count_of("POSTLOG_TEST_SOCKETS", 200), 20);
    reserve(&server, ANN);
    let before = server.memory_bytes();
    let mut listeners: Vec<Listener> = (0..sockets).map(|_| Listener::greeted(&server, ANN)).collect();
    for index in 0..mails {
        server.deliver(&[ANN], &plain(&format!("fan-{index}"), 2000));
    }
    for listener in &mut listeners {
        for index in 0..mails {
            assert_eq!(mail(listener.next())["subject"], format!("fan-{index}"));
        }
    }
    let grown = server.memory_bytes().saturating_sub(before);
    let most = 64 * 1024 * sockets as u64 + (64 << 20);
    assert!(grown < most, "{} KiB for {sockets} sockets", grown >> 10);
    drop(listeners);
    assert!(server.stop().success());
}

fn a_slow_reader_is_closed_with_a_cursor_and_resumes_without_a_gap_or_a_repeat(log: OnLog) {
    let house = House::with_partitions_on(log, 3);
    let server = house.start();
    reserve(&server, ANN);
    let mut slow = Listener::greeted(&server, ANN);
    let mut quick = Listener::greeted(&server, ANN);
    let mut sent = Vec::new();
    while !overflowed(&server) {
        assert!(sent.len() < 200, "nobody is closed");
        sent.push(format!("{}-0", server.deliver(&[ANN], &plain(&format!("slow-{}", sent.len()), 200_000))));
        assert!(mail(quick.next())["_id"].is_string());
    }
    let mut got = Vec::new();
    let cursor = loop {
        match slow.next() {
            Said::Frame(frame) => got.push(frame["_id"].as_str().unwrap().to_owned()),
            Said::Closed(code, reason) => {
                assert_eq!(code, 1013, "{reason}");
                break reason;
            }
        }
    };
    assert!(got.len() < sent.len());
    let mut resumed = Listener::greeted(&server, &format!("{ANN}&after={cursor}"));
    sent.push(format!("{}-0", server.deliver(&[ANN], &plain("live", 1000))));
    let mut caught_up = 0;
    while got.len() < sent.len() || caught_up == 0 {
        let frame = mail(resumed.next());
        match frame["_id"].as_str() {
            Some(id) => got.push(id.to_owned()),
            None => caught_up += usize::from(frame["msg"] == "caught_up"),
        }
    }
    assert_eq!(caught_up, 1);
    let once: HashSet<&String> = got.iter().collect();
    assert_eq!((once.len(), once), (got.len(), sent.iter().collect()));
    drop((slow, quick, resumed));
    assert!(server.stop().success());
}

fn overflowed(server: &Server) -> bool {
    server.text("/metrics").lines().any(|line| line.starts_with("postlog_websocket_overflows_total "))
}

fn a_cursor_is_good_after_a_restart_and_a_cursor_of_elsewhere_is_not(log: OnLog) {
    let house = House::on(log);
    let server = house.start();
    reserve(&server, ANN);
    let mut listener = Listener::greeted(&server, ANN);
    let first = server.deliver(&[ANN], &plain("first", 500));
    let frame = mail(listener.next());
    assert_eq!(frame["_id"], format!("{first}-0"));
    let cursor = frame["cursor"].as_str().unwrap().to_owned();
    let second = server.deliver(&[ANN], &plain("second", 500));
    mail(listener.next());
    let stopping = thread::spawn(move || server.stop());
    let Said::Closed(code, reason) = listener.next() else { panic!("a frame") };
    assert_eq!(code, 1012);
    assert!(!reason.is_empty());
    assert!(stopping.join().unwrap().success());

    let server = house.start();
    let mut resumed = Listener::greeted(&server, &format!("{ANN}&after={cursor}"));
    assert_eq!(mail(resumed.next())["_id"], format!("{second}-0"));
    assert_eq!(mail(resumed.next())["msg"], "caught_up");
    let mut forged = Listener::open(&server, &format!("{ANN}&after=AAAA"), &[]).unwrap();
    assert_eq!(mail(forged.next())["status"], 400);
    assert!(matches!(forged.next(), Said::Closed(1008, _)));
}

fn pages_of_others_and_names_of_others_are_refused(log: OnLog) {
    let house = House::on(log);
    let server = house.start();
    reserve(&server, ANN);
    for origin in ["http://evil.example", "http://127.0.0.1:9"] {
        match Listener::open(&server, ANN, &[("Origin", origin)]) {
            Err(tungstenite::Error::Http(response)) => assert_eq!(response.status(), 403),
            other => panic!("{origin}: {}", other.is_ok()),
        }
    }
    let page = format!("http://{}", server.http);
    let mut own = Listener::open(&server, ANN, &[("Origin", &page)]).unwrap();
    assert_eq!(mail(own.next())["msg"], "Listening");
    let created = server.change("POST", "/api/admin/accounts", &json!({"email": "bob@example.org"}));
    let key = created["key"].as_str().unwrap_or_else(|| panic!("{created}"));
    let headers = [("Mailsac-Key", key)];
    let mut foreign = Listener::open(&server, ANN, &headers).unwrap();
    assert_eq!(mail(foreign.next())["status"], 403);
    assert!(matches!(foreign.next(), Said::Closed(4403, _)));
}

fn an_address_in_a_catch_all_domain_is_told_to_both_and_nothing_is_told_where_it_is_off(log: OnLog) {
    // The order of arrival is that of one partition.
    let house = House::with_partitions_on(log, 1);
    let server = house.start();
    server.change("PUT", "/api/admin/domains/example.net", &json!({}));
    let caught = json!({"inbox": "all@example.net", "enablews": true});
    server.change("PUT", "/api/admin/domains/example.net/catch-all", &caught);
    reserve(&server, "sales@example.net");
    let quiet = "quiet@example.org";
    server.change("POST", &format!("/api/addresses/{quiet}"), &Value::Null);
    let mut sales = Listener::greeted(&server, "sales@example.net");
    let mut all = Listener::greeted(&server, "all@example.net");
    let mut domain = Listener::greeted(&server, "example.net");
    let mut off = Listener::greeted(&server, quiet);
    let first = server.deliver(&["sales@example.net"], &plain("first", 500));
    let second = server.deliver(&["Other+x@example.net", quiet], &plain("second", 500));
    server.deliver(&["nobody@example.com"], &plain("third", 500));
    let last = server.deliver(&["sales@example.net"], &plain("last", 500));
    let ids = |listener: &mut Listener, count: usize| -> Vec<Value> {
        (0..count).map(|_| mail(listener.next())["_id"].clone()).collect()
    };
    assert_eq!(ids(&mut sales, 2), [format!("{first}-0"), format!("{last}-0")]);
    let everything = [format!("{first}-0"), format!("{second}-0"), format!("{last}-0")];
    assert_eq!(ids(&mut all, 3), everything);
    assert_eq!(ids(&mut domain, 3), everything);
    let inboxes = server.inbox_of("all@example.net", 1);
    assert_eq!(inboxes[0]["originalInbox"], "other+x@example.net");
    server.change("PUT", &format!("/api/addresses/{quiet}"), &json!({"enablews": true}));
    let told = server.deliver(&[quiet], &plain("told", 500));
    assert_eq!(ids(&mut off, 1), [format!("{told}-0")], "what was off before was not told");
}

fn neither_a_rebuild_nor_a_mail_that_is_brought_in_confuses_who_listens(log: OnLog) {
    let house = House::on(log);
    let server = house.start();
    reserve(&server, ANN);
    server.deliver(&[ANN], &plain("before", 500));
    server.inbox_of(ANN, 1);
    let mut listener = Listener::greeted(&server, ANN);
    server.call("POST", "/api/admin/rebuild", &[]);
    let answer = server.call("POST", &format!("/api/admin/ingest?to={ANN}"), &plain("brought in", 500));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(mail(listener.next())["subject"], "brought in");
}
