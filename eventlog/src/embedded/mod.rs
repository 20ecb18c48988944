//! The embedded log: `mail.raw` in segment files of its own, every other topic in the shared fjall database. It knows
//! nothing of what the records mean.

mod body;
mod clean;
mod core;
mod database;
mod facts;
mod fault;
mod folder;
mod identity;
mod queue;
mod reader;
mod segments;
mod settings;
mod space;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use tests::bench;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use fjall::Database;
use schemas::{NewRecord, Position, Record, Topic};

use self::core::Core;
use crate::{Bounds, Log, LogError, LogId, Member, Result, Tail};
use facts::Facts;
use fault::Fault;
use reader::{EmbeddedMember, EmbeddedTail, Reader};
use segments::Segments;
use space::Space;

/// How long a tombstone stands at least, so that whoever follows the topic has read it.
const TOMBSTONES_MS: i64 = 24 * 60 * 60 * 1000;

pub use database::{DatabaseSettings, open_database};
pub use folder::{DataFolder, FORMAT, FolderError};
pub use settings::EmbeddedSettings;

/// The embedded body of the log. Members and tails hold its parts: to reopen it after a failure, drop them as well.
pub struct EmbeddedLog {
    id: LogId,
    core: Arc<Core>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl EmbeddedLog {
    /// Opens the log, or makes it: segments in `folder`/mail.raw, everything else in `database`. Blocks.
    pub fn open(database: Database, folder: &Path, settings: EmbeddedSettings) -> Result<Arc<Self>> {
        let mut settings = settings.clamped();
        std::fs::create_dir_all(folder)
            .map_err(|error| LogError::Unavailable(format!("{} can't be made: {error}", folder.display())))?;
        if settings.keep_partitions {
            let made_with = identity::made_with(folder, &database)?;
            settings.partitions = made_with.unwrap_or(settings.partitions);
        }
        let fault = Arc::new(Fault::new());
        let space = Arc::new(Space::new(folder, settings.reserve_bytes));
        let (facts, facts_thread) = Facts::open(database, &settings, Arc::clone(&fault), Arc::clone(&space))?;
        let opened = facts.knows_its_log().and_then(|is_known| {
            let id = identity::settle(folder, &facts, settings.partitions)?;
            let known = |partition| facts.known(partition, is_known);
            let raw_folder = folder.join(Topic::MailRaw.name());
            let opened = Segments::open(&raw_folder, &settings, known, Arc::clone(&fault), Arc::clone(&space))?;
            Ok((id, opened, is_known))
        });
        let (id, (segments, segments_thread), is_known) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                // Without the segments there is no log: the thread of the facts has to end as well.
                facts.close();
                let _ = facts_thread.join();
                return Err(error);
            }
        };
        let core = Arc::new(Core { segments, facts, fault, settings });
        let log = Self { id, core, threads: Mutex::new(vec![facts_thread, segments_thread]) };
        if !is_known {
            // The database is new, and takes what the segments begin with.
            for bounds in log.core.segments.bounds() {
                log.core.facts.give_up_raw(bounds.partition, bounds.earliest)?;
            }
        }
        Ok(Arc::new(log))
    }

    /// The record at this place; `None` when there is none, or none any more. Blocks, as long as the disk takes.
    pub fn read(&self, position: Position) -> Result<Option<Record>> {
        let found = self.core.read(position, 1, 0)?.into_iter().next();
        Ok(found.filter(|record| record.position == position))
    }

    /// Resolves with the cause when the log has closed itself after a failed write or sync: it has to be reopened.
    pub async fn failed(&self) -> String {
        self.core.fault.failed().await
    }

    /// Which positions of `mail.raw` may go, in whole segments: what is older than `max_age_ms` at `now_ms`, and the
    /// oldest of what is more than `max_bytes`.
    pub fn expired(&self, now_ms: i64, max_age_ms: Option<i64>, max_bytes: Option<u64>) -> Vec<Position> {
        self.core.segments.expired(now_ms, max_age_ms, max_bytes)
    }

    /// These positions of `mail.raw`, each back to where the last whole segment before it ends: truncating there
    /// frees the disk. Left out where there is no such segment.
    pub fn whole_segments(&self, before: &[Position]) -> Vec<Position> {
        self.core.segments.whole_before(before)
    }

    /// Why mail would be refused now: no room, or closed. Cheap.
    pub fn refuses(&self) -> Option<LogError> {
        self.core.fault.check().and_then(|()| self.core.segments.room()).err()
    }

    /// Whether the disk has room for mail. Cheap.
    pub fn has_room(&self) -> bool {
        self.core.segments.room().is_ok()
    }

    /// Removes the records of a compacted topic that a later one of the same key has replaced, and tombstones that have
    /// stood for a day: how many. Blocks.
    pub fn compact(&self, topic: Topic) -> Result<u64> {
        self.core.facts.compact(topic, now_ms().saturating_sub(TOMBSTONES_MS))
    }

    /// Stops cleanly: what waits is written and answered, and the next start is fast. Dropping the log does the same.
    /// Blocks, as long as a sync takes.
    pub fn close(&self) {
        self.core.segments.close();
        self.core.facts.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the log has panicked");
            }
        }
        self.core.facts.settle_at_stop();
        self.core.fault.stop();
    }

    async fn blocking<R: Send + 'static>(&self, work: impl FnOnce(&Core) -> Result<R> + Send + 'static) -> Result<R> {
        let core = Arc::clone(&self.core);
        let done = tokio::task::spawn_blocking(move || work(&core)).await;
        done.unwrap_or_else(|error| Err(LogError::Unavailable(format!("a call ended: {error}"))))
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        self.close();
    }
}

