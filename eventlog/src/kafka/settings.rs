//! Where the log on Kafka is, how it is made, and what librdkafka is told of it.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;

use super::seat::Seat;
use crate::{LogError, Result};

/// What a record's key, headers and framing may add to the largest value, in bytes.
pub(super) const RECORD_OVERHEAD_BYTES: usize = 64 * 1024;
/// How long the group waits for a member that has gone quiet.
pub(super) const SESSION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a transaction of a killed member may hide what is behind it.
pub(super) const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Records that wait in the producer of one process, in KiB.
const PRODUCER_QUEUE_KIB: usize = 128 * 1024;
/// Records that a reader has fetched ahead, in KiB.
const PREFETCH_KIB: usize = 16 * 1024;
/// What one answer to a fetch brings, unless its first record is larger.
const FETCH_BYTES: usize = 16 << 20;
/// librdkafka's own limit of one answer.
const ANSWER_BYTES: usize = 100_000_000;

/// Where the log is and how it is made.
#[derive(Clone, Debug)]
pub struct KafkaSettings {
    /// `host:port,…`
    pub brokers: String,
    /// Stands before the name of every topic and group; empty by default.
    pub prefix: String,
    /// Makes `transactional.id` and `group.instance.id`; without it membership is dynamic.
    pub node_id: Option<String>,
    /// Partitions of the `mail.*` topics, where they have yet to be made.
    pub partitions: u32,
    pub replication: i32,
    /// Of `mail.raw`, where it has yet to be made; `None` keeps records for ever.
    pub retention: Option<Duration>,
    pub max_record_bytes: usize,
    /// After this long without an acknowledgement an append fails.
    pub message_timeout: Duration,
    /// How long the start waits for a broker.
    pub start_timeout: Duration,
    /// Passed on to librdkafka: TLS, SASL and whatever else it knows. What decides durability stays as it is.
    pub client: BTreeMap<String, String>,
}

impl KafkaSettings {
    /// The largest batch that broker and clients have to take.
    pub(super) fn message_bytes(&self) -> usize {
        self.max_record_bytes + RECORD_OVERHEAD_BYTES
    }

    /// A client limit under the largest record would lose mail that was announced as welcome.
    pub(super) fn check(&self) -> Result<()> {
        for key in ["message.max.bytes", "fetch.max.bytes", "receive.message.max.bytes"] {
            let set = self.client.get(key).map(|value| value.parse::<usize>().unwrap_or(0));
            if set.is_some_and(|set| set < self.message_bytes()) {
                let wanted = self.message_bytes();
                return Err(LogError::Refused(format!("the client setting {key} has to be {wanted} at least")));
            }
        }
        Ok(())
    }

