//! A reader of the partitions that a group has given to this process. Unlike a member it neither keeps positions in
//! the group nor writes: whoever keeps them elsewhere says where it goes on.

use std::sync::Arc;

use async_trait::async_trait;
use schemas::{Position, Record, Topic};

use super::assignment::Assignment;
use super::convert;
use super::grouped::GroupReader;
use super::inquirer::{End, Inquirer};
use super::reader::Reader;
use super::settings::KafkaSettings;
use crate::{Limits, Result, Starts, Tail};

pub(super) struct SharedTail {
    grouped: GroupReader,
    starts: Arc<dyn Starts>,
}

impl SharedTail {
    pub fn join(
        settings: &KafkaSettings,
        inquirer: &Arc<Inquirer>,
        group: &str,
        topics: &[Topic],
        starts: Arc<dyn Starts>,
    ) -> Result<Self> {
        Ok(Self { grouped: GroupReader::join(settings, inquirer, group, topics)?, starts })
    }

    /// Whether the group has given it partitions just now.
    async fn settle(&mut self) -> Result<bool> {
        let inquirer = Arc::clone(&self.grouped.reader.inquirer);
        let kept = self.starts.as_ref();
        let starts = async |given: &[(String, i32)]| {
            let places = places(&inquirer, kept, given).await?;
            Ok((convert::list(&inquirer.names, &places)?, places))
        };
        let is_given = self.grouped.settle(|_, given| async move { starts(&given.partitions).await }).await?;
        if is_given {
            let partitions = self.grouped.reader.positions().len();
            tracing::info!(group = self.grouped.group, partitions, "partitions were given to this process");
        }
        Ok(is_given)
    }
}

/// Where it goes on in each of these partitions: at the earliest record where no position is kept.
async fn places(inquirer: &Arc<Inquirer>, kept: &dyn Starts, given: &[(String, i32)]) -> Result<Vec<Position>> {
    let kept = kept.positions().await?;
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

#[async_trait]
impl Tail for SharedTail {
    async fn poll(&mut self, limits: &Limits) -> Result<Vec<Record>> {
        let deadline = Reader::<Assignment>::deadline(limits);
        loop {
            if self.settle().await? {
                return Ok(Vec::new());
            }
            if let Some(records) = self.grouped.reader.take(limits).await? {
                return Ok(records);
            }
            if !self.grouped.wait(deadline).await? {
                return Ok(Vec::new());
            }
        }
    }

    fn positions(&self) -> Vec<Position> {
        if self.grouped.given.is_some() { self.grouped.reader.positions() } else { Vec::new() }
    }
}
