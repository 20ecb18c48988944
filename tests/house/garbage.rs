//! Whatever comes in: no panic, no memory that stays taken, a clear answer, and the next client is served.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

use crate::support::mail::{plain, rich};
use crate::support::on_both_logs;
use crate::support::server::{House, OnLog, Server};
use crate::support::smtp::stuffed;
use crate::support::{PATIENCE, eventually};

on_both_logs!(a_mail_over_the_size_is_refused_by_whatever_says_so,);

const SEED: u64 = 0x6761_7262_6167_6521;
const MEMORY_SLACK_BYTES: u64 = 64 * 1024 * 1024;
const MIB: usize = 1024 * 1024;
/// The largest mail by default.
const MESSAGE_BYTES: usize = 25 * MIB;
const CUT_STEP_BYTES: usize = 37;
const LONG_LINE_BYTES: usize = 64 * MIB;
const TO_DATA: &[u8] = b"EHLO client.example.com\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<cut@example.org>\r\nDATA\r\n";
const NESTED_PARTS: usize = 100_000;

/// Says all of it, as far as the server listens, and returns what the server says.
fn say(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.smtp).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let mut writer = stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let _ = writer.write_all(bytes);
            let _ = writer.shutdown(Shutdown::Write);
        });
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    })
}

fn served(server: &Server, token: &str) {
    let content = plain(token, 500);
    let id = server.deliver(&[&format!("{token}@next.example")], &content);
    let entry = server.inbox_of(&format!("{token}@next.example"), 1).remove(0);
    assert_eq!(entry["_id"], format!("{id}-0"));
    assert!(!server.log_text().contains("panicked"), "{}", server.log_text());
}

fn dialogue(content: &[u8]) -> Vec<u8> {
    [TO_DATA, &stuffed(content), b"QUIT\r\n"].concat()
}

#[test]
fn random_bytes_harm_nobody() {
    let house = House::new();
    let server = house.start();
    let mut chance = StdRng::seed_from_u64(SEED);
    for length in [1, 10, 511, 512, 513, 4_096, 65_536, MIB] {
        let bytes: Vec<u8> = (0..length).map(|_| chance.random()).collect();
        let answer = say(&server, &bytes);
        assert!(answer.starts_with("220 "), "{answer:?}");
        served(&server, &format!("random{length}"));
    }
}

#[test]
fn a_dialogue_cut_anywhere_leaves_a_whole_mail_or_none() {
    let house = House::new();
    let server = house.start();
    let whole = dialogue(b"Subject: cut\r\n\r\n.\r\nHello\r\n");
    let end_of_data = whole.len() - b"QUIT\r\n".len();
    for length in 0..=whole.len() {
        let answer = say(&server, &whole[..length]);
        let queued = answer.contains("queued as");
        assert_eq!(queued, length >= end_of_data, "cut at {length}: {answer:?}");
    }
    let mails = server.inbox_of("cut@example.org", whole.len() - end_of_data + 1);
    for mail in mails {
        server.content("cut@example.org", mail["_id"].as_str().unwrap(), b"Subject: cut\r\n\r\n.\r\nHello\r\n");
    }
    served(&server, "cut");
}

#[test]
fn mail_that_is_hardly_mail_is_kept_as_it_came() {
    let house = House::new();
    let server = house.start();
    let (nested, long_header) = (nested(), long_header());
    let cases: [(&str, &[u8]); 6] = [
        ("empty", b""),
        ("headless", b"no header here\r\n\r\nat all\r\n"),
        ("nul", b"Subject: nul\x00\r\n\r\n\x00\x00a\x00\r\n"),
        ("eight", b"Subject: \xff\xfe\r\nFrom: \x80\r\n\r\n\xff\r\n"),
        ("nested", &nested),
        ("header", &long_header),
    ];
    for (name, content) in cases {
        kept_and_read(&server, &format!("{name}@garbage.example"), content);
        served(&server, &format!("after-{name}"));
    }
}

#[test]
fn the_memory_that_a_large_mail_takes_is_free_again() {
    let house = House::new();
    let server = house.start();
    served(&server, "warm");
    let before = server.memory_bytes();
    for (name, content) in [("nested", nested()), ("header", long_header()), ("large", plain("large", 24 * MIB))] {
        kept_and_read(&server, &format!("{name}@garbage.example"), &content);
        eventually(&format!("the memory that {name} took is free again"), || {
            (server.memory_bytes() < before + MEMORY_SLACK_BYTES).then_some(())
        });
    }
}

#[test]
fn a_mail_cut_anywhere_is_kept_and_read() {
    let house = House::new();
    let server = house.start();
    let whole = rich("cut");
    let mut client = server.smtp();
    let lengths: Vec<usize> = (0..whole.len()).step_by(CUT_STEP_BYTES).collect();
    let whole_lines = |length: usize| match whole[..length].iter().rposition(|&byte| byte == b'\n') {
        Some(end) => whole[..=end].to_vec(),
        None => Vec::new(),
    };
    for length in &lengths {
        let inbox = format!("cut{length}@garbage.example");
        client.send("a@example.com", &[&inbox], &whole_lines(*length)).unwrap().queued_as();
    }
    for length in lengths {
        read(&server, &format!("cut{length}@garbage.example"), &whole_lines(length));
    }
    served(&server, "after-cuts");
}

