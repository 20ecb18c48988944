//! Mail is told to whom it concerns, once it is stored, and nothing that was to be told is lost. Websockets have tests of
//! their own.

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::mail::plain;
use crate::support::receiver::Receiver;
use crate::support::server::{House, Server};

fn reserve(server: &Server, address: &str, settings: &Value) -> Value {
    server.change("POST", &format!("/api/addresses/{address}"), settings)
}

/// What stands on a topic.
fn events(server: &Server, topic: &str) -> Vec<Value> {
    let text = server.text(&format!("/api/admin/events/{topic}?from=earliest"));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits until every delivery that was ever due has ended.
fn all_ended(server: &Server) {
    eventually("nothing is due", || {
        let mut due = std::collections::BTreeMap::new();
        for event in events(server, "forward.due") {
            due.insert(event["key"].as_str().unwrap().to_owned(), !event["event"].is_null());
        }
        due.values().all(|due| !due).then_some(())
    });
}

#[test]
fn a_mail_to_a_reserved_address_with_a_webhook_is_told_with_all_that_it_says() {
    let receiver = Receiver::new();
    let house = House::new();
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
