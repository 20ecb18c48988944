//! Whether the brokers answer, asked all the time: what `/readyz` tells. Nobody who works waits for this.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eventlog::Log;
use schemas::Topic;
use tokio_util::sync::CancellationToken;

/// Between two questions.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Whoever has not answered by then is said to be missing, until the answer comes.
const PATIENCE: Duration = Duration::from_secs(3);

pub struct Broker {
    brokers: String,
    missing: Mutex<Option<String>>,
}

impl Broker {
    pub fn new(brokers: &str) -> Arc<Self> {
        Arc::new(Self { brokers: brokers.to_owned(), missing: Mutex::default() })
    }

    /// What is wrong with them, for people.
    pub fn missing(&self) -> Option<String> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks for the ends of `mail.raw`, which need every leader of its partitions, until `stop`.
    pub async fn watch(self: Arc<Self>, log: Arc<dyn Log>, stop: CancellationToken) {
        let watching = async {
            loop {
                self.ask(log.as_ref()).await;
                tokio::time::sleep(ASK_EVERY).await;
            }
        };
        stop.run_until_cancelled(watching).await;
    }

    async fn ask(&self, log: &dyn Log) {
        let mut asking = log.bounds(Topic::MailRaw);
        let answer = match tokio::time::timeout(PATIENCE, &mut asking).await {
            Ok(answer) => answer,
            Err(_) => {
                self.set(Some(format!("the kafka brokers at {} do not answer", self.brokers)));
                asking.await
            }
        };
        self.set(answer.err().map(|error| format!("the kafka brokers at {} can't be used: {error}", self.brokers)));
    }

    fn set(&self, missing: Option<String>) {
        let mut known = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*known, &missing) {
            (None, Some(cause)) => tracing::warn!(cause, "mail is refused for now"),
            (Some(_), None) => tracing::info!(brokers = self.brokers, "the kafka brokers answer again"),
            _ => {}
        }
        *known = missing;
    }
}
