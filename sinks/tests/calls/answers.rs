//! Answers that would cost time or memory, or say more than they should.

use std::time::{Duration, Instant};

use schemas::event::ForwardKind;
use sinks::forward::{Attempted, Called, Courier, MAX_ANSWER_BYTES};

use crate::mail::{at_home, delivery, webhook};
use crate::receiver::{Receiver, Reply};

async fn answered(reply: Reply) -> Attempted {
    answered_within(reply, Duration::from_secs(10)).await
}

async fn answered_within(reply: Reply, timeout: Duration) -> Attempted {
    let receiver = Receiver::start(reply).await;
    let mut poster = at_home();
    poster.timeout = timeout;
    webhook(poster).deliver(&delivery(ForwardKind::Webhook, &receiver.url("/"))).await
}

#[tokio::test]
async fn the_start_of_an_answer_is_kept_and_no_more() {
    for (length, kept) in [(0, 0), (1, 1), (MAX_ANSWER_BYTES, 4096), (MAX_ANSWER_BYTES + 1, 4096), (100_000, 4096)] {
        let body = "x".repeat(length);
        let reply = format!("HTTP/1.1 500 No\r\nContent-Length: {length}\r\n\r\n{body}");
        let attempted = answered(Reply::bytes(&reply)).await;
        assert_eq!((attempted.status, attempted.answer.len()), (Some(500), kept), "{length}");
        assert!(matches!(attempted.outcome, Called::Later { .. }));
    }
}

#[tokio::test]
async fn an_answer_of_ten_gigabytes_is_left_at_its_start() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n".to_vec();
    let attempted = answered(Reply::Endless(head, vec![b'x'; 65_536])).await;
    assert_eq!((attempted.outcome, attempted.answer.len()), (Called::Delivered, MAX_ANSWER_BYTES));
}

#[tokio::test]
async fn a_body_that_does_not_come_makes_no_failure_of_a_success() {
    let began = Instant::now();
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\nabc".to_vec();
    let attempted = answered(Reply::Silent(head)).await;
    assert_eq!((attempted.outcome, &*attempted.answer), (Called::Delivered, "abc"));
    assert!(began.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn a_compressed_answer_is_kept_as_it_came() {
    // A bomb begins so: the header of gzip, and then what would be zeros without end.
    let mut bytes = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 10000000\r\n\r\n".to_vec();
    bytes.extend_from_slice(b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xec\xc1\x01");
    let attempted = answered(Reply::Endless(bytes, vec![0; 4096])).await;
    assert_eq!(attempted.outcome, Called::Delivered);
    assert!(attempted.answer.len() <= MAX_ANSWER_BYTES && attempted.answer.starts_with('\u{fffd}'));
}

#[tokio::test]
async fn a_server_that_says_nothing_is_waited_for_no_longer_than_the_limit() {
    for reply in [
        Reply::Silent(Vec::new()),
        Reply::Silent(b"HTTP/1.1 200 OK\r\nX: ".to_vec()),
        Reply::Silent(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
        Reply::Endless(Vec::new(), b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
    ] {
        let attempted = answered_within(reply, Duration::from_millis(200)).await;
        let Called::Later { cause, .. } = attempted.outcome else { panic!("{attempted:?}") };
        assert_eq!((&*cause, attempted.status), ("no answer within 0.2 s", None));
    }
}

#[tokio::test]
async fn a_head_without_end_and_what_is_no_http_are_failures() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(100_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(1000));
    for reply in [
        Reply::bytes(&long),
        Reply::bytes(&many),
        Reply::bytes("220 smtp.example ESMTP\r\n"),
        Reply::bytes(""),
        Reply::Endless(b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'y'; 4096]),
        Reply::bytes("HTTP/1.1 99999 No\r\n\r\n"),
    ] {
        let attempted = answered(reply).await;
        let Called::Later { cause, .. } = attempted.outcome else { panic!("{attempted:?}") };
        assert!(cause.starts_with("the connection broke"), "{cause}");
    }
}

#[tokio::test]
async fn a_head_is_read_up_to_its_limits() {
    let head = |headers: usize, bytes: usize| {
        let more = "A: b\r\n".repeat(headers - 2);
        format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: {}\r\n{more}\r\n", "y".repeat(bytes))
    };
    for (headers, bytes, read) in [(100, 0, true), (101, 0, false), (2, 12_000, true), (2, 40_000, false)] {
        let attempted = answered(Reply::bytes(&head(headers, bytes))).await;
        assert_eq!(attempted.outcome == Called::Delivered, read, "{headers} {bytes}: {attempted:?}");
    }
}

#[tokio::test]
async fn a_receiver_that_is_busy_says_when_to_call_again() {
    for status in ["429 Too Many Requests", "502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"] {
        let reply = format!("HTTP/1.1 {status}\r\nRetry-After: 90\r\nContent-Length: 4\r\n\r\nbusy");
        let attempted = answered(Reply::bytes(&reply)).await;
        let expected =
            Called::Later { retry_after: Some(Duration::from_secs(90)), cause: format!("the answer was {status}") };
        assert_eq!((attempted.outcome, &*attempted.answer), (expected, "busy"));
    }
}

#[tokio::test]
async fn a_receiver_that_is_gone_switches_the_forward_off() {
    let attempted = answered(Reply::status("410 Gone")).await;
    assert_eq!(attempted.status, Some(410));
    assert_eq!(attempted.outcome, Called::Refused { cause: "the answer was 410 Gone".to_owned(), off: true });
}

#[tokio::test]
async fn an_answer_does_nothing_to_a_terminal() {
    let attempted = answered(Reply::bytes("HTTP/1.1 400 No\r\nContent-Length: 9\r\n\r\n\x1b]52;\r\n\0\x07")).await;
    assert_eq!(attempted.answer, "\u{fffd}]52;\n\u{fffd}\u{fffd}");
}
