//! Parses, scores and routes every file of a folder, and says how fast: `cargo run --release -p processors --example
//! folder -- FOLDER`. Files with LF line ends are read as they would arrive by SMTP, with CRLF.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a program for whoever tunes the processors"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use accounts::Table;
use processors::process;
use processors::spam::Models;
use schemas::MessageId;
use schemas::event::{Door, MailRaw};

const ROUNDS: u32 = 5;

fn main() {
    let folder = std::env::args().nth(1).expect("a folder as argument");
    let mut files = Vec::new();
    collect(Path::new(&folder), &mut files);
    files.sort();
    let mails: Vec<(PathBuf, MailRaw)> = files.into_iter().map(|path| (path.clone(), raw(&path))).collect();
    let bytes: usize = mails.iter().map(|(_, mail)| mail.content.len()).sum();
    let (table, models) = (Table::default(), Models::default());
    let mut problems: BTreeMap<String, (usize, PathBuf)> = BTreeMap::new();
    let mut times: Vec<(Duration, &Path, usize)> = Vec::new();
    for (path, mail) in &mails {
        let mut best = Duration::MAX;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let facts = std::hint::black_box(process(std::hint::black_box(mail), 0, &table, &models));
            best = best.min(start.elapsed());
            drop(facts);
        }
        for problem in process(mail, 0, &table, &models).parsed.problems {
            problems.entry(problem).or_insert((0, path.clone())).0 += 1;
        }
        times.push((best, path, mail.content.len()));
    }
    times.sort();
    let total: Duration = times.iter().map(|(time, ..)| time).sum();
    let count = times.len().max(1);
    println!("{count} mails, {bytes} bytes, {} a mail", bytes / count);
    println!("{:.0} mails/s, mean {:?}", count as f64 / total.as_secs_f64(), total / u32::try_from(count).unwrap());
    println!("median {:?}, p99 {:?}", times[count / 2].0, times[count * 99 / 100].0);
    for (time, path, size) in times.iter().rev().take(5) {
        println!("slow: {time:?} for {size} bytes: {}", path.display());
    }
    for (problem, (times, first)) in &problems {
        println!("{times:6} {problem} ({})", first.display());
    }
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| collect(&entry.unwrap().path(), files));
    } else {
        files.push(path.to_owned());
    }
}

fn raw(path: &Path) -> MailRaw {
    let bytes = fs::read(path).unwrap();
    let mut content = Vec::with_capacity(bytes.len() + bytes.len() / 30);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(bare) => {
                content.extend_from_slice(bare.strip_suffix(b"\r").unwrap_or(bare));
                content.extend_from_slice(b"\r\n");
            }
            None => content.extend_from_slice(line),
        }
    }
    MailRaw {
        message_id: MessageId::from_parts(0, [0; 10]),
        arrived_at: 0,
        door: Door::Ingest,
        peer: None,
        received_by: String::new(),
        helo: None,
        esmtp: false,
        tls: None,
        login: None,
        mail_from: String::new(),
        recipients: vec!["someone+tag@example.org".to_owned()],
        smtputf8: false,
        content,
    }
}
