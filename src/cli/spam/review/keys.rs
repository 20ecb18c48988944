//! Keys: one press on a terminal, or, for programs and tests, one character of what comes by standard input.

use std::io::{self, IsTerminal, Read};

use console::Term;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Spam,
    Ham,
    Skip,
    Undo,
    Quit,
    Other,
}

pub struct Keys {
    /// None where standard input is no terminal.
    terminal: Option<Term>,
}

impl Keys {
    pub fn new() -> Self {
        Self { terminal: io::stdin().is_terminal().then(Term::stdout) }
    }

    /// Waits for the next key. The end of the input is quit.
    pub async fn next(&self) -> anyhow::Result<Key> {
        let terminal = self.terminal.clone();
        Ok(tokio::task::spawn_blocking(move || read(terminal.as_ref())).await??)
    }
}

fn read(terminal: Option<&Term>) -> io::Result<Key> {
    if let Some(terminal) = terminal {
        return Ok(match terminal.read_key() {
            Ok(console::Key::Char(character)) => meaning(character),
            Ok(console::Key::CtrlC | console::Key::Escape) => Key::Quit,
            Ok(_) => Key::Other,
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::UnexpectedEof) => {
                Key::Quit
            }
            Err(error) => return Err(error),
        });
    }
    let mut byte = [0];
    Ok(if io::stdin().lock().read(&mut byte)? == 0 { Key::Quit } else { meaning(char::from(byte[0])) })
}

const fn meaning(character: char) -> Key {
    match character.to_ascii_lowercase() {
        's' => Key::Spam,
        'h' => Key::Ham,
        'k' | ' ' => Key::Skip,
        'u' => Key::Undo,
        'q' => Key::Quit,
        _ => Key::Other,
    }
}
