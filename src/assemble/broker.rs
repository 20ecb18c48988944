//! Whether the brokers answer, asked all the time: what `/readyz` tells. Nobody who works waits for this.

use std::sync::Arc;
use std::time::Duration;

use eventlog::{Log, LogError};
use schemas::Topic;
use tokio_util::sync::CancellationToken;

use super::missing::Missing;

/// Between two questions.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Whoever has not answered by then is said to be missing, until the answer comes.
const PATIENCE: Duration = Duration::from_secs(3);
const ASK_LIMIT: Duration = Duration::from_secs(15);

pub struct Broker {
    brokers: String,
    missing: Missing,
}

impl Broker {
    pub fn new(brokers: &str) -> Arc<Self> {
        Arc::new(Self { brokers: brokers.to_owned(), missing: Missing::new("mail is refused for now") })
    }

    /// What is wrong with them, for people.
    pub fn missing(&self) -> Option<String> {
        self.missing.cause()
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
        if let Ok(answer) = tokio::time::timeout(PATIENCE, &mut asking).await {
            return self.told(answer.err());
        }
        self.told(Some(LogError::Unavailable(format!("no answer within {PATIENCE:?}"))));
        // An answer that never comes is not waited for: it is asked again.
        if let Ok(answer) = tokio::time::timeout(ASK_LIMIT, asking).await {
            self.told(answer.err());
        }
    }

    fn told(&self, error: Option<LogError>) {
        if let Some(error) = &error {
            tracing::debug!(%error, "the brokers can't be asked");
        }
        self.missing.set(error.map(|_| format!("the kafka brokers at {} do not answer", self.brokers)));
    }
}
