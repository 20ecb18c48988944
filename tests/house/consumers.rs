//! Consumers that know nothing of Postlog: each topic counted by kcat, and decoded field by field by confluent-kafka,
//! through this server's own registry calls.

use std::process::Command;

use schemas::Topic;
use serde_json::{Value, json};

use crate::support::mail::{plain, rich};
use crate::support::receiver::Receiver;
use crate::support::server::{House, OnLog, Server, text_of};
use crate::support::{eventually, kafka};

const ANN: &str = "ann@example.org";
const MAILS: usize = 20;

/// Something on every topic that a running server writes to.
fn live(house: &House) -> Server {
    let receiver = Receiver::new();
    let server = house.start();
    server.change("POST", &format!("/api/addresses/{ANN}"), &json!({}));
    let webhook = json!({"webhook": receiver.url("/hook"), "info": "x"});
    server.change("PUT", &format!("/api/private-address-forwarding/{ANN}"), &webhook);
    for number in 0..MAILS {
        server.deliver(&[ANN, "bob@example.net"], &plain(&format!("mail {number}"), 400));
    }
    server.deliver(&[ANN], &rich("Welcome"));
    receiver.called(MAILS + 1);
    let entry = server.inbox_of(ANN, MAILS + 1).remove(0);
    let id = entry["_id"].as_str().unwrap();
    server.change("PUT", &format!("/api/addresses/{ANN}/messages/{id}/read/true"), &Value::Null);
    server.change("PUT", &format!("/api/addresses/{ANN}/messages/{id}/folder/spam"), &Value::Null);
    eventually("a model on the log", || (!events(&server, Topic::SpamModels).is_empty()).then_some(()));
    eventually("every attempt on the log", || (events(&server, Topic::ForwardAttempts).len() > MAILS).then_some(()));
    server
}

fn events(server: &Server, topic: Topic) -> Vec<Value> {
    server.text(&format!("/api/events/{topic}")).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What two readers have seen, in one order.
fn in_order(mut seen: Vec<Value>) -> Vec<Value> {
    let number = |one: &Value, name: &str| one[name].as_u64().unwrap();
    seen.sort_by_key(|one| (number(one, "partition"), number(one, "offset")));
    let bare = |one: Value| json!({"partition": one["partition"], "offset": one["offset"], "event": one["event"]});
    seen.into_iter().map(bare).collect()
}

#[test]
fn confluents_client_decodes_every_field_of_every_topic() {
    let house = House::on(OnLog::Kafka);
    let server = live(&house);
    let (prefix, broker) = kafka::prefix_and_broker(&house);
    let python = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/python-clients")).output().unwrap();
    assert!(python.status.success(), "{}", text_of(&python));
    let python = String::from_utf8(python.stdout).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/house/clients/decode.py");
    let registry = format!("http://{}", server.http);
    for topic in Topic::ALL {
        let ours = in_order(events(&server, topic));
        let arguments = [script, &broker, &registry, &prefix, topic.name()];
        let output = Command::new(python.trim()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{topic}: {}", text_of(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        let theirs = in_order(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect());
        assert_eq!(theirs.len(), ours.len(), "{topic}");
        for (theirs, ours) in theirs.iter().zip(&ours) {
            assert_eq!(theirs, ours, "{topic}");
        }
        let is_live = topic != Topic::DeadLetters;
        assert!(!is_live || !ours.is_empty(), "nothing stands on {topic}");
    }
}

#[test]
fn kcat_counts_on_every_topic_what_the_server_says_is_there() {
    let house = House::on(OnLog::Kafka);
    let server = live(&house);
    for topic in Topic::ALL {
        let read =
            kafka::kcat(&house, topic, &["-C", "-e", "-q", "-f", "%p %o\\n", "-X", "isolation.level=read_committed"]);
        assert_eq!(read.lines().count(), events(&server, topic).len(), "{topic}");
    }
    assert_eq!(events(&server, Topic::MailRouted).len(), MAILS + 1, "each message stands once");
}
