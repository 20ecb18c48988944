//! Topics and groups of its own on the broker that every test shares.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use eventlog::kafka::{KafkaLog, KafkaSettings};
use eventlog::{Log, contract};
use schemas::record::Partition;

use super::broker;

pub const MAX_RECORD_BYTES: usize = 100_000;

pub struct BrokerBench {
    pub settings: KafkaSettings,
}

impl BrokerBench {
    pub async fn new(partitions: Partition) -> Self {
        Self { settings: settings(broker::shared().await, partitions) }
    }

    pub async fn open_log(&self) -> Arc<KafkaLog> {
        KafkaLog::open(self.settings.clone()).await.unwrap()
    }

    /// The same log, from another node.
    pub async fn open_as(&self, node: &str) -> Arc<KafkaLog> {
        let settings = KafkaSettings { node_id: Some(node.to_owned()), ..self.settings.clone() };
        KafkaLog::open(settings).await.unwrap()
    }
}

pub fn settings(brokers: String, partitions: Partition) -> KafkaSettings {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    KafkaSettings {
        brokers,
        prefix: format!("t{}-{number}-", std::process::id()),
        node_id: Some("node".into()),
        partitions,
        replication: 1,
        retention: None,
        max_record_bytes: MAX_RECORD_BYTES,
        message_timeout: Duration::from_secs(10),
        start_timeout: Duration::from_secs(30),
        client: BTreeMap::new(),
    }
}

#[async_trait]
impl contract::Bench for BrokerBench {
    fn partitions(&self) -> Partition {
        self.settings.partitions
    }

    fn max_record_bytes(&self) -> usize {
        MAX_RECORD_BYTES
    }

    async fn open(&self) -> Arc<dyn Log> {
        self.open_log().await
    }

    async fn stop(&self, log: Arc<dyn Log>) {
        drop(log);
    }

    async fn kill(&self, log: Arc<dyn Log>) {
        drop(log);
    }
}
