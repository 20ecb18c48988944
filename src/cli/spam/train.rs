//! `postlog spam train`: counts the tokens of labelled mail, and writes them as a model. What is counted is kept beside
//! the model every few seconds, so that the same command goes on where it was killed.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use processors::spam::{self, Counts, Kind};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::failure::Failure;
use super::super::screen;
use super::choice::read_counts;
use super::labelled::{Labelled, Progress, name, read_each};
use super::review::read_answers;
use crate::mails::Found;

/// How much work a kill may cost.
const KEPT_EVERY: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub struct Train {
    #[command(flatten)]
    mails: Labelled,
    /// What a person said in `review`; each counts for several mails, as a correction does
    #[arg(long, value_name = "FILE")]
    reviewed: Vec<PathBuf>,
    /// Begin with the counts of this model [default: with none]
    #[arg(long, value_name = "FILE")]
    onto: Option<PathBuf>,
    /// Where the model is written
    #[arg(long, value_name = "FILE", default_value = "spam.model")]
    model: PathBuf,
}

/// What stands beside a model that is being made: how far it is, in a line before the counts.
#[derive(Debug, Serialize, Deserialize)]
struct Part {
    /// Of the command's mail: another command's part is not gone on with.
    inputs: String,
    /// Mails that are counted, in the order of the files.
    done: u64,
}

impl Train {
    pub fn run(self) -> Result<(), Failure> {
        if self.mails.is_empty() && self.reviewed.is_empty() {
            return Err(Failure::Usage("name mail to learn from: --spam PATH… and --ham PATH…".to_owned()));
        }
        let found = self.mails.find()?;
        let first = self.onto.as_deref().map(read_counts).transpose()?.unwrap_or_default();
        let inputs = digest(&found, &first);
        let part_path = beside(&self.model, "part");
        let (mut counts, before) = match read_part(&part_path, &inputs)? {
            Some((counts, done)) => {
                eprintln!("{done} mails were counted before; going on behind them");
                (counts, done)
            }
            None => (first, 0),
        };
        let mut progress = Progress::new(found.iter().flat_map(|(_, files)| files), false);
        let (mut seen, mut kept_at) = (0, Instant::now());
        read_each(found, |kind, mail| {
            seen += 1;
            if seen <= before {
                // Counted, or told of, already.
                progress.skip(&mail);
                return Ok(());
            }
            if let Some((_, content)) = progress.note(mail) {
                counts.train(&spam::hashes_to_train(&spam::read(content)), kind);
            }
            if kept_at.elapsed() >= KEPT_EVERY {
                keep_part(&part_path, &Part { inputs: inputs.clone(), done: seen }, &counts)?;
                kept_at = Instant::now();
            }
            Ok(())
        })?;
        for path in &self.reviewed {
            read_answers(path)?.iter().for_each(|(hashes, kind)| counts.learn(hashes, *kind));
        }
        replace(&self.model, &counts.to_file())?;
        remove(&part_path)?;
        let (spam, ham) = (counts.spam_messages(), counts.ham_messages());
        let version = counts.to_event(spam::MODEL_NAME, 0, 0).version;
        let tokens = counts.tokens();
        let path = screen::escaped(&self.model.display().to_string());
        screen::print(&format!("{path}: version {version}, {spam} spam, {ham} ham, {tokens} tokens\n"))?;
        progress.finish()
    }
}

/// Which mail it is, by names and sizes, and what it is counted onto.
fn digest(found: &[(Kind, Vec<Found>)], first: &Counts) -> String {
    let mut digest = Sha256::new();
    digest.update(first.to_file());
    for (kind, files) in found {
        for file in files {
            let (path, size) = match file {
                Found::File { path, size_bytes } => (path, *size_bytes),
                Found::Fault { path, .. } => (path, 0),
            };
            digest.update(format!("{}\0{size}\0{}\0", name(*kind), path.display()));
        }
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_part(path: &Path, inputs: &str) -> anyhow::Result<Option<(Counts, u64)>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (line, counts) = bytes.split_at(end);
    let Ok(part) = serde_json::from_slice::<Part>(line) else { return Ok(None) };
    let counts = Counts::from_file(counts.get(1..).unwrap_or_default());
    match counts {
        Ok(counts) if part.inputs == inputs => Ok(Some((counts, part.done))),
        _ => {
            eprintln!("{} is of other mail: it is begun anew", screen::escaped(&path.display().to_string()));
            Ok(None)
        }
    }
}

fn keep_part(path: &Path, part: &Part, counts: &Counts) -> anyhow::Result<()> {
    let mut bytes = serde_json::to_vec(part)?;
    bytes.push(b'\n');
    bytes.extend_from_slice(&counts.to_file());
    replace(path, &bytes)
}

/// Writes a file whole or not at all.
fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let new = beside(path, "new");
    let write = || {
        let mut file = fs::File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().with_context(|| format!("{} can't be written", path.display()))
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).with_context(|| path.display().to_string()),
        _ => Ok(()),
    }
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_gone_on_with_by_the_same_command_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.model.part");
        assert!(read_part(&path, "these").unwrap().is_none());
        let mut counts = Counts::default();
        counts.train(&[1 << 50, 2 << 50], Kind::Spam);
        keep_part(&path, &Part { inputs: "these".to_owned(), done: 7 }, &counts).unwrap();
        assert_eq!(read_part(&path, "these").unwrap(), Some((counts, 7)));
        assert!(read_part(&path, "others").unwrap().is_none());
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(read_part(&path, "these").unwrap().is_none(), "half a file counts for nothing");
    }

    #[test]
    fn other_mail_other_sizes_and_another_beginning_are_another_training() {
        let found = |name: &str, size_bytes| vec![(Kind::Spam, vec![Found::File { path: name.into(), size_bytes }])];
        let one = digest(&found("a.eml", 1), &Counts::default());
        assert_eq!(one, digest(&found("a.eml", 1), &Counts::default()));
        let mut onto = Counts::default();
        onto.train(&[1], Kind::Ham);
        let others = [digest(&found("b.eml", 1), &Counts::default()), digest(&found("a.eml", 2), &Counts::default())];
        assert!(others.iter().chain([&digest(&found("a.eml", 1), &onto)]).all(|other| *other != one));
    }
}
