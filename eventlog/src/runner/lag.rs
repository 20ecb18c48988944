//! How much stands on the log that was not handled yet, told as a metric now and then. It moves nothing, and whoever
//! handles records never waits for it: it is measured in a task of its own.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use schemas::record::Partition;
use schemas::{Position, Topic};
use tokio::task::JoinHandle;

use crate::{Log, metric};

/// How often the lag is measured.
const EVERY: Duration = Duration::from_secs(1);
/// After this long without an answer a measurement is given up.
const LIMIT: Duration = Duration::from_secs(5);

/// The lag of one reader, in the partitions that it has.
#[derive(Debug)]
pub(super) struct Lag {
    group: Arc<str>,
    topics: Vec<Topic>,
    begun: Option<Instant>,
    measuring: Option<JoinHandle<()>>,
    told: Arc<Mutex<Told>>,
}

type Told = BTreeSet<(Topic, Partition)>;

impl Lag {
    pub fn new(group: &str, topics: &[Topic]) -> Self {
        Self { group: group.into(), topics: topics.to_vec(), begun: None, measuring: None, told: Arc::default() }
    }

    pub fn is_due(&self) -> bool {
        let is_done = self.measuring.as_ref().is_none_or(JoinHandle::is_finished);
        is_done && self.begun.is_none_or(|at| at.elapsed() >= EVERY)
    }

    /// Measures from these positions, behind what was handled.
    pub fn measure(&mut self, log: Arc<dyn Log>, positions: Vec<Position>) {
        self.begun = Some(Instant::now());
        let (group, topics, told) = (Arc::clone(&self.group), self.topics.clone(), Arc::clone(&self.told));
        let measuring = async move {
            let Some(lags) = lags(log.as_ref(), &topics, &positions).await else { return };
            let has: Told = lags.iter().map(|&(topic, partition, _)| (topic, partition)).collect();
            lags.iter().for_each(|&(topic, partition, lag)| tell(&group, topic, partition, lag));
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            // What another process has now is its to tell.
            told.difference(&has).for_each(|&(topic, partition)| tell(&group, topic, partition, 0));
            *told = has;
        };
        self.measuring = Some(tokio::spawn(async move {
            let _ = tokio::time::timeout(LIMIT, measuring).await;
        }));
    }
}

impl Drop for Lag {
    fn drop(&mut self) {
        if let Some(measuring) = &self.measuring {
            measuring.abort();
        }
    }
}

/// `None` where the log does not answer.
async fn lags(log: &dyn Log, topics: &[Topic], positions: &[Position]) -> Option<Vec<(Topic, Partition, u64)>> {
    let mut lags = Vec::new();
    for &topic in topics {
        for bounds in log.bounds(topic).await.ok()? {
            let is_here = |at: &&Position| at.topic == topic && at.partition == bounds.partition;
            let Some(at) = positions.iter().find(is_here) else { continue };
            lags.push((topic, bounds.partition, bounds.end.saturating_sub(at.offset)));
        }
    }
    Some(lags)
}

fn tell(group: &str, topic: Topic, partition: Partition, lag: u64) {
    let (group, partition) = (group.to_owned(), partition.to_string());
    metrics::gauge!(metric::GROUP_LAG, "group" => group, "topic" => topic.name(), "partition" => partition)
        .set(lag as f64);
}
