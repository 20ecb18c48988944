//! A reader without a group.

use std::sync::Arc;

use async_trait::async_trait;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use schemas::{Position, Record, Topic};
use tokio::time::timeout_at;

use super::inquirer::Inquirer;
use super::names::Names;
use super::reader::Reader;
use super::said::Said;
use super::settings::KafkaSettings;
use super::{ASK_TIMEOUT, convert};
use crate::{Limits, LogError, Result, Tail};

pub(super) struct KafkaTail {
    reader: Reader<Said>,
    /// Where it starts, until the first poll: nothing is fetched that nobody asked for.
    from: Option<Vec<Position>>,
}

impl KafkaTail {
    pub async fn start(settings: &KafkaSettings, inquirer: &Arc<Inquirer>, from: &[Position]) -> Result<Self> {
        let config = settings.consumer_config(&inquirer.names.group("postlog-tail"));
        let consumer: StreamConsumer<Said> = config.create_with_context(Said).map_err(convert::unavailable)?;
        let mut reader = Reader::new(consumer, inquirer, None);
        reader.start_at(from);
        let (consumer, names) = (Arc::clone(&reader.consumer), Arc::clone(&inquirer.names));
        let mut topics: Vec<Topic> = from.iter().map(|position| position.topic).collect();
        topics.dedup();
        let connected = tokio::task::spawn_blocking(move || connect(&consumer, &names, &topics));
        connected.await.map_err(|cause| LogError::Unavailable(cause.to_string()))??;
        Ok(Self { reader, from: Some(from.to_vec()) })
    }
}

/// A partition whose leader is not known yet is looked at again after a second only: it is asked for beforehand.
fn connect(consumer: &StreamConsumer<Said>, names: &Names, topics: &[Topic]) -> Result<()> {
    for topic in topics {
        consumer.fetch_metadata(Some(names.of(*topic)), ASK_TIMEOUT).map_err(convert::unavailable)?;
    }
    Ok(())
}

#[async_trait]
impl Tail for KafkaTail {
    async fn poll(&mut self, limits: &Limits) -> Result<Vec<Record>> {
        let deadline = Reader::<Said>::deadline(limits);
        if let Some(from) = &self.from {
            let list = convert::list(&self.reader.inquirer.names, from)?;
            self.reader.consumer.assign(&list).map_err(convert::unavailable)?;
            self.from = None;
        }
        loop {
            if let Some(records) = self.reader.take(limits).await? {
                return Ok(records);
            }
            match timeout_at(deadline, self.reader.wait()).await {
                Ok(waited) => waited?,
                Err(_) => return Ok(Vec::new()),
            }
        }
    }

    fn positions(&self) -> Vec<Position> {
        self.reader.positions()
    }
}
