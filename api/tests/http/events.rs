//! The events of a topic over HTTP: lines, server-sent events, and the cursor.

use axum::body::Body;
use axum::http::Request;
use eventlog::{Cursor, Log, LogId};
use http_body_util::BodyExt;
use schemas::{NewRecord, Position, Topic};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::house::House;

const ACCOUNTS: &str = "GET /api/events/accounts";

async fn lines(house: &House, line: &str) -> Vec<Value> {
    let answer = house.ask(line).await;
    assert_eq!(answer.status, 200, "{line}: {}", answer.text());
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn offsets(lines: &[Value]) -> Vec<u64> {
    lines.iter().map(|line| line["offset"].as_u64().unwrap()).collect()
}

fn cursor(house: &House, topic: Topic, offset: u64) -> String {
    Cursor::new(house.log.id(), topic, &[Position::new(topic, 0, offset)]).to_string()
}

async fn open(house: &House, path: &str, headers: &[(&str, &str)]) -> Body {
    let mut request = Request::builder().uri(path).header("mailsac-key", "k_root");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    house.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().into_body()
}

/// What has come until `part` is seen.
async fn until(body: &mut Body, part: &str) -> String {
    let mut text = String::new();
    while !text.contains(part) {
        let frame = tokio::time::timeout(std::time::Duration::from_secs(20), body.frame()).await;
        let frame = frame.unwrap_or_else(|_| panic!("{part} does not come: {text}"));
        text.push_str(&String::from_utf8_lossy(&frame.unwrap().unwrap().into_data().unwrap()));
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_goes_on_behind_the_cursor_of_any_line_and_stops_at_a_limit() {
    let house = House::new().await;
    let all = lines(&house, &format!("{ACCOUNTS} root")).await;
    assert_eq!(offsets(&all), [0, 1, 2, 3, 4, 5]);
    for (place, line) in all.iter().enumerate() {
        let after = line["cursor"].as_str().unwrap();
        let rest = lines(&house, &format!("{ACCOUNTS}?after={after} root")).await;
        assert_eq!(rest, all[place + 1..], "{after}");
    }
    assert_eq!(offsets(&lines(&house, &format!("{ACCOUNTS}?limit=2 root")).await), [0, 1]);
    assert_eq!(offsets(&lines(&house, &format!("{ACCOUNTS}?from=4&limit=9 root")).await), [4, 5]);
    assert_eq!(offsets(&lines(&house, &format!("{ACCOUNTS}?since=2020-01-01 root")).await).len(), 6);
    assert_eq!(lines(&house, &format!("{ACCOUNTS}?since=9999-01-01 root")).await, [] as [Value; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_that_leads_nowhere_is_refused_with_the_reason() {
    let house = House::new().await;
    let foreign = Cursor::new(&LogId("other".into()), Topic::Accounts, &[]).to_string();
    let (elsewhere, ahead) = (cursor(&house, Topic::MailRaw, 0), cursor(&house, Topic::Accounts, 99));
    for (text, status, said) in [
        ("x", 400, "after: this is not a cursor"),
        (&*foreign, 400, "after: this cursor is of another log"),
        (&*elsewhere, 400, "after: this cursor is of another topic"),
        (&*ahead, 400, "after: this cursor is ahead of the log"),
    ] {
        let answer = house.ask(&format!("{ACCOUNTS}?after={text} root")).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["message"]), (status, &json!(said)));
    }
    for question in ["after=x&from=earliest", "from=latest&since=2020-01-01", "limit=0", "limit=x", "format=xml"] {
        assert_eq!(house.ask(&format!("{ACCOUNTS}?{question} root")).await.status, 400, "{question}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_before_what_the_log_still_has_is_gone() {
    let house = House::new().await;
    for _ in 0..3 {
        house.log_append(NewRecord::new(Topic::DeadLetters, "k", "v")).await;
    }
    house.log.truncate(&[Position::new(Topic::DeadLetters, 0, 2)]).await.unwrap();
    let asked =
        |offset: u64| format!("GET /api/events/dead.letters?after={} root", cursor(&house, Topic::DeadLetters, offset));
    let answer = house.ask(&asked(1)).await;
    assert_eq!(answer.status, 410);
    assert!(answer.text().contains("from=earliest"), "{}", answer.text());
    assert_eq!(offsets(&lines(&house, &asked(2)).await), [2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_sent_events_go_on_where_the_browser_has_left_off() {
    let house = House::new().await;
    let mut body = open(&house, "/api/events/accounts", &[("accept", "text/event-stream")]).await;
    let text = until(&mut body, "\"offset\":5").await;
    assert!(text.starts_with("retry: 2000\n\nid: "), "{text}");
    let events: Vec<&str> = text.trim_start_matches("retry: 2000\n\n").trim_end().split("\n\n").collect();
    assert_eq!(events.len(), 6);
    let (id, data) = events[3].strip_prefix("id: ").unwrap().split_once("\ndata: ").unwrap();
    let event: Value = serde_json::from_str(data).unwrap();
    assert_eq!((event["offset"].as_u64(), event["cursor"].as_str()), (Some(3), Some(id)));
    // What it has seen counts before the place in its address.
    let again = [("last-event-id", id), ("accept", "text/event-stream")];
    let mut body = open(&house, "/api/events/accounts?from=latest", &again).await;
    let text = until(&mut body, "\"offset\":5").await;
    assert!(text.contains("\"offset\":4") && !text.contains("\"offset\":3"), "{text}");
    house.ask("POST /api/addresses/a@x.org ann").await;
    until(&mut body, "AddressReserved").await;
    let whole = house.ask(&format!("{ACCOUNTS}?format=sse&follow=false&limit=1 root")).await;
    assert_eq!(whole.header("content-type"), "text/event-stream");
    assert_eq!(whole.text().matches("data: ").count(), 1);
    house.doors.shutdown.cancel();
    assert!(body.frame().await.is_none(), "it ends with the server");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_other_origins_and_callers_who_are_no_administrators_read_nothing() {
    let house = House::new().await;
    let evil = house.ask(&format!("{ACCOUNTS} root origin=https://evil.example host=mail.test")).await;
    assert_eq!(evil.status, 403);
    let listed = house.ask(&format!("{ACCOUNTS}?limit=1 root origin=https://app.test host=mail.test")).await;
    assert_eq!(listed.status, 200);
    assert_eq!(house.ask(&format!("{ACCOUNTS} ann")).await.status, 403);
    assert_eq!(house.ask(&format!("{ACCOUNTS}?_mailsacKey=k_root&limit=1")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_have_a_limit_and_one_that_has_ended_makes_room() {
    let house = House::new().await;
    let mut open_ones = Vec::new();
    for _ in 0..64 {
        open_ones.push(open(&house, "/api/events/accounts?follow=true", &[]).await);
    }
    assert_eq!(house.ask(&format!("{ACCOUNTS} root")).await.status, 429);
    open_ones.pop();
    let room = async {
        while house.ask(&format!("{ACCOUNTS} root")).await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), room).await.unwrap();
}
