//! Slack, played by a server that keeps Slack's limits and reads markup as Slack does.

use std::sync::Arc;

use bytes::Bytes;
use schemas::event::ForwardKind;
use serde_json::Value;
use sinks::forward::{Attempted, Called, Courier, Delivery};

use crate::mail::{at_home, delivery, slack};
use crate::receiver::{Received, Receiver, Reply};

/// What Slack refuses, by its own names.
fn fault(request: &Received) -> Option<&'static str> {
    let length = |value: &Value| value.as_str().map_or(0, |text| text.encode_utf16().count());
    if request.headers.get("content-type").is_none_or(|kind| kind != "application/json") {
        return Some("invalid_payload");
    }
    let Ok(message) = serde_json::from_slice::<Value>(&request.body) else { return Some("invalid_payload") };
    let Some(blocks) = message["blocks"].as_array() else { return Some("no_text") };
    if blocks.len() > 50 || blocks.is_empty() {
        return Some("invalid_blocks");
    }
    if request.body.len() > 100_000 || String::from_utf8_lossy(&request.body).encode_utf16().count() > 13_000 {
        return Some("msg_blocks_too_long");
    }
    for block in blocks {
        let text = &block["text"];
        let sound = match block["type"].as_str() {
            Some("header") => text["type"] == "plain_text" && (1..=150).contains(&length(&text["text"])),
            Some("section") => (1..=3000).contains(&length(&text["text"])),
            Some("actions") => block["elements"].as_array().is_some_and(|elements| {
                (1..=25).contains(&elements.len())
                    && elements.iter().all(|one| {
                        (1..=75).contains(&length(&one["text"]["text"])) && (1..=3000).contains(&length(&one["url"]))
                    })
            }),
            Some("divider") => true,
            _ => false,
        };
        if !sound {
            return Some("invalid_blocks");
        }
    }
    None
}

/// Everything that Slack would show, as it would show it; `None` when it would take any of it for markup.
fn shown(request: &Received) -> Option<Vec<String>> {
    let message: Value = serde_json::from_slice(&request.body).unwrap();
    let blocks = message["blocks"].as_array().unwrap();
    let mut texts: Vec<&str> = blocks.iter().filter_map(|block| block["text"]["text"].as_str()).collect();
    texts.push(message["text"].as_str().unwrap());
    let all_plain = blocks
        .iter()
        .filter(|block| block["text"].is_object())
        .all(|block| block["text"]["type"] == "plain_text" && block["text"]["emoji"] == false);
    let is_markup = texts.iter().any(|text| text.contains(['<', '>'])) || !all_plain;
    let read = |text: &str| text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    (!is_markup).then(|| texts.iter().map(|text| read(text)).collect())
}

async fn slack_server() -> Receiver {
    let answer = |request: &Received| match fault(request) {
        None => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec(),
        Some(fault) => {
            format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\n\r\n{fault}", fault.len()).into_bytes()
        }
    };
    Receiver::start(Reply::Made(Arc::new(answer))).await
}

async fn sent(server: &Receiver, body: &str, change: impl FnOnce(&mut Delivery)) -> Attempted {
    let mut delivery = delivery(ForwardKind::Slack, &server.url("/services/T0/B0/secret"));
    change(&mut delivery);
    let raw = Bytes::from(format!("Subject: s\r\n\r\n{body}"));
    slack(at_home(), Some(raw)).deliver(&delivery).await
}

