//! What the tests need to act as users: a server of their own, clients, mail.

pub mod cassandra;
pub mod clock;
pub mod http;
pub mod kafka;
pub mod log;
pub mod mail;
pub mod receiver;
pub mod registry;
#[path = "../../../scripts/scripted.rs"]
#[allow(dead_code, reason = "each program needs a part of it")]
pub mod scripted;
pub mod server;
pub mod smtp;
pub mod trace;
pub mod websocket;
pub mod yaml;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a test waits for what has to happen: far more than it takes, so that a slow machine fails nothing.
pub const PATIENCE: Duration = Duration::from_secs(60);
const GLANCE: Duration = Duration::from_millis(20);

/// Looks again and again until `look` sees it; fails with `what` after [`PATIENCE`].
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(start.elapsed() < PATIENCE, "not seen within {PATIENCE:?}: {what}");
        std::thread::sleep(GLANCE);
    }
}

/// The same promises on both logs: each is a function of the log that its house stands on.
macro_rules! on_both_logs {
    ($($promise:ident),+ $(,)?) => {
        mod embedded {
            $(
                #[test]
                fn $promise() {
                    super::$promise(crate::support::server::OnLog::Embedded);
                }
            )+
        }
        mod kafka {
            $(
                #[test]
                fn $promise() {
                    super::$promise(crate::support::server::OnLog::Kafka);
                }
            )+
        }
    };
}
pub(crate) use on_both_logs;

/// The same on both logs with both stores.
macro_rules! on_every_ground {
    ($($promise:ident),+ $(,)?) => {
        crate::support::on_both_logs!($($promise),+);
        mod embedded_and_cassandra {
            $(
                #[test]
                fn $promise() {
                    super::$promise(crate::support::server::OnLog::EmbeddedAndCassandra);
                }
            )+
        }
        mod kafka_and_cassandra {
            $(
                #[test]
                fn $promise() {
                    super::$promise(crate::support::server::OnLog::KafkaAndCassandra);
                }
            )+
        }
    };
}
pub(crate) use on_every_ground;

/// A program that the test can't do without: fails with the Debian package that has it.
pub fn program(name: &str, package: &str) -> Command {
    let found = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(found.is_ok(), "{name} is missing: apt-get install {package}");
    Command::new(name)
}
