//! Which partitions the group has given to a member. A change is only noted where librdkafka tells it, and taken up
//! by the member's next poll: finding the group's positions may take long, and may not block there.

use std::sync::{Mutex, PoisonError};

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use tokio::sync::Notify;

use super::said::{Said, said};

/// What changed last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// These partitions, by the broker's names, and no others.
    Given(Vec<(String, i32)>),
    /// None: what was read and not committed may belong to somebody else.
    Taken,
}

#[derive(Default)]
pub(super) struct Assignment {
    change: Mutex<Option<Change>>,
    changed: Notify,
}

impl Assignment {
    pub fn take(&self) -> Option<Change> {
        self.change.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Puts back what could not be taken up, unless it has changed again.
    pub fn put_back(&self, change: Change) {
        self.change.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(change);
    }

    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl ClientContext for Assignment {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        Said.log(level, facility, text);
    }

    fn error(&self, cause: KafkaError, text: &str) {
        said(&cause, text);
    }
}

impl ConsumerContext for Assignment {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, assigned: &mut TopicPartitionList) {
        let is_given = event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let change = if is_given {
            let elements = assigned.elements();
            Change::Given(elements.iter().map(|one| (one.topic().to_owned(), one.partition())).collect())
        } else {
            Change::Taken
        };
        // Nothing is fetched before the group's positions are known.
        let answered = if is_given { consumer.assign(&TopicPartitionList::new()) } else { consumer.unassign() };
        if let Err(cause) = answered {
            tracing::warn!(%cause, "a change of the assignment could not be answered");
        }
        *self.change.lock().unwrap_or_else(PoisonError::into_inner) = Some(change);
        self.changed.notify_one();
    }
}