#[tokio::test]
async fn every_subject_arrives_as_literal_text() {
    let server = slack_server().await;
    let long = "x".repeat(20_000);
    let subjects = [
        ("<!channel>", "<!channel>"),
        ("<!here> <!everyone> <@U123> <#C1>", "<!here> <!everyone> <@U123> <#C1>"),
        ("<https://evil.example|bank.example>", "<https://evil.example|bank.example>"),
        ("&lt;!channel&gt; & *b* _i_ ~s~ `c`", "&lt;!channel&gt; & *b* _i_ ~s~ `c`"),
        ("a\r\nBcc: b\nc\rd", "a Bcc: b c d"),
        (":smile: 😀 👨‍👩‍👧", ":smile: 😀 👨‍👩‍👧"),
        ("שלום \u{202e}txt.exe\u{202c} مرحبا\u{200f}", "שלום \u{202e}txt.exe\u{202c} مرحبا\u{200f}"),
        ("", "(no subject)"),
        (&long, ""),
        (&"😀".repeat(10_000), ""),
        (&"<!channel>".repeat(2000), ""),
    ];
    for (subject, expected) in subjects {
        let attempted = sent(&server, subject, |delivery| subject.clone_into(&mut delivery.entry.subject)).await;
        assert_eq!(attempted.outcome, Called::Delivered, "{subject}: {}", attempted.answer);
        let request = server.received().pop().unwrap();
        let shown = shown(&request).unwrap_or_else(|| panic!("{subject}"));
        let header = &shown[1];
        if expected.is_empty() {
            let start = header.strip_suffix('…').unwrap();
            assert!(subject.starts_with(start) && start.chars().count() > 10, "{header}");
        } else {
            assert_eq!(header, expected);
        }
    }
    assert_eq!(server.received().len(), subjects.len());
}

#[tokio::test]
async fn long_texts_names_and_addresses_are_cut_and_never_refused() {
    let server = slack_server().await;
    for unit in ["y", "<", "&", "\"", "\\", "\u{0}", "\n", "😀", "é"] {
        let long = unit.repeat(30_000);
        let attempted = sent(&server, &long, |delivery| {
            long.clone_into(&mut delivery.entry.subject);
            long.clone_into(&mut delivery.entry.from[0].name);
            long.clone_into(&mut delivery.entry.from[0].address);
            long.clone_into(&mut delivery.entry.original_inbox);
        })
        .await;
        assert_eq!(attempted.outcome, Called::Delivered, "{unit:?}: {}", attempted.answer);
        assert!(shown(&server.received().pop().unwrap()).is_some());
    }
}

#[tokio::test]
async fn a_button_leads_to_the_message_and_nothing_is_unfurled() {
    let server = slack_server().await;
    sent(&server, "text", |_| {}).await;
    let request = server.received().pop().unwrap();
    let message: Value = serde_json::from_slice(&request.body).unwrap();
    let url = message["blocks"][3]["elements"][0]["url"].as_str().unwrap();
    assert!(url.starts_with("https://mail.example/") && url.ends_with("-0"));
    assert_eq!((&message["unfurl_links"], &message["unfurl_media"]), (&false.into(), &false.into()));
    assert_eq!(request.line, "POST /services/T0/B0/secret HTTP/1.1");
}

#[tokio::test]
async fn no_cause_and_no_answer_names_the_url() {
    let server = Receiver::start(Reply::bytes("HTTP/1.1 404 No\r\nContent-Length: 10\r\n\r\nno_service")).await;
    let attempted = sent(&server, "text", |_| {}).await;
    assert_eq!(attempted.outcome, Called::Refused { cause: "the answer was 404 Not Found".to_owned(), off: true });
    assert_eq!(attempted.answer, "no_service");
    let down = server.url("/services/T0/B0/secret");
    drop(server);
    for url in [down, "http://user:secret@hooks.example/".to_owned(), "http://secret.example/".to_owned()] {
        let attempted = slack(at_home(), Some(Bytes::new())).deliver(&delivery(ForwardKind::Slack, &url)).await;
        assert!(!matches!(attempted.outcome, Called::Delivered));
        assert!(!format!("{attempted:?}").contains("secret"), "{attempted:?}");
    }
}

/// The control: a message that isn't cut is refused by this server.
#[test]
fn the_server_refuses_what_slack_refuses() {
    let with = |body: Value| Received {
        line: String::new(),
        headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
        body: body.to_string().into_bytes(),
    };
    let header = |text: String| serde_json::json!({"blocks": [{"type": "header", "text": {"type": "plain_text", "text": text}}]});
    assert_eq!(fault(&with(header("x".repeat(150)))), None);
    assert_eq!(fault(&with(header("x".repeat(151)))), Some("invalid_blocks"));
    assert_eq!(fault(&with(header(String::new()))), Some("invalid_blocks"));
}
