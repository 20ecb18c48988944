//! Those who read the log over HTTP: slow ones cost the server nothing but their place, and all end with it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use crate::support::mail::plain;
use crate::support::server::{House, KEY, Server};
use crate::support::{PATIENCE, eventually};

const MIB: usize = 1024 * 1024;
const MAILS: usize = 30;
const READERS: usize = 10;
/// Of all readers together: each may hold a mail as JSON twice, and what its socket takes.
const SLACK_BYTES: u64 = 160 << 20;

fn open(server: &Server, path: &str, accept: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let host = server.http;
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nMailsac-Key: {KEY}\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// What has come until `part` is there.
fn until(stream: &mut TcpStream, part: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 8192];
    while !text.contains(part) {
        let length = stream.read(&mut buffer).unwrap();
        assert!(length > 0, "{part} does not come: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    text
}

#[test]
fn readers_that_take_nothing_are_not_read_ahead_for() {
    let house = House::new();
    let server = house.start();
    for number in 0..MAILS {
        server.deliver(&["ann@example.org"], &plain(&format!("mail {number}"), 2 * MIB));
    }
    server.inbox_of("ann@example.org", MAILS);
    let before = server.memory_bytes();
    let mut slow: Vec<TcpStream> =
        (0..READERS).map(|_| open(&server, "/api/events/mail.raw", "text/event-stream")).collect();
    slow.iter_mut().for_each(|stream| drop(until(stream, "200 OK")));
    // Somebody else reads all of it meanwhile.
    let text = server.text("/api/events/mail.raw");
    assert_eq!(text.lines().count(), MAILS);
    let after = server.memory_bytes();
    assert!(after < before + SLACK_BYTES, "{} MiB for readers that take nothing", (after - before) >> 20);
    drop(slow);
    eventually("the places of those who went", || (server.memory_bytes() < before + SLACK_BYTES / 2).then_some(()));
}

#[test]
fn streams_end_with_the_server_and_go_on_at_the_next() {
    let house = House::new();
    let server = house.start();
    server.deliver(&["ann@example.org"], &plain("one", 300));
    let mut stream = open(&server, "/api/events/mail.routed", "text/event-stream");
    let text = until(&mut stream, "\"offset\":0");
    let id = text.split("id: ").nth(1).unwrap().lines().next().unwrap().to_owned();
    let begun = Instant::now();
    assert!(server.stop().success());
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "the answer ends whole: {rest:?}");
    assert!(begun.elapsed() < PATIENCE);
    let server = house.start();
    server.deliver(&["ann@example.org"], &plain("two", 300));
    let mut stream = open(&server, &format!("/api/events/mail.routed?after={id}"), "text/event-stream");
    let text = until(&mut stream, "\"offset\":1");
    assert!(!text.contains("\"offset\":0"), "{text}");
}
