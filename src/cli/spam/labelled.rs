//! Mail of which somebody has said what it is: the paths behind `--spam` and `--ham`.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use processors::spam::Kind;

use super::super::failure::Failure;
use super::super::screen;
use crate::mails::{Found, Mail, read_all, walk_corpus};

/// Without a terminal, a line is written every so many mails.
const TOLD_EVERY: u64 = 1000;

#[derive(Debug, Clone, Args)]
pub struct Labelled {
    /// Spam: files (one mail each, or mboxes) and folders of them
    #[arg(long, num_args = 1.., value_name = "PATH")]
    spam: Vec<PathBuf>,
    /// Mail that is no spam
    #[arg(long, num_args = 1.., value_name = "PATH")]
    ham: Vec<PathBuf>,
}

impl Labelled {
    /// The files of each kind, in the order in which they are read.
    pub fn find(&self) -> Result<Vec<(Kind, Vec<Found>)>, Failure> {
        let kinds = [(Kind::Spam, &self.spam), (Kind::Ham, &self.ham)];
        let found: Vec<(Kind, Vec<Found>)> =
            kinds.map(|(kind, paths)| (kind, paths.iter().flat_map(|path| walk_corpus(path)).collect())).into();
        for ((kind, paths), (_, files)) in kinds.iter().zip(&found) {
            if !paths.is_empty() && files.is_empty() {
                let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
                let paths = paths.join(", ");
                let text = format!("no {} lies in {paths}: mail in files and mboxes is looked for", name(*kind));
                return Err(Failure::Usage(text));
            }
        }
        Ok(found)
    }

    pub fn is_empty(&self) -> bool {
        self.spam.is_empty() && self.ham.is_empty()
    }
}

pub const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Spam => "spam",
        Kind::Ham => "ham",
    }
}

/// How far the reading is, on a terminal as a bar; what can't be read is told at once.
pub struct Progress {
    bar: ProgressBar,
    quiet: bool,
    pub done: u64,
    pub refused: u64,
}

impl Progress {
    /// `quiet` for programs that read the outcome as JSON.
    pub fn new<'a>(files: impl Iterator<Item = &'a Found>, quiet: bool) -> Self {
        let size = |one: &Found| match one {
            Found::File { size_bytes, .. } => *size_bytes,
            Found::Fault { .. } => 0,
        };
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(files.map(size).sum()) };
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {eta}") {
            bar.set_style(style);
        }
        Self { bar, quiet, done: 0, refused: 0 }
    }

    /// Notes a mail, and gives its bytes if it could be read.
    pub fn note(&mut self, mail: Mail) -> Option<(String, Vec<u8>)> {
        self.bar.inc(mail.advance_bytes);
        match mail.content {
            Ok(content) => {
                self.done += 1;
                self.bar.set_message(format!("{} mails", self.done));
                if !self.quiet && self.done.is_multiple_of(TOLD_EVERY) && !std::io::stderr().is_terminal() {
                    eprintln!("{} mails so far", self.done);
                }
                Some((mail.name, content))
            }
            Err(cause) => {
                self.refused += 1;
                self.bar.suspend(|| eprintln!("{}: {}", screen::escaped(&mail.name), screen::escaped(&cause)));
                None
            }
        }
    }

    /// A mail that was noted in an earlier run.
    pub fn skip(&self, mail: &Mail) {
        self.bar.inc(mail.advance_bytes);
    }

    pub fn finish(self) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        if self.refused == 0 { Ok(()) } else { Err(Failure::PartRefused) }
    }
}

/// Reads every mail of every kind.
pub fn read_each(
    found: Vec<(Kind, Vec<Found>)>,
    mut take: impl FnMut(Kind, Mail) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for (kind, files) in found {
        let mut done = Ok(());
        let _ = read_all(files, &mut |mail| {
            done = take(kind, mail);
            if done.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        done?;
    }
    Ok(())
}
