//! `postlog ingest`: mail from files goes the way that mail by SMTP goes, from the log on.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use futures::StreamExt;
use hyper::Method;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::door::{Door, Reach, segment};
use super::failure::Failure;
use super::{Place, screen};
use crate::mails::{Found, Mbox, Message, is_mbox, walk};

/// Mails on their way at a time: appends that wait together share one sync.
const AT_A_TIME: usize = 32;
/// Mail in memory, in KiB.
const IN_MEMORY_KIB: usize = 128 * 1024;
/// The largest mail that any server takes; what is larger is not even read.
const LARGEST_BYTES: usize = 30 << 20;
/// What is looked at to see whether a file is an mbox.
const HEAD_BYTES: u64 = 1024;
/// Without a terminal, a line is written every so many mails.
const TOLD_EVERY: u64 = 1000;

/// What mail begins with, also where nothing stands between colon and value.
const COMMON_FIELDS: [&str; 10] = [
    "Received",
    "Return-Path",
    "Delivered-To",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Date",
    "From",
    "To",
    "Subject",
];
const NO_MAIL: &str =
    "it is no mail: its first line is no header field (what is mail all the same is taken when it is named .eml)";

#[derive(Debug, Args)]
pub struct Ingest {
    #[command(flatten)]
    reach: Reach,
    /// Files (one mail each, or mboxes) and folders of .eml files, mboxes and Maildirs
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Recipient of every mail; may be repeated [default: what its headers say]
    #[arg(long, value_name = "ADDRESS")]
    to: Vec<String>,
    /// Sender of every mail [default: what its headers say]
    #[arg(long, value_name = "ADDRESS")]
    from: Option<String>,
    /// For programs: the outcome as one JSON object, and no progress
    #[arg(long)]
    json: bool,
}

/// One mail of a file.
struct Item {
    name: String,
    content: Result<Vec<u8>, String>,
    /// How much further in the files this is.
    advance_bytes: u64,
    _room: Option<OwnedSemaphorePermit>,
}

#[derive(Default, Serialize)]
struct Outcome {
    accepted: u64,
    refused: Vec<Refusal>,
}

#[derive(Serialize)]
struct Refusal {
    file: String,
    cause: String,
}

impl Ingest {
    pub async fn run(self, place: &Place) -> Result<(), Failure> {
        self.check_addresses()?;
        let found: Vec<Found> = self.paths.iter().flat_map(|path| walk(path)).collect();
        if found.is_empty() {
            let paths: Vec<String> = self.paths.iter().map(|path| path.display().to_string()).collect();
            return Err(anyhow::anyhow!(
                "no mail lies in {}: .eml, .mbox and Maildirs are looked for",
                paths.join(", ")
            )
            .into());
        }
        let outcome = Door::visit(place, &self.reach, async |door| Ok(self.bring_in(door, found).await)).await?;
        if self.json {
            screen::print(&format!("{}\n", json!(outcome)))?;
        } else {
            screen::print(&format!("{} accepted, {} refused\n", outcome.accepted, outcome.refused.len()))?;
        }
        if outcome.refused.is_empty() { Ok(()) } else { Err(Failure::PartRefused) }
    }

    /// What is said on the command line for every mail is looked at once, before any of them.
    fn check_addresses(&self) -> Result<(), Failure> {
        // Mail without a sender has the empty one.
        let from = self.from.iter().filter(|from| !from.is_empty()).map(|from| ("from", from));
        for (flag, address) in self.to.iter().map(|to| ("to", to)).chain(from) {
            if let Err(error) = accounts::normalise(address) {
                return Err(Failure::Usage(format!("--{flag} {address}: it is not an address: {error}")));
            }
        }
        Ok(())
    }

    async fn bring_in(&self, door: &Door, found: Vec<Found>) -> Outcome {
        let bar = self.bar(&found);
        let (sender, receiver) = mpsc::channel(1);
        let room = Arc::new(Semaphore::new(IN_MEMORY_KIB));
        let reading = tokio::task::spawn_blocking(move || read_all(found, &sender, &room));
        let outcome = Mutex::new(Outcome::default());
        let path = self.path();
        let items = futures::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|item: Item| (item, receiver))
        });
        items.for_each_concurrent(AT_A_TIME, |item| self.bring_one(door, &path, item, &bar, &outcome)).await;
        bar.finish_and_clear();
        let mut outcome = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = reading.await {
            outcome.refused.push(Refusal { file: "(reading)".to_owned(), cause: error.to_string() });
        }
        outcome
    }

    async fn bring_one(&self, door: &Door, path: &str, item: Item, bar: &ProgressBar, outcome: &Mutex<Outcome>) {
        // The room is given back when the server has answered.
        let Item { name, content, advance_bytes, _room } = item;
        let done = match content {
            Ok(content) => door.call(Method::POST, path, content).await.map_err(|error| format!("{error:#}")),
            Err(cause) => Err(cause),
        };
        bar.inc(advance_bytes);
        self.note(&mut outcome.lock().unwrap_or_else(PoisonError::into_inner), bar, name, done.err());
    }

    fn note(&self, outcome: &mut Outcome, bar: &ProgressBar, file: String, refused: Option<String>) {
        match refused {
            None => outcome.accepted += 1,
            Some(cause) => {
                if !self.json {
                    bar.suspend(|| eprintln!("{}: {}", screen::escaped(&file), screen::escaped(&cause)));
                }
                outcome.refused.push(Refusal { file, cause });
            }
        }
        let done = outcome.accepted + outcome.refused.len() as u64;
        if !self.json && done.is_multiple_of(TOLD_EVERY) && !std::io::stderr().is_terminal() {
            eprintln!("{} accepted, {} refused so far", outcome.accepted, outcome.refused.len());
        }
    }

    fn path(&self) -> String {
        let mut path = "/api/admin/ingest".to_owned();
        let parameters = self.to.iter().map(|to| ("to", to)).chain(self.from.iter().map(|from| ("from", from)));
        for (number, (name, value)) in parameters.enumerate() {
            path += &format!("{}{name}={}", if number == 0 { '?' } else { '&' }, segment(value));
        }
        path
    }

    /// Drawn on a terminal only.
    fn bar(&self, found: &[Found]) -> ProgressBar {
        if self.json {
            return ProgressBar::hidden();
        }
        let size = |one: &Found| match one {
            Found::File { size_bytes, .. } => *size_bytes,
            Found::Fault { .. } => 0,
        };
        let bar = ProgressBar::new(found.iter().map(size).sum());
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}") {
            bar.set_style(style);
        }
        bar
    }
}

