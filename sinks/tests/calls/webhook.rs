//! What a webhook is sent.

use std::sync::Arc;

use bytes::Bytes;
use schemas::event::{ForwardKind, ForwardPayload};
use serde_json::{Value, json};
use sinks::forward::{Called, Courier, Delivery};
use sinks::webhook::{MAX_SECRETS, Secret, WebhookCourier, signatures};

use crate::mail::{NOW_MS, OneMail, RAW, SimpleReader, at_home, delivery, entry, webhook};
use crate::receiver::{Received, Receiver, Reply};

const SECRETS: [&str; 2] = ["whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"];

/// What arrives of a delivery, after the test has had its way with it.
async fn sent(change: impl FnOnce(&mut Delivery)) -> Received {
    let receiver = Receiver::start(Reply::status("204 No Content")).await;
    let mut delivery = delivery(ForwardKind::Webhook, &receiver.url("/hook?a=b"));
    change(&mut delivery);
    let attempted = webhook(at_home()).deliver(&delivery).await;
    assert_eq!(attempted.outcome, Called::Delivered);
    receiver.received()[0].clone()
}

fn flat() -> Value {
    json!({
        "_id": entry().id, "from": [{"address": "bob@example.com", "name": "Bob"}], "to": [], "cc": [], "bcc": [],
        "subject": "s", "savedBy": null, "inbox": "ann@example.org", "originalInbox": "ann+x@example.org",
        "domain": "example.org", "received": "2023-11-14T22:13:20.000Z", "size": RAW.len(), "attachments": [],
        "ip": "", "via": "", "folder": "inbox", "labels": [], "read": false, "rtls": false, "links": [], "spam": 0.25,
    })
}

#[tokio::test]
async fn the_full_payload_is_the_message_with_all_that_it_says() {
    let received = sent(|_| {}).await;
    let mut expected = flat();
    let more = json!({
        "headers": {
            "from": "Bob <bob@example.com>", "received": ["one", "two"], "subject": "s", "x-mailsac-id": entry().id,
        },
        "text": "body\r\n", "html": "<p>body</p>", "body": "<p>body</p>",
        "raw": format!("X-Mailsac-Id: {}\r\n{RAW}", entry().id),
    });
    expected.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    assert_eq!(serde_json::from_slice::<Value>(&received.body).unwrap(), expected);
    assert_eq!(received.line, "POST /hook?a=b HTTP/1.1");
    assert_eq!(received.headers["content-type"], "application/json");
}

#[tokio::test]
async fn the_thin_payload_is_the_message_as_lists_show_it() {
    let received = sent(|delivery| delivery.payload = ForwardPayload::Thin).await;
    assert_eq!(serde_json::from_slice::<Value>(&received.body).unwrap(), flat());
}

#[tokio::test]
async fn the_raw_payload_is_the_message_byte_for_byte() {
    let received = sent(|delivery| delivery.payload = ForwardPayload::Raw).await;
    assert_eq!(String::from_utf8(received.body).unwrap(), format!("X-Mailsac-Id: {}\r\n{RAW}", entry().id));
    assert_eq!(received.headers["content-type"], "message/rfc822");
}

#[tokio::test]
async fn a_call_names_its_delivery_and_is_signed_with_each_secret() {
    let received = sent(|delivery| delivery.secrets = SECRETS.map(str::to_owned).to_vec()).await;
    let (id, timestamp_s) = ("dlv_0afefff23521bdfcf4eae48bd660e0b0", NOW_MS / 1000);
    assert_eq!(received.headers["webhook-id"], id);
    assert_eq!(received.headers["webhook-timestamp"], timestamp_s.to_string());
    let secrets = SECRETS.map(|text| Secret::parse(text).unwrap());
    assert_eq!(received.headers["webhook-signature"], signatures(&secrets, id, timestamp_s, &received.body));
    assert_eq!(received.headers["webhook-signature"].split(' ').count(), 2);
    for secret in SECRETS {
        assert!(!format!("{received:?}").contains(secret));
    }
}

#[tokio::test]
async fn no_more_secrets_are_signed_with_than_the_newest_five() {
    for (secrets, signed) in [(MAX_SECRETS, MAX_SECRETS), (MAX_SECRETS + 1, MAX_SECRETS)] {
        let received = sent(|delivery| delivery.secrets = vec![SECRETS[0].to_owned(); secrets]).await;
        assert_eq!(received.headers["webhook-signature"].split(' ').count(), signed);
    }
}

