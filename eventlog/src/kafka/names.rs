//! What topics and groups are called on the broker: their own names, behind the installation's prefix.

use std::collections::BTreeMap;

use schemas::Topic;

use crate::{LogError, Result};

#[derive(Clone, Debug)]
pub(super) struct Names {
    prefix: String,
    topics: BTreeMap<Topic, String>,
}

impl Names {
    pub fn new(prefix: &str) -> Self {
        let topics = Topic::ALL.into_iter().map(|topic| (topic, format!("{prefix}{topic}"))).collect();
        Self { prefix: prefix.to_owned(), topics }
    }

    pub fn of(&self, topic: Topic) -> &str {
        self.topics.get(&topic).map_or("", String::as_str)
    }

    pub fn group(&self, group: &str) -> String {
        format!("{}{group}", self.prefix)
    }

    /// The topic behind a name; an error where it is none of ours.
    pub fn topic(&self, name: &str) -> Result<Topic> {
        self.find(name).ok_or_else(|| LogError::Damaged(format!("{name} is not a topic of this log")))
    }

    pub fn find(&self, name: &str) -> Option<Topic> {
        name.strip_prefix(self.prefix.as_str())?.parse().ok()
    }
}
