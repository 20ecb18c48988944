//! Cassandras for the tests, started by `scripts/cassandra`. `POSTLOG_TEST_CASSANDRA=HOST:PORT` names one that runs
//! already.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mailstore::cql::CqlSettings;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use tokio::sync::OnceCell;

use crate::scripted::Scripted;

const SCRIPT: &str = "cassandra";

pub struct Server(Arc<Scripted>);

/// The server that all tests share, host:port.
pub async fn shared() -> String {
    static SHARED: OnceCell<(String, Option<Server>)> = OnceCell::const_new();
    let shared = SHARED.get_or_init(|| async {
        match std::env::var("POSTLOG_TEST_CASSANDRA") {
            Ok(address) => (address, None),
            Err(_) => {
                let server = Server::start().await;
                (server.address.clone(), Some(server))
            }
        }
    });
    shared.await.0.clone()
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With files that are put into its folder before.
    pub async fn start_with(prepare: impl Fn(&Path) + Send + 'static) -> Self {
        let start = move || Scripted::start_with(SCRIPT, |server| prepare(server.folder()));
        Self(Arc::new(tokio::task::spawn_blocking(start).await.unwrap()))
    }

    /// Starts it again, with the data that it had.
    pub async fn start_again(&self) {
        let server = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || server.start_again()).await.unwrap();
    }
}

impl Deref for Server {
    type Target = Scripted;

    fn deref(&self) -> &Scripted {
        &self.0
    }
}

/// A name that no other store of this run has.
pub fn keyspace() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// For a keyspace on the server that all tests share.
pub async fn settings(keyspace: &str) -> CqlSettings {
    CqlSettings::new(vec![shared().await], keyspace)
}

/// A way around the store, for what no store of this version would write.
pub async fn session() -> Session {
    SessionBuilder::new().known_node(shared().await).build().await.unwrap()
}
