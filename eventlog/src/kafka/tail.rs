//! A reader without a group.

use async_trait::async_trait;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use schemas::{Position, Record};

use super::names::Names;
use super::{AT_LEAST, KafkaSettings, convert, gather};
use crate::{Limits, Result, Tail};

pub(super) struct KafkaTail {
    consumer: StreamConsumer,
    names: Names,
}

impl KafkaTail {
    pub(super) fn start(settings: &KafkaSettings, names: &Names, from: &[Position]) -> Result<Self> {
        let consumer: StreamConsumer =
            settings.consumer_config(&names.group("postlog-tail")).create().map_err(convert::unavailable)?;
        consumer.assign(&convert::list(names, from)?).map_err(convert::unavailable)?;
        Ok(Self { consumer, names: names.clone() })
    }
}

#[async_trait]
impl Tail for KafkaTail {
    async fn poll(&mut self, limits: &Limits) -> Result<Vec<Record>> {
        let limits = Limits { wait: limits.wait.max(AT_LEAST), ..*limits };
        gather(&self.consumer, &self.names, &limits).await
    }
}
