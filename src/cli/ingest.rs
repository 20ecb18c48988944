//! `postlog ingest`: mail from files goes the way that mail by SMTP goes, from the log on.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::PathBuf;
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
use crate::mails::{Found, Mail, read_all, walk};

/// Mails on their way at a time: appends that wait together share one sync.
const AT_A_TIME: usize = 32;
/// Mail in memory, in KiB.
const IN_MEMORY_KIB: usize = 128 * 1024;
/// Without a terminal, a line is written every so many mails.
const TOLD_EVERY: u64 = 1000;

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

/// A mail, and the room that it takes until the server has answered.
struct Item {
    mail: Mail,
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
            screen::json(&json!(outcome))?;
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
        let reading = tokio::task::spawn_blocking(move || send_all(found, &sender, &room));
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
        let Item { mail: Mail { name, content, advance_bytes }, _room } = item;
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
fn send_all(found: Vec<Found>, sender: &mpsc::Sender<Item>, room: &Arc<Semaphore>) {
    let handle = tokio::runtime::Handle::current();
    let _ = read_all(found, &mut |mail| {
        let kib = mail.content.as_ref().map_or(0, Vec::len) / 1024 + 1;
        let kib = u32::try_from(kib.min(IN_MEMORY_KIB)).unwrap_or(1);
        let place = handle.block_on(Arc::clone(room).acquire_many_owned(kib));
        // Nobody takes it any more when the command ends early.
        match sender.blocking_send(Item { mail, _room: place.ok() }) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
}
