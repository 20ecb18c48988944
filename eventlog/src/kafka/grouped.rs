//! A reader in a group: it reads what the group has given to it, and takes up what the group has changed. Where it goes
//! on in a partition is for whoever it reads for to say.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use schemas::{Position, Topic};
use tokio::time::{Instant, timeout_at};

use super::assignment::{Assignment, Change, Given};
use super::convert;
use super::inquirer::Inquirer;
use super::reader::Reader;
use super::settings::KafkaSettings;
use crate::{LogError, Result};

/// How long to wait before it is asked again where to go on.
const RETRY_WAIT: Duration = Duration::from_millis(200);
/// Past this somebody has to look: every transaction of ours has timed out by then.
const LOST_LIMIT: Duration = Duration::from_secs(60);

/// Where to go on in each partition: for the consumer, and as we say it.
pub(super) type Starts = (TopicPartitionList, Vec<Position>);

pub(super) struct GroupReader {
    pub group: String,
    pub reader: Reader<Assignment>,
    /// What it has, be it no partitions; nothing while the group has yet to say, or where to go on is not known yet.
    pub given: Option<Given>,
    /// How often partitions were given to it or taken from it.
    pub changes: u64,
    /// Since when it can't be said where to go on.
    lost_since: Option<Instant>,
}

impl GroupReader {
    pub fn join(settings: &KafkaSettings, inquirer: &Arc<Inquirer>, group: &str, topics: &[Topic]) -> Result<Self> {
        let names = &inquirer.names;
        let called = names.group(group);
        let config = settings.member_config(&called);
        let consumer: StreamConsumer<Assignment> =
            config.create_with_context(Assignment::default()).map_err(convert::unavailable)?;
        let named: Vec<&str> = topics.iter().map(|topic| names.of(*topic)).collect();
        consumer.subscribe(&named).map_err(convert::unavailable)?;
        let reader = Reader::new(consumer, inquirer, settings.seat(&called));
        Ok(Self { group: group.to_owned(), reader, given: None, changes: 0, lost_since: None })
    }

    /// Whether the group has changed something that was not taken up.
    pub fn is_changing(&self) -> bool {
        self.reader.consumer.context().is_pending()
    }

    /// Takes up what the group has changed; what was read before and not handed out is forgotten. Whether partitions
    /// were given: `starts` finds where to go on in them, and is asked again by the next call if it can't say for now.
    pub async fn settle<F>(&mut self, starts: impl FnOnce(Arc<StreamConsumer<Assignment>>, Given) -> F) -> Result<bool>
    where
        F: Future<Output = Result<Starts>>,
    {
        let consumer = Arc::clone(&self.reader.consumer);
        let Some(change) = consumer.context().take() else { return Ok(false) };
        self.reader.start_at(&[]);
        self.given = None;
        self.changes += 1;
        let Change::Given(given) = &change else { return Ok(false) };
        let given = given.clone();
        // A future that is dropped below leaves the change where it is.
        consumer.context().put_back(change);
        let (list, places) = match starts(Arc::clone(&consumer), given.clone()).await {
            Ok(found) => found,
            Err(error) if error.is_transient() => {
                self.say_lost(&error);
                tokio::time::sleep(RETRY_WAIT).await;
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let _ = consumer.context().take();
        consumer.assign(&list).map_err(convert::unavailable)?;
        self.reader.start_at(&places);
        self.given = Some(given);
        self.lost_since = None;
        Ok(true)
    }

    /// For a moment that is what a change of hands looks like.
    fn say_lost(&mut self, error: &LogError) {
        let since = *self.lost_since.get_or_insert_with(Instant::now);
        if since.elapsed() < LOST_LIMIT {
            tracing::info!(group = self.group, %error, "waiting for the positions of a group");
        } else {
            let duration_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(
                group = self.group,
                duration_ms,
                %error,
                "a group does not say its positions: a transaction that nobody ends may hold them"
            );
        }
    }

    /// Waits for the consumer's next event or a change that is not taken up, until the deadline: whether one came.
    pub async fn wait(&mut self, deadline: Instant) -> Result<bool> {
        let consumer = Arc::clone(&self.reader.consumer);
        let context = consumer.context();
        if context.is_pending() {
            return Ok(Instant::now() < deadline);
        }
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
