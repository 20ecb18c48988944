//! `postlog spam review`: mail that a model is least certain of is shown, and a person says what it is. What was said is
//! kept line by line in a file that `train --reviewed` takes; the same command goes on where it was left. Over a
//! server each verdict moves the mail too, which is a correction that its model learns from.

mod answers;
mod candidates;
mod keys;
mod shown;

use std::path::PathBuf;

use clap::Args;
use processors::spam::Kind;

use self::answers::Answers;
use self::candidates::Candidate;
use self::keys::{Key, Keys};
use super::super::Place;
use super::super::door::{Door, Reach};
use super::super::failure::Failure;
use super::super::screen;
use super::choice::Choice;
use super::off_the_runtime;

pub use answers::read as read_answers;

/// Mails of one sitting.
const MOST: usize = 1000;

#[derive(Debug, Args)]
pub struct Review {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    model: Choice,
    /// Review mail of this inbox on the running server, instead of files
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["paths", "model"])]
    inbox: Option<String>,
    /// Where the verdicts are kept, for `train --reviewed`
    #[arg(long, value_name = "FILE", default_value = "reviewed.jsonl")]
    file: PathBuf,
    /// How many mails at most
    #[arg(long, value_name = "NUMBER", default_value_t = MOST)]
    limit: usize,
    /// Files (one mail each, or mboxes) and folders of them
    #[arg(required_unless_present = "inbox", value_name = "PATH")]
    paths: Vec<PathBuf>,
}

impl Review {
    pub async fn run(self, place: &Place) -> Result<(), Failure> {
        let mut answers = Answers::open(&self.file)?;
        let limit = self.limit;
        if let Some(inbox) = &self.inbox {
            return Door::visit(place, &self.reach, async |door| {
                let candidates = candidates::of_inbox(door, inbox, limit, &answers).await?;
                let told = Told::Server(door, inbox);
                sit(&candidates, &mut answers, &told).await
            })
            .await;
        }
        let (choice, paths) = (self.model, self.paths);
        let known = answers.names();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        off_the_runtime(move || {
            let _ = sender.send(candidates::of_files(&paths, &*choice.load()?, limit, &known));
            Ok(())
        })
        .await?;
        sit(&receiver.await?, &mut answers, &Told::Nobody).await
    }
}

/// Who is told what a mail is, besides the file.
enum Told<'a> {
    Nobody,
    Server(&'a Door, &'a str),
}

/// Shows one mail after the other, until it is enough. Behind the last one, it can still be taken back.
async fn sit(candidates: &[Candidate], answers: &mut Answers, told: &Told<'_>) -> Result<(), Failure> {
    if candidates.is_empty() {
        return screen::print("There is nothing left to review.\n");
    }
    let keys = Keys::new();
    // What was said in this sitting, for undo: the place of the mail, and whether it was said or skipped.
    let mut said: Vec<(usize, bool)> = Vec::new();
    let mut at = 0;
    loop {
        let candidate = candidates.get(at);
        screen::print(&match candidate {
            Some(candidate) => shown::page(candidate, at, candidates.len(), answers),
            None => shown::end(answers),
        })?;
        let (candidate, kind) = match (keys.next().await?, candidate) {
            (Key::Spam, Some(candidate)) => (candidate, Kind::Spam),
            (Key::Ham, Some(candidate)) => (candidate, Kind::Ham),
            (Key::Skip, Some(_)) => {
                said.push((at, false));
                at += 1;
                continue;
            }
            (Key::Undo, _) => {
                if let Some((before, was_said)) = said.pop() {
                    at = before;
                    if was_said {
                        take_back(candidates.get(before), answers, told).await?;
                    }
                }
                continue;
            }
            (Key::Quit, _) => break,
            _ => continue,
        };
        tell(told, candidate, Some(kind)).await?;
        answers.add(candidate, kind)?;
        said.push((at, true));
        at += 1;
    }
    screen::print(&format!("\n{}\n", shown::sum(answers)))
}

async fn take_back(candidate: Option<&Candidate>, answers: &mut Answers, told: &Told<'_>) -> Result<(), Failure> {
    if let Some(candidate) = candidate {
        tell(told, candidate, None).await?;
    }
    Ok(answers.take_back()?)
}

/// Moves the mail to where its kind lies, or back to where it lay.
async fn tell(told: &Told<'_>, candidate: &Candidate, kind: Option<Kind>) -> Result<(), Failure> {
    let Told::Server(door, inbox) = told else { return Ok(()) };
    let folder = match kind {
        Some(Kind::Spam) => "spam",
        Some(Kind::Ham) => "inbox",
        None => &candidate.folder,
    };
    Ok(candidates::move_to(door, inbox, candidate, folder).await?)
}
