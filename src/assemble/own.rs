//! What an engine stands on: a log, embedded or on Kafka, and a store, which a process that shows nothing does without.
//! Everybody else sees the two as traits; here stands what only their owner does with them.

use std::sync::{Arc, Weak};

use eventlog::Log;
use eventlog::embedded::EmbeddedLog;
use mailstore::Upkeep;
use mailstore::embedded::EmbeddedStore;

#[cfg(feature = "kafka")]
use super::broker::Broker;
#[cfg(feature = "cql")]
use super::cluster::Cluster;

#[derive(Clone)]
pub enum OwnLog {
    Embedded(Arc<EmbeddedLog>),
    #[cfg(feature = "kafka")]
    Kafka(Arc<eventlog::kafka::KafkaLog>, Arc<Broker>),
}

#[derive(Clone)]
pub enum OwnStore {
    /// Nothing is shown here, and nobody told.
    None,
    Embedded(Arc<EmbeddedStore>),
    #[cfg(feature = "cql")]
    Cql(Arc<mailstore::cql::CqlStore>, Arc<Cluster>),
}

/// Whoever still holds log and store after their owner has let go.
pub struct Held(Option<Weak<EmbeddedLog>>, Option<Weak<EmbeddedStore>>);

impl OwnLog {
    pub fn log(&self) -> Arc<dyn Log> {
        match self {
            Self::Embedded(log) => Arc::<EmbeddedLog>::clone(log),
            #[cfg(feature = "kafka")]
            Self::Kafka(log, _) => Arc::<eventlog::kafka::KafkaLog>::clone(log),
        }
    }

    /// Whether other nodes may stand on it.
    pub const fn is_shared(&self) -> bool {
        !matches!(self, Self::Embedded(_))
    }

    /// Resolves with the cause when the log has closed itself: it has to be reopened. One on Kafka never does.
    pub async fn failed(&self) -> String {
        match self {
            Self::Embedded(log) => log.failed().await,
            #[cfg(feature = "kafka")]
            Self::Kafka(..) => std::future::pending().await,
        }
    }

    /// Whether there is room for mail, as far as can be told before it comes.
    pub fn has_room(&self) -> bool {
        match self {
            Self::Embedded(log) => log.has_room(),
            #[cfg(feature = "kafka")]
            Self::Kafka(..) => true,
        }
    }

    /// Why mail would be refused now.
    pub fn refuses(&self) -> Option<String> {
        match self {
            Self::Embedded(log) => log.refuses().map(|error| error.to_string()),
            #[cfg(feature = "kafka")]
            Self::Kafka(_, broker) => broker.missing(),
        }
    }

    /// The largest mail that may be announced as welcome: what is set, or what the log takes.
    pub fn largest_mail(&self, set_bytes: u64) -> u64 {
        match self {
            // Its limit is over every setting that passes the check.
            Self::Embedded(_) => set_bytes,
            #[cfg(feature = "kafka")]
            Self::Kafka(log, _) => set_bytes.min(u64::try_from(log.max_record_bytes()).unwrap_or(u64::MAX)),
        }
    }

    /// What was appended is durable already; closing an embedded log makes its end certain, whoever holds it still.
    pub async fn close(self) -> anyhow::Result<()> {
        match self {
            Self::Embedded(log) => Ok(tokio::task::spawn_blocking(move || log.close()).await?),
            #[cfg(feature = "kafka")]
            Self::Kafka(..) => Ok(()),
        }
    }
}

impl OwnStore {
    /// As everybody else sees it.
    pub fn views(&self) -> Option<Arc<dyn Upkeep>> {
        match self {
            Self::None => None,
            Self::Embedded(store) => Some(Arc::<EmbeddedStore>::clone(store)),
            #[cfg(feature = "cql")]
            Self::Cql(store, _) => Some(Arc::<mailstore::cql::CqlStore>::clone(store)),
        }
    }

    /// Whether other nodes may read and write it.
    pub const fn is_shared(&self) -> bool {
        match self {
            Self::None | Self::Embedded(_) => false,
            #[cfg(feature = "cql")]
            Self::Cql(..) => true,
        }
    }

    /// Why nothing can be read now.
    pub fn refuses(&self) -> Option<String> {
        match self {
            Self::None | Self::Embedded(_) => None,
            #[cfg(feature = "cql")]
            Self::Cql(_, cluster) => cluster.missing(),
        }
    }

    const fn embedded(&self) -> Option<&Arc<EmbeddedStore>> {
        match self {
            Self::None => None,
            Self::Embedded(store) => Some(store),
            #[cfg(feature = "cql")]
            Self::Cql(..) => None,
        }
    }
}

impl Held {
    pub fn of(log: &OwnLog, store: &OwnStore) -> Self {
        let log = match log {
            OwnLog::Embedded(log) => Some(Arc::downgrade(log)),
            #[cfg(feature = "kafka")]
            OwnLog::Kafka(..) => None,
        };
        Self(log, store.embedded().map(Arc::downgrade))
    }

    pub fn is_anybody(&self) -> bool {
        let (log, store) = (self.0.as_ref().map(Weak::strong_count), self.1.as_ref().map(Weak::strong_count));
        log.unwrap_or(0) + store.unwrap_or(0) > 0
    }
}
