//! Chance in place of examples, seeded: nothing that arrives makes a step panic, and nothing grows without bound.

use std::fs;
use std::path::Path;

use accounts::Table;
use processors::parse::read;
use processors::process;
use processors::spam::Models;

use crate::hostile::raw;

/// xorshift64*: chance that is the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % limit
    }
}

/// What mail is made of, and what breaks readers of it.
const PIECES: [&str; 60] = [
    "From: ",
    "To: ",
    "Cc: ",
    "Subject: ",
    "Date: ",
    "Content-Type: ",
    "Content-Transfer-Encoding: ",
    "Content-Disposition: ",
    "Content-ID: ",
    "multipart/mixed",
    "multipart/alternative",
    "multipart/related",
    "multipart/digest",
    "message/rfc822",
    "text/plain",
    "text/html",
    "image/png",
    "; boundary=b",
    "; boundary=\"b\"",
    "; charset=utf-8",
    "; charset=utf-16",
    "; charset=iso-2022-jp",
    "; charset=big5",
    "; filename*0*=UTF-8''%C3",
    "; filename*1=x",
    "; name=\"a",
    "base64",
    "quoted-printable",
    "\r\n",
    "\r\n",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\r",
    "--b",
    "--b--",
    " ",
    "\t",
    "=?utf-8?q?=C3?=",
    "=?utf-8?b?w4k=?=",
    "=?",
    "?=",
    "<a@b.c>",
    "(",
    ")",
    "\"",
    "\\",
    ",",
    ";",
    ":",
    "=C3=A9",
    "=",
    "<a href=\"http://x.org/",
    "<!--",
    "<script>",
    "</",
    "&amp;",
    "cid:x",
    "AAAA",
    "\0",
];

fn read_everything(content: Vec<u8>) {
    let mail = raw(content);
    let facts = process(&mail, 0, &Table::default(), &Models::default());
    assert_eq!(facts.routed.entries.len(), 1);
    let content = &mail.content;
    read::headers(content);
    read::header_block(content);
    read::text(content);
    read::dirty_html(content);
    for (attachment, _) in read::attachments(content) {
        assert!(!attachment.file_name.contains(['/', '\\', '\0']));
    }
}

#[test]
fn random_bytes_are_read() {
    let mut chance = Chance(1);
    for _ in 0..2000 {
        let length = chance.below(600);
        read_everything((0..length).map(|_| u8::try_from(chance.below(256)).unwrap()).collect());
    }
}

#[test]
fn random_pieces_of_mail_are_read() {
    let mut chance = Chance(2);
    for _ in 0..10_000 {
        let count = chance.below(80);
        let content: String = (0..count).map(|_| PIECES[chance.below(PIECES.len())]).collect();
        read_everything(content.into_bytes());
    }
}

#[test]
fn mails_with_random_faults_are_read() {
    let mut chance = Chance(3);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mail = fs::read(&path).unwrap();
        if path.extension().is_none_or(|end| end != "eml") || mail.is_empty() {
            continue;
        }
        for _ in 0..50 {
            let mut faulty = mail.clone();
            for _ in 0..=chance.below(4) {
                let at = chance.below(faulty.len());
                match chance.below(3) {
                    0 => faulty[at] = u8::try_from(chance.below(256)).unwrap(),
                    1 => drop(faulty.splice(at..at, PIECES[chance.below(PIECES.len())].bytes())),
                    _ => faulty.truncate(at + 1),
                }
            }
            read_everything(faulty);
        }
    }
}
