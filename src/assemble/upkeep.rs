//! Retention, every so often: what is deleted or too old leaves the store, what is to outlive the log is copied out of
//! it, and then the log gives up what nobody needs.
//!
//! The order is what keeps mail safe: the store copies before the log forgets, and the log forgets nothing that the
//! processors or the store have not had yet.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use eventlog::embedded::EmbeddedLog;
use eventlog::{Limits, Log};
use mailstore::{Retention, StoreError, Upkeep as _};
use schemas::topic::Kept;
use schemas::{Event, Position, Topic, codec};
use tokio::sync::Mutex;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::engine::ends;
use super::forwards;
use super::removal::{start_of, within};
use super::stage::GROUP;
use crate::config::RetentionSettings;

/// Facts read at a time while looking for the first one that stays.
const FACTS: Limits = Limits { records: 500, bytes: 4 << 20, wait: Duration::ZERO };
const ONE: Limits = Limits { records: 1, bytes: 0, wait: Duration::ZERO };

pub struct Upkeep {
    pub log: Arc<EmbeddedLog>,
    pub store: Arc<mailstore::embedded::EmbeddedStore>,
    pub retention: RetentionSettings,
    pub has_processors: bool,
    /// Held by whoever rebuilds or removes: not both at once.
    pub turn: Arc<Mutex<()>>,
}

