//! A real broker for the tests. `POSTLOG_TEST_KAFKA=HOST:PORT` names one that runs already.

use std::ops::Deref;
use std::sync::OnceLock;

use super::scripted::Scripted;

pub struct Broker(Scripted);

/// The broker that all tests share, host:port.
pub fn shared() -> &'static str {
    static SHARED: OnceLock<(String, Option<Broker>)> = OnceLock::new();
    let shared = SHARED.get_or_init(|| match std::env::var("POSTLOG_TEST_KAFKA") {
        Ok(address) => (address, None),
        Err(_) => {
            let broker = Broker::start();
            (broker.address.clone(), Some(broker))
        }
    });
    &shared.0
}

impl Broker {
    /// One of this test's own, that may be frozen and killed.
    pub fn start() -> Self {
        Self(Scripted::start("kafka"))
    }

    /// A place where nothing listens yet.
    pub fn absent() -> Self {
        Self(Scripted::absent("kafka"))
    }
}

impl Deref for Broker {
    type Target = Scripted;

    fn deref(&self) -> &Scripted {
        &self.0
    }
}
