//! What belongs to one account is read and changed by no other, by whatever door; and of two that want the same, the
//! earlier wins.

use std::sync::Barrier;
use std::thread;

use serde_json::json;

use crate::support::http::request;
use crate::support::mail::plain;
use crate::support::on_both_logs;
use crate::support::server::{House, OnLog, Server};

on_both_logs!(
    no_door_shows_or_changes_what_belongs_to_another_account,
    of_many_that_reserve_an_address_at_once_one_wins,
);

const ACCOUNTS: usize = 4;
const RACES: usize = 10;

fn account(server: &Server, name: &str) -> String {
    let email = format!("{name}@accounts.example");
    let made = server.change("POST", "/api/admin/accounts", &json!({"account": name, "email": email}));
    made["key"].as_str().unwrap().to_owned()
}

fn status(server: &Server, key: &str, method: &str, path: &str) -> (u16, String) {
    let headers = [("Mailsac-Key", key)];
    let answer = request(server.http, method, path, &headers, &[]).unwrap();
    (answer.status, answer.text())
}

fn no_door_shows_or_changes_what_belongs_to_another_account(log: OnLog) {
    let house = House::on(log);
    let server = house.start();
    let bob = account(&server, "bob");
    let inbox = "secret@example.org";
    server.change("POST", &format!("/api/addresses/{inbox}"), &json!({"info": "private-note"}));
    server.deliver(&[inbox], &plain("private-subject", 500));
    let id = server.inbox_of(inbox, 1)[0]["_id"].as_str().unwrap().to_owned();
    let message = format!("/api/addresses/{inbox}/messages/{id}");
    let doors = [
        ("GET", format!("/api/addresses/{inbox}")),
        ("GET", format!("/api/addresses/{inbox}/messages")),
        ("DELETE", format!("/api/addresses/{inbox}/messages")),
        ("GET", format!("/api/addresses/{inbox}/message-count")),
        ("GET", message.clone()),
        ("DELETE", message.clone()),
        ("PUT", format!("{message}/star")),
        ("PUT", format!("{message}/read/true")),
        ("PUT", format!("{message}/labels/mine")),
        ("PUT", format!("{message}/folder/trash")),
        ("GET", format!("{message}/headers")),
        ("GET", format!("{message}/attachments")),
        ("GET", format!("/api/raw/{inbox}/{id}")),
        ("GET", format!("/api/text/{inbox}/{id}")),
        ("GET", format!("/api/body/{inbox}/{id}")),
        ("GET", format!("/api/dirty/{inbox}/{id}")),
        ("GET", format!("/api/headers/{inbox}/{id}")),
        ("PUT", format!("/api/addresses/{inbox}")),
        ("POST", format!("/api/addresses/{inbox}")),
        ("DELETE", format!("/api/addresses/{inbox}?deleteAddressMessages=true")),
        ("GET", "/api/events/mail.raw?from=earliest".to_owned()),
        ("GET", "/api/admin/dump".to_owned()),
        ("POST", "/api/admin/rebuild".to_owned()),
        ("POST", "/api/admin/ingest?to=a@b.example".to_owned()),
        ("GET", "/api/admin/accounts".to_owned()),
        ("PUT", "/api/admin/domains/taken.example".to_owned()),
    ];
    for (method, path) in &doors {
        for key in [bob.as_str(), "k_of_nobody_0123456789"] {
            let (status, text) = status(&server, key, method, path);
            assert!(matches!(status, 401 | 403 | 404), "{method} {path}: {status} {text}");
            assert!(!text.contains("private-"), "{method} {path}: {text}");
        }
    }
    // By a path of one's own, somebody else's message is not there.
    let (found, text) = status(&server, &bob, "GET", &format!("/api/addresses/other@example.org/messages/{id}"));
    assert_eq!(found, 404, "{text}");
    let (_, listed) = status(&server, &bob, "GET", "/api/addresses");
    assert!(!listed.contains("secret"), "{listed}");
    let kept = server.inbox_of(inbox, 1).remove(0);
    assert!(kept["savedBy"].is_null() && kept["folder"] == "inbox" && kept["labels"] == json!([]), "{kept}");
    assert_eq!(server.json(&format!("/api/addresses/{inbox}"))["info"], "private-note");
}

fn of_many_that_reserve_an_address_at_once_one_wins(log: OnLog) {
    let house = House::on(log);
    let server = house.start();
    let keys: Vec<String> = (0..ACCOUNTS).map(|number| account(&server, &format!("racer{number}"))).collect();
    for race in 0..RACES {
        let path = format!("/api/addresses/race{race}@example.org");
        let start = Barrier::new(ACCOUNTS);
        let answers: Vec<u16> = thread::scope(|scope| {
            let racers: Vec<_> = keys
                .iter()
                .map(|key| {
                    let (server, path, start) = (&server, &path, &start);
                    scope.spawn(move || {
                        start.wait();
                        status(server, key, "POST", path).0
                    })
                })
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
        let winner = answers.iter().position(|status| *status == 200).unwrap();
        let (found, text) = status(&server, &keys[winner], "GET", &path);
        assert!(found == 200 && text.contains(&format!("racer{winner}")), "{text}");
    }
}
