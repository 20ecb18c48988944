//! Brokers for the tests, started by `scripts/kafka`. `POSTLOG_TEST_KAFKA=HOST:PORT` names one that runs already.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::scripted::Scripted;

const SCRIPT: &str = "kafka";

pub struct Broker(Arc<Scripted>);

/// The broker that all tests share, host:port.
pub async fn shared() -> String {
    static SHARED: OnceCell<(String, Option<Broker>)> = OnceCell::const_new();
    let shared = SHARED.get_or_init(|| async {
        match std::env::var("POSTLOG_TEST_KAFKA") {
            Ok(address) => (address, None),
            Err(_) => {
                let broker = Broker::start().await;
                (broker.address.clone(), Some(broker))
            }
        }
    });
    shared.await.0.clone()
}

impl Broker {
    pub async fn start() -> Self {
        Self::start_with(|_, _| String::new()).await
    }

    /// With more settings, made from its folder and its port; the two ports behind it are free as well.
    pub async fn start_with(extra: fn(&Path, u16) -> String) -> Self {
        let prepare = move |broker: &Scripted| {
            let settings = extra(broker.folder(), broker.port);
            std::fs::write(broker.folder().join("extra.properties"), settings).unwrap();
        };
        let started = tokio::task::spawn_blocking(move || Scripted::start_with(SCRIPT, prepare));
        Self(Arc::new(started.await.unwrap()))
    }

    /// Starts it again, with the data that it had.
    pub async fn start_again(&self) {
        let server = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || server.start_again()).await.unwrap();
    }
}

impl Deref for Broker {
    type Target = Scripted;

    fn deref(&self) -> &Scripted {
        &self.0
    }
}
