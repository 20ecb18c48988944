//! What a process can't do without and may lose for a while: whether it is there, and one log line when that changes.

use std::sync::{Mutex, PoisonError};

pub struct Missing {
    /// What it means while it is away.
    meaning: &'static str,
    cause: Mutex<Option<String>>,
}

impl Missing {
    pub const fn new(meaning: &'static str) -> Self {
        Self { meaning, cause: Mutex::new(None) }
    }

    /// What is wrong, for people.
    pub fn cause(&self) -> Option<String> {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set(&self, cause: Option<String>) {
        let mut known = self.cause.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*known, &cause) {
            (None, Some(cause)) => tracing::warn!(cause, "{}", self.meaning),
            (Some(was), None) => tracing::info!(was, "what was missing is there again"),
            _ => {}
        }
        *known = cause;
    }
}