#[tokio::test]
async fn without_a_secret_a_call_is_not_signed() {
    let received = sent(|_| {}).await;
    assert!(!received.headers.contains_key("webhook-signature"));
    assert!(received.headers.contains_key("webhook-id"));
}

#[tokio::test]
async fn a_secret_that_can_not_be_read_sends_nothing_unsigned() {
    let receiver = Receiver::start(Reply::status("200 OK")).await;
    let mut delivery = delivery(ForwardKind::Webhook, &receiver.url("/"));
    delivery.secrets = vec![SECRETS[0].to_owned(), "hunter2-hunter2".to_owned()];
    let attempted = webhook(at_home()).deliver(&delivery).await;
    let Called::Refused { cause, off: false } = attempted.outcome else { panic!("{attempted:?}") };
    assert!(!cause.contains("hunter2"));
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn no_header_of_a_call_comes_from_the_mail() {
    let plain = sent(|_| {}).await;
    let hostile = sent(|delivery| {
        let injected = "x\r\nX-Injected: 1\r\n\r\nGET / HTTP/1.1";
        injected.clone_into(&mut delivery.entry.subject);
        injected.clone_into(&mut delivery.entry.inbox);
        injected.clone_into(&mut delivery.entry.from[0].name);
        delivery.target += "&c=d\r\nX-Injected:%201";
    })
    .await;
    let names = |received: &Received| received.headers.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&hostile), names(&plain));
    assert_eq!(hostile.line, "POST /hook?a=b&c=dX-Injected:%201 HTTP/1.1");
}

#[tokio::test]
async fn an_id_that_no_header_may_hold_is_refused() {
    let receiver = Receiver::start(Reply::status("200 OK")).await;
    let mut delivery = delivery(ForwardKind::Webhook, &receiver.url("/"));
    delivery.due.delivery_id += "\r\nX-Injected: 1";
    let attempted = webhook(at_home()).deliver(&delivery).await;
    assert!(matches!(attempted.outcome, Called::Refused { off: false, .. }));
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn bytes_that_are_no_utf8_are_sent_all_the_same() {
    let raw = Bytes::from_static(b"Subject: \xe9\r\n\r\n\xff\xfe\0\r\n");
    for payload in [ForwardPayload::Full, ForwardPayload::Raw] {
        let receiver = Receiver::start(Reply::status("200 OK")).await;
        let store = Arc::new(OneMail(Some(raw.clone())));
        let courier = WebhookCourier::new(Arc::new(at_home()), store, Arc::new(SimpleReader));
        let mut delivery = delivery(ForwardKind::Webhook, &receiver.url("/"));
        delivery.payload = payload;
        assert_eq!(courier.deliver(&delivery).await.outcome, Called::Delivered);
        let body = receiver.received()[0].body.clone();
        match payload {
            ForwardPayload::Raw => assert!(body.ends_with(&raw)),
            _ => assert!(serde_json::from_slice::<Value>(&body).unwrap()["raw"].as_str().unwrap().ends_with("\0\r\n")),
        }
    }
}

#[tokio::test]
async fn a_message_that_is_gone_is_dropped_and_nothing_is_sent() {
    let receiver = Receiver::start(Reply::status("200 OK")).await;
    let courier = WebhookCourier::new(Arc::new(at_home()), Arc::new(OneMail(None)), Arc::new(SimpleReader));
    let attempted = courier.deliver(&delivery(ForwardKind::Webhook, &receiver.url("/"))).await;
    assert!(matches!(attempted.outcome, Called::Dropped { .. }), "{attempted:?}");
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_message_of_many_megabytes_arrives_whole() {
    let raw = Bytes::from([b"Subject: s\r\n\r\n".to_vec(), vec![b'x'; 25 * 1024 * 1024]].concat());
    let receiver = Receiver::start(Reply::status("200 OK")).await;
    let store = Arc::new(OneMail(Some(raw.clone())));
    let courier = WebhookCourier::new(Arc::new(at_home()), store, Arc::new(SimpleReader));
    let mut delivery = delivery(ForwardKind::Webhook, &receiver.url("/"));
    delivery.payload = ForwardPayload::Raw;
    assert_eq!(courier.deliver(&delivery).await.outcome, Called::Delivered);
    assert!(receiver.received()[0].body.ends_with(&raw));
}