/// Reads the files in their order, no faster than their mails are taken.
fn read_all(found: Vec<Found>, sender: &mpsc::Sender<Item>, room: &Arc<Semaphore>) {
    for one in found {
        let (path, read) = match one {
            Found::File { path, size_bytes } => {
                let read = read_file(&path, size_bytes, sender, room);
                (path, read)
            }
            Found::Fault { path, error } => (path, Err(error)),
        };
        if let Err(error) = read {
            let name = path.display().to_string();
            send(sender, room, name, Err(error.to_string()), 0);
        }
    }
}

fn read_file(path: &Path, size_bytes: u64, sender: &mpsc::Sender<Item>, room: &Arc<Semaphore>) -> std::io::Result<()> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut head = vec![0; usize::try_from(size_bytes.min(HEAD_BYTES)).unwrap_or_default()];
    let buffered = reader.fill_buf()?;
    let length = buffered.len().min(head.len());
    head.truncate(length);
    head.copy_from_slice(buffered.get(..length).unwrap_or_default());
    let name = path.display().to_string();
    if is_mbox(&head) {
        return read_mbox(reader, &name, sender, room);
    }
    let is_eml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("eml"));
    if !is_eml && !begins_as_mail(&head) {
        send(sender, room, name, Err(NO_MAIL.to_owned()), size_bytes);
        return Ok(());
    }
    let content = if size_bytes > LARGEST_BYTES as u64 {
        Err(too_large())
    } else {
        let mut content = Vec::with_capacity(usize::try_from(size_bytes).unwrap_or_default());
        reader.take(LARGEST_BYTES as u64 + 1).read_to_end(&mut content)?;
        if content.len() > LARGEST_BYTES { Err(too_large()) } else { Ok(content) }
    };
    send(sender, room, name, content, size_bytes);
    Ok(())
}

/// Whether the first line is a header field (RFC 5322 2.2) or the envelope line of an mbox. Mail has a blank behind the
/// colon nearly always; lists of colons, such as /etc/passwd, have none.
fn begins_as_mail(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.starts_with(b"From ") {
        return true;
    }
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return false };
    let (name, value) = line.split_at(colon);
    let name = name.trim_ascii_end();
    let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    let is_spaced = value.get(1).is_none_or(|byte| byte.is_ascii_whitespace());
    is_name && (is_spaced || COMMON_FIELDS.iter().any(|common| name.eq_ignore_ascii_case(common.as_bytes())))
}

fn read_mbox(
    reader: impl BufRead,
    name: &str,
    sender: &mpsc::Sender<Item>,
    room: &Arc<Semaphore>,
) -> std::io::Result<()> {
    let mut mbox = Mbox::new(reader, LARGEST_BYTES);
    let mut number = 0;
    while let Some(message) = mbox.next()? {
        number += 1;
        let content = match message {
            Message::Bytes(bytes) => Ok(bytes),
            Message::TooLarge => Err(too_large()),
        };
        let advance_bytes = content.as_ref().map_or(0, Vec::len) as u64;
        send(sender, room, format!("{name}, mail {number}"), content, advance_bytes);
    }
    Ok(())
}

fn send(
    sender: &mpsc::Sender<Item>,
    room: &Arc<Semaphore>,
    name: String,
    content: Result<Vec<u8>, String>,
    advance_bytes: u64,
) {
    let kib = content.as_ref().map_or(0, Vec::len) / 1024 + 1;
    let kib = u32::try_from(kib.min(IN_MEMORY_KIB)).unwrap_or(1);
    let place = tokio::runtime::Handle::current().block_on(Arc::clone(room).acquire_many_owned(kib));
    // Nobody takes it any more when the command ends early.
    let _ = sender.blocking_send(Item { name, content, advance_bytes, _room: place.ok() });
}

fn too_large() -> String {
    format!("it is larger than {LARGEST_BYTES} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_begins_with_a_header_field_or_an_envelope_line() {
        for mail in ["Subject: x\r\n", "X-Odd: y\n", "subject:x\n", "Received:\n by x", "From a Mon Nov 24\n", "To :c"]
        {
            assert!(begins_as_mail(mail.as_bytes()), "{mail:?}");
        }
        for other in
            ["", "\u{89}PNG\r\n", "root:x:0:0:root:/root:/bin/bash\n", "Hello there: you\n", ": x\n", "\nTo: x\n"]
        {
            assert!(!begins_as_mail(other.as_bytes()), "{other:?}");
        }
    }
}