fn a_mail_over_the_size_is_refused_by_whatever_says_so(log: OnLog) {
    let house = House::on(log);
    let server = house.start();
    let too_large = plain("large", MESSAGE_BYTES + 1);
    let mut client = server.smtp();
    let declared = client.command(&format!("MAIL FROM:<a@example.com> SIZE={}", MESSAGE_BYTES + 1)).unwrap();
    assert_eq!(declared.code, 552, "{declared:?}");
    let seen = client.send("a@example.com", &["large@garbage.example"], &too_large).unwrap();
    assert_eq!(seen.code, 552, "{seen:?}");
    client.send("a@example.com", &["ann@example.org"], &plain("next", 300)).unwrap().queued_as();
    server.inbox_of("ann@example.org", 1);
    assert_eq!(server.inbox("large@garbage.example").len(), 0);
    // Nothing makes it smaller on its way: broker and clients have to take all of it.
    let fits = noise("fits", MESSAGE_BYTES);
    client.send("a@example.com", &["large@garbage.example"], &fits).unwrap().queued_as();
    let shown = server.inbox_of("large@garbage.example", 1).remove(0);
    server.content("large@garbage.example", shown["_id"].as_str().unwrap(), &fits);
}

fn kept_and_read(server: &Server, inbox: &str, content: &[u8]) {
    server.smtp().send("a@example.com", &[inbox], content).unwrap().queued_as();
    read(server, inbox, content);
}

fn read(server: &Server, inbox: &str, content: &[u8]) {
    let entry = server.inbox_of(inbox, 1).remove(0);
    let id = entry["_id"].as_str().unwrap();
    server.content(inbox, id, content);
    for door in ["text", "body", "dirty"] {
        server.text(&format!("/api/{door}/{inbox}/{id}"));
    }
}

/// A mail of exactly so many bytes, which no compression makes smaller.
fn noise(subject: &str, size_bytes: usize) -> Vec<u8> {
    const LINE_BYTES: usize = 900;
    let mut content = format!("Subject: {subject}\r\n\r\n").into_bytes();
    let mut chance = StdRng::seed_from_u64(SEED);
    let start = content.len();
    content.resize(size_bytes, 0);
    chance.fill_bytes(&mut content[start..]);
    // Nothing that ends a line, or stands for something at its start.
    content[start..].iter_mut().filter(|byte| **byte < b'0').for_each(|byte| *byte |= 0x80);
    for end in (LINE_BYTES..size_bytes - 3).step_by(LINE_BYTES).chain([size_bytes]) {
        content[end - 2..end].copy_from_slice(b"\r\n");
    }
    content
}

fn long_header() -> Vec<u8> {
    let mut content = Vec::new();
    while content.len() < 24 * MIB {
        content.extend(b"Subject: ");
        content.resize(content.len() + 900, b'x');
        content.extend(b"\r\n");
    }
    content.extend(b"\r\nbody\r\n");
    content
}

fn nested() -> Vec<u8> {
    let mut content = b"Subject: nested\r\nMIME-Version: 1.0\r\n".to_vec();
    for depth in 0..NESTED_PARTS {
        content.extend(format!("Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n").into_bytes());
    }
    content.extend(b"Content-Type: text/plain\r\n\r\ndeep\r\n");
    content
}

#[test]
fn a_line_without_end_is_answered_and_takes_no_memory() {
    let house = House::new();
    let server = house.start();
    served(&server, "warm");
    let before = server.memory_bytes();
    let line = vec![b'x'; LONG_LINE_BYTES];
    let answer = say(&server, &[&line, &b"\r\nQUIT\r\n"[..]].concat());
    assert!(answer.contains("\r\n500 ") || answer.contains("\r\n421 ") || answer.contains("\r\n554 "), "{answer:?}");
    assert!(server.memory_bytes() < before + MEMORY_SLACK_BYTES, "a command line is never gathered");
    let in_data = [TO_DATA, &line, b"\r\n.\r\nQUIT\r\n"].concat();
    let answer = say(&server, &in_data);
    assert!(answer.contains("\r\n552 ") || answer.contains("\r\n554 ") || answer.contains("\r\n500 "), "{answer:?}");
    assert!(!answer.contains("queued as"), "{answer:?}");
    served(&server, "line");
    eventually("the memory of a mail that was refused is free again", || {
        (server.memory_bytes() < before + MEMORY_SLACK_BYTES).then_some(())
    });
}

#[test]
fn clients_that_say_nothing_keep_nobody_out() {
    let house = House::new();
    let server = house.start();
    let silent: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(server.smtp).unwrap()).collect();
    served(&server, "beside-silence");
    drop(silent);
    served(&server, "after-silence");
}

#[test]
fn garbage_at_the_http_door_harms_nobody() {
    let house = House::new();
    let server = house.start();
    let mut chance = StdRng::seed_from_u64(SEED);
    for length in [1, 100, 10_000, MIB] {
        let bytes: Vec<u8> = (0..length).map(|_| chance.random()).collect();
        let mut stream = TcpStream::connect(server.http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    for path in ["/api/addresses/%00/messages", "/api/raw/a@b/../../etc", "/api/addresses/%ff%fe@x/messages", "/api/"] {
        let answer = server.call("GET", path, &[]);
        assert!((200..500).contains(&answer.status), "{path}: {}", answer.status);
    }
    served(&server, "http");
}