    /// What an installation may change, then what it has set, then what nobody may change.
    fn config(&self, open: &[(&str, String)], fixed: &[(&str, String)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("client.id", self.node_id.as_deref().unwrap_or("postlog"))
            .set("message.max.bytes", self.message_bytes().to_string())
            .set("socket.keepalive.enable", "true")
            .set("socket.nagle.disable", "true")
            .set("reconnect.backoff.max.ms", "1000");
        for (key, value) in open {
            config.set(*key, value);
        }
        for (key, value) in &self.client {
            config.set(key, value);
        }
        config.set("bootstrap.servers", &self.brokers);
        for (key, value) in fixed {
            config.set(*key, value);
        }
        config
    }

    pub(super) fn client_config(&self) -> ClientConfig {
        self.config(&[], &[])
    }

    pub(super) fn producer_config(&self) -> ClientConfig {
        let open = [
            ("compression.type", "zstd".to_owned()),
            ("linger.ms", "1".to_owned()),
            ("queue.buffering.max.kbytes", PRODUCER_QUEUE_KIB.to_string()),
            // Small back-offs keep a transaction of one mail in the tens of milliseconds.
            ("retry.backoff.ms", "5".to_owned()),
        ];
        let fixed = [
            ("enable.idempotence", "true".to_owned()),
            ("acks", "all".to_owned()),
            // Every client of the topics finds the partition of a key in the same way.
            ("partitioner", "murmur2_random".to_owned()),
            ("message.timeout.ms", self.message_timeout.as_millis().to_string()),
        ];
        self.config(&open, &fixed)
    }

    pub(super) fn transaction_config(&self, transactional_id: &str) -> ClientConfig {
        let mut config = self.producer_config();
        config
            .set("transactional.id", transactional_id)
            .set("linger.ms", "0")
            .set("message.timeout.ms", self.message_timeout.min(TRANSACTION_TIMEOUT).as_millis().to_string())
            .set("transaction.timeout.ms", TRANSACTION_TIMEOUT.as_millis().to_string());
        config
    }

    pub(super) fn consumer_config(&self, group: &str) -> ClientConfig {
        let fetch_bytes = FETCH_BYTES.max(self.message_bytes());
        let answer_bytes = ANSWER_BYTES.max(fetch_bytes + self.message_bytes());
        let open = [
            ("fetch.wait.max.ms", "50".to_owned()),
            ("fetch.max.bytes", fetch_bytes.to_string()),
            ("receive.message.max.bytes", answer_bytes.to_string()),
            ("queued.max.messages.kbytes", PREFETCH_KIB.to_string()),
        ];
        let fixed = [
            ("group.id", group.to_owned()),
            ("isolation.level", "read_committed".to_owned()),
            ("enable.auto.commit", "false".to_owned()),
            ("enable.auto.offset.store", "false".to_owned()),
            // Positions are never reset silently.
            ("auto.offset.reset", "error".to_owned()),
            // A reader hears that it has passed what holds no records: the markers of transactions.
            ("enable.partition.eof", "true".to_owned()),
        ];
        self.config(&open, &fixed)
    }

    pub(super) fn member_config(&self, group: &str) -> ClientConfig {
        let mut config = self.consumer_config(group);
        config
            // cooperative-sticky misbehaves with commits by hand (librdkafka #4059).
            .set("partition.assignment.strategy", "range")
            .set("session.timeout.ms", SESSION_TIMEOUT.as_millis().to_string())
            .set("heartbeat.interval.ms", "2000");
        if let Some(seat) = self.seat(group) {
            config.set("group.instance.id", seat.instance);
        }
        config
    }

    /// The one that a node comes back to; whoever has no id has none.
    pub(super) fn seat(&self, group: &str) -> Option<Seat> {
        let node = self.node_id.as_ref()?;
        Some(Seat { group: group.to_owned(), instance: format!("{node}-{group}") })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn settings() -> KafkaSettings {
        KafkaSettings {
            brokers: "127.0.0.1:9092".into(),
            prefix: String::new(),
            node_id: None,
            partitions: 1,
            replication: 1,
            retention: None,
            max_record_bytes: 1 << 20,
            message_timeout: Duration::from_secs(30),
            start_timeout: Duration::from_secs(1),
            client: BTreeMap::new(),
        }
    }

    #[test]
    fn what_decides_durability_stays_as_it_is() {
        let mut settings = settings();
        for key in ["acks", "enable.idempotence", "isolation.level", "auto.offset.reset", "bootstrap.servers"] {
            settings.client.insert(key.into(), "0".into());
        }
        settings.client.insert("linger.ms".into(), "7".into());
        let producer = settings.producer_config();
        assert_eq!((producer.get("acks"), producer.get("linger.ms")), (Some("all"), Some("7")));
        let consumer = settings.consumer_config("g");
        assert_eq!(consumer.get("isolation.level"), Some("read_committed"));
        assert_eq!(consumer.get("bootstrap.servers"), Some("127.0.0.1:9092"));
    }

    #[test]
    fn a_client_limit_at_the_largest_record_is_fine_and_one_under_it_is_refused() {
        let mut settings = settings();
        settings.client.insert("message.max.bytes".into(), settings.message_bytes().to_string());
        settings.check().unwrap();
        settings.client.insert("message.max.bytes".into(), (settings.message_bytes() - 1).to_string());
        assert!(matches!(settings.check(), Err(LogError::Refused(text)) if text.contains("message.max.bytes")));
    }
}
