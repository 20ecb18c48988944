//! What closes the engine: a write or sync that failed. After that nothing is written or tried again until the log is
//! reopened, since nobody can say what a disk has kept of what it failed to write.

use tokio::sync::watch;

use crate::{LogError, Result, metric};

#[derive(Debug)]
pub(super) struct Fault {
    cause: watch::Sender<Option<Closed>>,
}

#[derive(Clone, Debug)]
enum Closed {
    /// As it should.
    Stopped,
    Failed(String),
}

impl Fault {
    pub fn new() -> Self {
        metrics::gauge!(metric::CLOSED).set(0.0);
        Self { cause: watch::Sender::new(None) }
    }

    /// Closes the engine; the first cause stays.
    pub fn fail(&self, cause: String) {
        tracing::error!(cause, "the log closes itself: nothing is accepted until it is reopened");
        metrics::gauge!(metric::CLOSED).set(1.0);
        self.close(Closed::Failed(cause));
    }

    /// The log is stopped as it should be.
    pub fn stop(&self) {
        self.close(Closed::Stopped);
    }

    fn close(&self, closed: Closed) {
        self.cause.send_if_modified(|cause| {
            let first = cause.is_none();
            if first {
                *cause = Some(closed);
            }
            first
        });
    }

    /// Whether a write or sync has failed.
    pub fn has_failed(&self) -> bool {
        matches!(&*self.cause.borrow(), Some(Closed::Failed(_)))
    }

    pub fn check(&self) -> Result<()> {
        match &*self.cause.borrow() {
            None => Ok(()),
            Some(Closed::Stopped) => Err(LogError::Unavailable("it is stopped".into())),
            Some(Closed::Failed(cause)) => Err(LogError::Unavailable(format!("it has closed itself: {cause}"))),
        }
    }

    /// The same as an error, for what is under way when the engine closes.
    pub fn error(&self) -> LogError {
        self.check().err().unwrap_or_else(|| LogError::Unavailable("it is being closed".into()))
    }

    /// Resolves when the engine has failed.
    pub async fn failed(&self) -> String {
        let mut cause = self.cause.subscribe();
        loop {
            if let Some(Closed::Failed(text)) = &*cause.borrow_and_update() {
                return text.clone();
            }
            if cause.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
