//! The servers of a store on CQL, asked all the time: whether they answer, which `/readyz` tells, and how far the store
//! shows what is on the log, for those who wait in a process that does not fold all of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use eventlog::Progress;
use mailstore::Store;
use mailstore::cql::{CqlSettings, CqlStore};
use tokio_util::sync::CancellationToken;

use super::missing::Missing;

/// Between two questions when nobody waits.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// And while somebody does, however many they are.
const AWAITED_EVERY: Duration = Duration::from_millis(10);
/// Whoever has not answered by then is said to be missing, until the answer comes.
const PATIENCE: Duration = Duration::from_secs(3);
/// And then it is asked anew: an answer may have been lost.
const ASK_LIMIT: Duration = Duration::from_secs(30);

pub struct Cluster {
    nodes: String,
    missing: Missing,
}

/// Opens the store once a server answers.
pub async fn open(settings: &CqlSettings, log_id: &str, limit: Duration) -> anyhow::Result<Arc<CqlStore>> {
    let opened = once_they_answer(settings, limit, async || CqlStore::open(settings, log_id).await).await;
    let advice = if settings.migrate { "" } else { " (`postlog store migrate` takes the steps it may lack)" };
    opened.with_context(|| format!("the store at {} can't be opened{advice}", settings.nodes.join(", ")))
}

/// Takes the steps that the tables lack once a server answers, and says which they were.
pub async fn migrate(settings: &CqlSettings, limit: Duration) -> anyhow::Result<Vec<String>> {
    once_they_answer(settings, limit, async || mailstore::cql::migrate(settings).await).await
}

/// Tries until the servers answer, and says every second what is waited for.
async fn once_they_answer<T>(
    settings: &CqlSettings,
    limit: Duration,
    attempt: impl AsyncFn() -> mailstore::Result<T>,
) -> anyhow::Result<T> {
    let nodes = settings.nodes.join(", ");
    let deadline = Instant::now() + limit;
    loop {
        let mut trying = std::pin::pin!(attempt());
        let outcome = loop {
            match tokio::time::timeout(ASK_EVERY, &mut trying).await {
                Ok(outcome) => break outcome,
                Err(_) if Instant::now() >= deadline => {
                    anyhow::bail!("the store at {nodes} has not answered within {} seconds", limit.as_secs())
                }
                Err(_) => tracing::info!(nodes, "waiting for the servers of the store"),
            }
        };
        match outcome {
            Err(error) if error.is_transient() && Instant::now() < deadline => {
                tracing::info!(nodes, cause = %error, "waiting for the servers of the store");
                tokio::time::sleep(ASK_EVERY).await;
            }
            outcome => return Ok(outcome?),
        }
    }
}

impl Cluster {
    pub fn new(settings: &CqlSettings) -> Arc<Self> {
        Arc::new(Self {
            nodes: settings.nodes.join(", "),
            missing: Missing::new("mail can be neither stored nor read for now"),
        })
    }

    /// What is wrong with the servers, for people.
    pub fn missing(&self) -> Option<String> {
        self.missing.cause()
    }

    /// Asks for the positions of the store until `stop`, and tells them to whoever waits for them.
    pub async fn watch(self: Arc<Self>, store: Arc<CqlStore>, shown: Arc<Progress>, stop: CancellationToken) {
        let watching = async {
            loop {
                self.ask(&store, &shown).await;
                tokio::time::sleep(AWAITED_EVERY).await;
                // Nobody waits, or somebody does: then the time between is short.
                let _ = tokio::time::timeout(ASK_EVERY, shown.awaited()).await;
            }
        };
        stop.run_until_cancelled(watching).await;
    }

    async fn ask(&self, store: &CqlStore, shown: &Progress) {
        let mut asking = std::pin::pin!(store.positions());
        let answer = match tokio::time::timeout(PATIENCE, &mut asking).await {
            Ok(answer) => answer,
            Err(_) => {
                self.missing.set(Some(format!("the store at {} does not answer", self.nodes)));
                match tokio::time::timeout(ASK_LIMIT, asking).await {
                    Ok(answer) => answer,
                    Err(_) => return,
                }
            }
        };
        match answer {
            Ok(positions) => {
                shown.advance(&positions);
                self.missing.set(None);
            }
            Err(error) => self.missing.set(Some(format!("the store at {} can't be used: {error}", self.nodes))),
        }
    }
}
