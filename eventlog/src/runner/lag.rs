//! How much stands on the log that was not handled yet, told as a metric now and then. It moves nothing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use schemas::record::Partition;
use schemas::{Position, Topic};

use crate::{Log, metric};

/// How often the lag is measured.
const EVERY: Duration = Duration::from_secs(1);
/// Behind a log that does not answer nobody waits for its figures.
const LIMIT: Duration = Duration::from_secs(1);

/// The lag of one reader, in the partitions that it has.
#[derive(Debug)]
pub(super) struct Lag {
    group: String,
    topics: Vec<Topic>,
    measured: Option<Instant>,
    told: BTreeSet<(Topic, Partition)>,
}

impl Lag {
    pub fn new(group: &str, topics: &[Topic]) -> Self {
        Self { group: group.to_owned(), topics: topics.to_vec(), measured: None, told: BTreeSet::new() }
    }

    pub fn is_due(&self) -> bool {
        self.measured.is_none_or(|at| at.elapsed() >= EVERY)
    }

    /// Measures from these positions, behind what was handled.
    pub async fn measure(&mut self, log: &dyn Log, positions: &[Position]) {
        self.measured = Some(Instant::now());
        let _ = tokio::time::timeout(LIMIT, self.tell(log, positions)).await;
    }

    async fn tell(&mut self, log: &dyn Log, positions: &[Position]) {
        let mut has = BTreeSet::new();
        for topic in self.topics.clone() {
            let Ok(all) = log.bounds(topic).await else { return };
            for bounds in all {
                let is_here = |at: &&Position| at.topic == topic && at.partition == bounds.partition;
                let Some(at) = positions.iter().find(is_here) else { continue };
                has.insert((topic, bounds.partition));
                self.set(topic, bounds.partition, bounds.end.saturating_sub(at.offset));
            }
        }
        // What another process has now is its to tell.
        for (topic, partition) in self.told.difference(&has) {
            self.set(*topic, *partition, 0);
        }
        self.told = has;
    }

    fn set(&self, topic: Topic, partition: Partition, lag: u64) {
        let (group, partition) = (self.group.clone(), partition.to_string());
        metrics::gauge!(metric::GROUP_LAG, "group" => group, "topic" => topic.name(), "partition" => partition)
            .set(lag as f64);
    }
}
