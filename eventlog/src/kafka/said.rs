//! What librdkafka says by itself, in our words: that a partition has no more records is no news, that a broker can't be
//! reached is said by whoever waits for it, and everything else (a wrong password, a certificate) is for an operator.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// The same cause is not said again before.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// The context of clients that need no other.
pub(super) struct Said;

impl ClientContext for Said {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::debug!(facility, text, "librdkafka");
    }

    fn error(&self, cause: KafkaError, text: &str) {
        said(&cause, text);
    }
}

impl ConsumerContext for Said {}

pub(super) fn said(cause: &KafkaError, text: &str) {
    use RDKafkaErrorCode as Code;
    match cause.rdkafka_error_code() {
        Some(Code::PartitionEOF) => return,
        Some(Code::AllBrokersDown | Code::BrokerTransportFailure | Code::OperationTimedOut) => {
            tracing::debug!(%cause, text, "a broker can't be reached");
            return;
        }
        _ => {}
    }
    if matches!(cause, KafkaError::PartitionEOF(_)) {
        return;
    }
    static SAID: Mutex<BTreeMap<String, Instant>> = Mutex::new(BTreeMap::new());
    let mut known = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    known.retain(|_, at| at.elapsed() < AGAIN_AFTER);
    if known.insert(cause.to_string(), Instant::now()).is_none() {
        tracing::warn!(%cause, text, "kafka");
    }
}
