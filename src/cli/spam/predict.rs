//! `postlog spam predict`: scores of mail in files, a path and its score a line.

use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::Args;
use processors::spam;

use super::super::failure::Failure;
use super::super::screen;
use super::choice::Choice;
use super::labelled::Progress;
use crate::mails::{Found, read_all, walk_corpus};

#[derive(Debug, Args)]
pub struct Predict {
    #[command(flatten)]
    model: Choice,
    /// For programs: path,score a line, the path quoted where it has to be (RFC 4180)
    #[arg(long)]
    csv: bool,
    /// Files (one mail each, or mboxes) and folders of them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

impl Predict {
    pub fn run(self) -> Result<(), Failure> {
        let model = self.model.load()?;
        let found: Vec<Found> = self.paths.iter().flat_map(|path| walk_corpus(path)).collect();
        // Its lines are the progress.
        let mut progress = Progress::new(found.iter(), true);
        let mut outcome = Ok(());
        let _ = read_all(found, &mut |mail| {
            let Some((name, content)) = progress.note(mail) else { return ControlFlow::Continue(()) };
            let score = spam::judge(&spam::read(content), &model).score;
            let line = if self.csv {
                format!("{},{score}\n", quoted(&name))
            } else {
                format!("{score:.4}  {}\n", screen::escaped(&name))
            };
            match screen::write(line.as_bytes()) {
                Ok(true) => ControlFlow::Continue(()),
                Ok(false) => ControlFlow::Break(()),
                Err(failure) => {
                    outcome = Err(failure);
                    ControlFlow::Break(())
                }
            }
        });
        outcome?;
        progress.finish()
    }
}

/// A field of a CSV line (RFC 4180 2).
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_have_to_be() {
        for (field, written) in [("a/b c.eml", "a/b c.eml"), ("a,b", "\"a,b\""), ("a\"b\n", "\"a\"\"b\n\"")] {
            assert_eq!(quoted(field), written);
        }
    }
}
