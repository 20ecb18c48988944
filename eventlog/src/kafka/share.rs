//! A reader of the partitions that a group has given to this process. Unlike a member it neither keeps positions in
//! the group nor writes: whoever keeps them elsewhere says where it goes on.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use schemas::{Position, Record, Topic};
use tokio::time::{Instant, timeout_at};

use super::assignment::{Assignment, Change};
use super::convert;
use super::inquirer::{End, Inquirer};
use super::reader::Reader;
use super::settings::KafkaSettings;
use crate::{Limits, Result, Starts, Tail};

/// How long to wait before it is asked again where to go on.
const RETRY_WAIT: Duration = Duration::from_millis(200);

pub(super) struct SharedTail {
    group: String,
    reader: Reader<Assignment>,
    starts: Arc<dyn Starts>,
    is_assigned: bool,
}

impl SharedTail {
    pub fn join(
        settings: &KafkaSettings,
        inquirer: &Arc<Inquirer>,
        group: &str,
        topics: &[Topic],
        starts: Arc<dyn Starts>,
    ) -> Result<Self> {
        let names = &inquirer.names;
        let config = settings.member_config(&names.group(group));
        let consumer: StreamConsumer<Assignment> =
            config.create_with_context(Assignment::default()).map_err(convert::unavailable)?;
        let named: Vec<&str> = topics.iter().map(|topic| names.of(*topic)).collect();
        consumer.subscribe(&named).map_err(convert::unavailable)?;
        Ok(Self { group: group.to_owned(), reader: Reader::new(consumer, inquirer), starts, is_assigned: false })
    }

    /// Takes up what the group has changed. What was read before and not handed out is forgotten.
    async fn settle(&mut self) -> Result<()> {
        let consumer = Arc::clone(&self.reader.consumer);
        // A future that is dropped here leaves the change where it is.
        let Some(change) = consumer.context().take() else { return Ok(()) };
        self.reader.start_at(&[]);
        self.is_assigned = false;
        let Change::Given(given) = &change else { return Ok(()) };
        let given = given.clone();
        consumer.context().put_back(change);
        let places = match self.places(&given.partitions).await {
            Ok(places) => places,
            Err(error) if error.is_transient() => {
                tracing::info!(group = self.group, %error, "waiting for the positions of partitions");
                tokio::time::sleep(RETRY_WAIT).await;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let _ = consumer.context().take();
        let list = convert::list(&self.reader.inquirer.names, &places)?;
        consumer.assign(&list).map_err(convert::unavailable)?;
        self.reader.start_at(&places);
        self.is_assigned = true;
        tracing::info!(group = self.group, partitions = places.len(), "partitions were given to this process");
        Ok(())
    }

    /// Where it goes on in each of these partitions: at the earliest record where no position is kept.
    async fn places(&self, given: &[(String, i32)]) -> Result<Vec<Position>> {
        let inquirer = &self.reader.inquirer;
        let kept = self.starts.positions().await?;
        let mut places = Vec::with_capacity(given.len());
        for (name, partition) in given {
            let asked = convert::position(inquirer.names.topic(name)?, *partition, 0)?;
            let is_same = |at: &&Position| (at.topic, at.partition) == (asked.topic, asked.partition);
            places.push(match kept.iter().find(is_same) {
                Some(place) => *place,
                None => {
                    let held = inquirer.bounds(asked.topic, End::Committed).await?;
                    let held = held.iter().find(|held| held.partition == asked.partition);
                    Position { offset: held.map_or(0, |held| held.earliest), ..asked }
                }
            });
        }
        inquirer.check(&places).await?;
        Ok(places)
    }

    /// Waits for the consumer's next event or a change of the assignment, until the deadline: whether one came.
    async fn wait(&mut self, deadline: Instant) -> Result<bool> {
        let consumer = Arc::clone(&self.reader.consumer);
        let context = consumer.context();
        tokio::select! {
            biased;
            () = context.changed() => Ok(true),
            waited = timeout_at(deadline, self.reader.wait()) => match waited {
                Ok(waited) => waited.map(|()| true),
                Err(_) => Ok(false),
            },
        }
    }
}

#[async_trait]
impl Tail for SharedTail {
    async fn poll(&mut self, limits: &Limits) -> Result<Vec<Record>> {
        let deadline = Reader::<Assignment>::deadline(limits);
        loop {
            let was_assigned = self.is_assigned;
            self.settle().await?;
            if self.is_assigned && !was_assigned {
                return Ok(Vec::new());
            }
            if let Some(records) = self.reader.take(limits).await? {
                return Ok(records);
            }
            if !self.wait(deadline).await? {
                return Ok(Vec::new());
            }
        }
    }

    fn positions(&self) -> Vec<Position> {
        if self.is_assigned { self.reader.positions() } else { Vec::new() }
    }
}
