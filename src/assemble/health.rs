//! Which stages have ended though nobody asked them to: what `/readyz` tells.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::own::OwnLog;

/// Which stages have ended though nobody asked them to, and why.
#[derive(Default)]
pub struct Health {
    ended: Mutex<BTreeMap<&'static str, String>>,
}

impl Health {
    pub fn missing(&self) -> Vec<String> {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.iter().map(|(stage, cause)| format!("{stage} has stopped: {cause}")).collect()
    }

    /// With what the log says of itself: a server that refuses every mail is not ready.
    pub fn missing_with(&self, log: &OwnLog) -> Vec<String> {
        let mut missing = self.missing();
        if missing.is_empty() {
            missing.extend(log.refuses());
        }
        missing
    }

    pub fn end(&self, stage: &'static str, cause: String) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).insert(stage, cause);
    }
}

/// Runs a stage, and remembers its end unless it was stopped.
pub async fn watched<E: std::fmt::Display>(
    name: &'static str,
    running: impl Future<Output = Result<(), E>>,
    health: Arc<Health>,
    stop: CancellationToken,
) {
    let ended = running.await;
    if let Err(error) = &ended {
        tracing::error!(stage = name, %error, "a stage has stopped");
    }
    if !stop.is_cancelled() {
        health.end(name, ended.err().map_or_else(|| "it ended by itself".to_owned(), |error| error.to_string()));
    }
}
