//! Why a command did not do what was asked, and the exit code that says so.

use std::process::ExitCode;

use crate::config::Faults;

use super::screen;

#[derive(Debug)]
pub enum Failure {
    /// 1
    Failed(anyhow::Error),
    /// 2: the command line or the configuration can't work.
    Usage(String),
    /// 3: no server, or not ready.
    NotReady(String),
    /// 4: a part was refused, and the command has said which.
    PartRefused,
}

impl Failure {
    /// Says it on standard error.
    pub fn told(self) -> ExitCode {
        let (code, text) = match self {
            Self::Failed(error) => (1, format!("{error:#}")),
            Self::Usage(text) => (2, text),
            Self::NotReady(text) => (3, text),
            Self::PartRefused => return ExitCode::from(4),
        };
        // Faults are listed on lines of their own; a control character within a line is not obeyed.
        for (number, line) in text.lines().enumerate() {
            let start = if number == 0 { "postlog: " } else { "" };
            eprintln!("{start}{}", screen::escaped(line));
        }
        ExitCode::from(code)
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        match error.downcast::<Faults>() {
            Ok(faults) => Self::Usage(faults.to_string()),
            Err(error) => Self::Failed(error),
        }
    }
}