#[async_trait]
impl Log for EmbeddedLog {
    fn id(&self) -> &LogId {
        &self.id
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<Position>> {
        self.core.fault.check()?;
        let placed = self.core.place(records)?;
        let is_raw: Vec<bool> = placed.iter().map(|(_, record)| record.topic == Topic::MailRaw).collect();
        let (raw, others): (Vec<_>, Vec<_>) =
            placed.into_iter().partition(|(_, record)| record.topic == Topic::MailRaw);
        let raw = async { if raw.is_empty() { Ok(Vec::new()) } else { self.core.segments.append(raw).await } };
        let others = async { if others.is_empty() { Ok(Vec::new()) } else { self.core.facts.append(others).await } };
        let (raw, others) = tokio::join!(raw, others);
        let (mut raw, mut others) = (raw?.into_iter(), others?.into_iter());
        Ok(is_raw.into_iter().filter_map(|is_raw| if is_raw { raw.next() } else { others.next() }).collect())
    }

    async fn join(&self, group: &str, topics: &[Topic]) -> Result<Box<dyn Member>> {
        self.core.fault.check()?;
        if !facts::is_name(group) {
            return Err(LogError::Refused(format!("{group:?} is no name for a group")));
        }
        let name: Arc<str> = group.into();
        let topics = topics.to_vec();
        let joined = self.blocking({
            let name = Arc::clone(&name);
            move |core| {
                let epoch = core.facts.join(&name);
                let committed = core.facts.committed(&name)?;
                let mut from = Vec::new();
                for topic in topics {
                    for bounds in core.bounds(topic) {
                        let at = committed.iter().find(|at| at.topic == topic && at.partition == bounds.partition);
                        let earliest = Position::new(topic, bounds.partition, bounds.earliest);
                        from.push(at.copied().unwrap_or(earliest));
                    }
                }
                Ok((epoch, from))
            }
        });
        let (epoch, from) = joined.await?;
        let reader = Reader::new(Arc::clone(&self.core), &from);
        Ok(Box::new(EmbeddedMember { reader, group: name, epoch: Arc::new(epoch) }))
    }

    async fn tail(&self, from: &[Position]) -> Result<Box<dyn Tail>> {
        self.core.fault.check()?;
        for &position in from {
            self.core.check(position)?;
        }
        Ok(Box::new(EmbeddedTail { reader: Reader::new(Arc::clone(&self.core), from) }))
    }

    async fn bounds(&self, topic: Topic) -> Result<Vec<Bounds>> {
        Ok(self.core.bounds(topic))
    }

    async fn offsets_at(&self, topic: Topic, timestamp_ms: i64) -> Result<Vec<Position>> {
        self.blocking(move |core| {
            let partitions = 0..core.partitions(topic);
            let places = partitions.map(|partition| {
                let offset = core.offset_at(topic, partition, timestamp_ms)?;
                Ok(Position::new(topic, partition, offset))
            });
            places.collect()
        })
        .await
    }

    async fn truncate(&self, before: &[Position]) -> Result<()> {
        self.core.fault.check()?;
        let before = before.to_vec();
        self.blocking(move |core| before.into_iter().try_for_each(|position| core.truncate(position))).await
    }

    async fn committed(&self, group: &str) -> Result<Vec<Position>> {
        let group = group.to_owned();
        self.blocking(move |core| core.facts.committed(&group)).await
    }
}

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
