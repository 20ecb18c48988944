//! A real Cassandra for the tests, a keyspace for each house. `POSTLOG_TEST_CASSANDRA=HOST:PORT` names one that runs
//! already.

use std::ops::Deref;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::scripted::Scripted;

const SCRIPT: &str = "cassandra";

pub struct Cassandra(Scripted);

/// The server that all tests share, host:port.
pub fn shared() -> &'static str {
    static SHARED: OnceLock<(String, Option<Cassandra>)> = OnceLock::new();
    let shared = SHARED.get_or_init(|| match std::env::var("POSTLOG_TEST_CASSANDRA") {
        Ok(address) => (address, None),
        Err(_) => {
            let server = Cassandra::start();
            (server.address.clone(), Some(server))
        }
    });
    &shared.0
}

/// A store on this server that nobody has used.
pub fn new_store(address: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("cql://{address}/t{}_{number}", std::process::id())
}

impl Cassandra {
    /// One of this test's own, that may be frozen and killed.
    pub fn start() -> Self {
        Self(Scripted::start(SCRIPT))
    }

    /// A place where none is up yet, and where [`Scripted::start_again`] starts one.
    pub fn absent() -> Self {
        Self(Scripted::absent(SCRIPT))
    }
}

impl Deref for Cassandra {
    type Target = Scripted;

    fn deref(&self) -> &Scripted {
        &self.0
    }
}