#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    #[error(transparent)]
    Log(#[from] eventlog::LogError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a blocking call ended: {0}")]
    Ended(#[from] tokio::task::JoinError),
}

impl Upkeep {
    pub async fn run(&self, stop: &CancellationToken) {
        let mut ticks = tokio::time::interval(self.retention.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut compacted = Vec::new();
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let Ok(_turn) = self.turn.try_lock() else { continue };
            if let Err(error) = self.once(&mut compacted).await {
                tracing::warn!(%error, "what is past its retention can't be removed for now");
            }
        }
    }

    async fn once(&self, compacted: &mut Vec<Position>) -> Result<(), UpkeepError> {
        let now = now_ms();
        let before = |age: Option<Duration>| age.map(|age| now.saturating_sub(millis(age)));
        let (log, retention) = (Arc::clone(&self.log), self.retention.clone());
        // By default the log keeps mail as long as the store does.
        let log_age = retention.log_age.or(retention.store_age).map(millis);
        let expired = tokio::task::spawn_blocking(move || log.expired(now, log_age, retention.log_bytes)).await?;
        let expired = self.had_by_all(expired).await?;
        let retention = Retention {
            received_before_ms: before(self.retention.store_age),
            max_bytes: self.retention.store_bytes,
            raw_before: expired.clone(),
        };
        let swept = self.store.sweep(&retention).await?;
        if !expired.is_empty() {
            self.log.truncate(&expired).await?;
            tracing::info!(copied_out = swept.messages_copied_out, "the log has given up its oldest mail");
        }
        if swept.messages_removed > 0 {
            tracing::info!(messages = swept.messages_removed, "mail was removed");
        }
        self.truncate_unneeded().await?;
        self.truncate_facts().await?;
        self.truncate_actions(before(self.retention.store_age)).await?;
        self.truncate_by_days(now).await?;
        self.compact(compacted).await
    }

    /// The oldest whole segments of which the store keeps nothing any more: deleted mail gives its room back, whatever
    /// retention says.
    async fn truncate_unneeded(&self) -> Result<(), UpkeepError> {
        let bounds = self.log.bounds(Topic::MailRaw).await?;
        let starts: Vec<Position> =
            bounds.iter().map(|bounds| Position::new(Topic::MailRaw, bounds.partition, bounds.earliest)).collect();
        // Without a whole segment to win, nobody looks for what is needed.
        let ends: Vec<Position> =
            bounds.iter().map(|bounds| Position::new(Topic::MailRaw, bounds.partition, bounds.end)).collect();
        if self.log.whole_segments(&ends).is_empty() {
            return Ok(());
        }
        let needed = self.store.needed_from(&starts).await?;
        let unneeded = self.had_by_all(self.log.whole_segments(&needed)).await?;
        if !unneeded.is_empty() {
            // Rows of what was removed still name their places on the log.
            self.store.sweep(&Retention { raw_before: unneeded.clone(), ..Retention::default() }).await?;
            self.log.truncate(&unneeded).await?;
            tracing::info!("the log has given up mail that nobody keeps");
        }
        Ok(())
    }

    /// The store folds mail and facts alike; the processors must have read the mail.
    async fn had_by_all(&self, expired: Vec<Position>) -> Result<Vec<Position>, UpkeepError> {
        if expired.is_empty() {
            return Ok(expired);
        }
        if !self.has_processors {
            return Ok(Vec::new());
        }
        let stored = within(expired, &mailstore::Store::positions(self.store.as_ref()).await?);
        Ok(within(stored, &self.log.committed(GROUP).await?))
    }

    /// Facts of mail that is not on the log any more, as far as the store has folded them and the forwards have made
    /// them due.
    async fn truncate_facts(&self) -> Result<(), UpkeepError> {
        let raw = self.log.bounds(Topic::MailRaw).await?;
        let starts: Vec<Position> =
            raw.iter().map(|bounds| Position::new(Topic::MailRaw, bounds.partition, bounds.earliest)).collect();
        let stored = mailstore::Store::positions(self.store.as_ref()).await?;
        let told = self.log.committed(forwards::GROUP).await?;
        for topic in Topic::ALL.into_iter().filter(|topic| topic.kept() == Kept::AsRaw) {
            for bounds in self.log.bounds(topic).await? {
                let start = start_of(&starts, bounds.partition);
                let earliest = Position::new(topic, bounds.partition, bounds.earliest);
                if start == 0 || bounds.earliest >= bounds.end {
                    continue;
                }
                let keeps = self.first_fact_of(earliest, bounds.end, start).await?;
                let goes = within(vec![keeps], &stored);
                let goes = if topic == Topic::MailRouted { within(goes, &told) } else { goes };
                if goes.iter().any(|place| place.offset > bounds.earliest) {
                    self.log.truncate(&goes).await?;
                }
            }
        }
        Ok(())
    }

    /// The first fact of mail that stands at `raw_start` or behind it.
    async fn first_fact_of(&self, from: Position, end: u64, raw_start: u64) -> Result<Position, UpkeepError> {
        let mut place = from;
        let mut tail = self.log.tail(&[from]).await?;
        while place.offset < end {
            let records = tail.poll(&FACTS).await?;
            if records.is_empty() {
                break;
            }
            for record in records {
                let value = record.value.as_deref().map(|value| codec::decode(record.position.topic, value));
                let offset = match value {
                    Some(Ok(event)) => raw_offset(&event),
                    // What can't be read is of no use to anybody.
                    Some(Err(_)) | None => None,
                };
                if offset.is_some_and(|offset| u64::try_from(offset).is_ok_and(|offset| offset >= raw_start)) {
                    return Ok(record.position);
                }
                place = record.position.next();
            }
        }
        Ok(place)
    }

    /// As long as the store keeps mail, and as long as mail that they may be about is on the log.
    async fn truncate_actions(&self, before_ms: Option<i64>) -> Result<(), UpkeepError> {
        let Some(mut before_ms) = before_ms else { return Ok(()) };
        for bounds in self.log.bounds(Topic::MailRaw).await? {
            if bounds.earliest < bounds.end {
                let first = Position::new(Topic::MailRaw, bounds.partition, bounds.earliest);
                let records = self.log.tail(&[first]).await?.poll(&ONE).await?;
                before_ms = records.first().map_or(before_ms, |record| before_ms.min(record.timestamp_ms));
            }
        }
        let stored = mailstore::Store::positions(self.store.as_ref()).await?;
        let goes = within(self.log.offsets_at(Topic::MailActions, before_ms).await?, &stored);
        if !goes.is_empty() {
            self.log.truncate(&goes).await?;
        }
        Ok(())
    }

    async fn truncate_by_days(&self, now: i64) -> Result<(), UpkeepError> {
        for topic in Topic::ALL {
            if let Kept::Days(days) = topic.kept() {
                let age = i64::from(days) * 24 * 60 * 60 * 1000;
                let goes = self.log.offsets_at(topic, now.saturating_sub(age)).await?;
                self.log.truncate(&goes).await?;
            }
        }
        Ok(())
    }

    /// Only when something was added since.
    async fn compact(&self, compacted: &mut Vec<Position>) -> Result<(), UpkeepError> {
        let topics: Vec<Topic> = Topic::ALL.into_iter().filter(|topic| topic.kept() == Kept::Compacted).collect();
        let ends = ends(self.log.as_ref(), &topics).await?;
        for topic in topics {
            if ends.iter().filter(|end| end.topic == topic).all(|end| compacted.contains(end)) {
                continue;
            }
            let log = Arc::clone(&self.log);
            tokio::task::spawn_blocking(move || log.compact(topic)).await??;
        }
        *compacted = ends;
        Ok(())
    }
}

fn raw_offset(event: &Event) -> Option<i64> {
    match event {
        Event::Parsed(parsed) => Some(parsed.raw_offset),
        Event::Scored(scored) => Some(scored.raw_offset),
        Event::Routed(routed) => Some(routed.raw_offset),
        // No other topic is kept as raw.
        _ => None,
    }
}

pub fn millis(age: Duration) -> i64 {
    i64::try_from(age.as_millis()).unwrap_or(i64::MAX)
}

pub fn now_ms() -> i64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}
