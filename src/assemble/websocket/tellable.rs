//! What a record of `mail.routed` tells whom, and what has to be before it is told: the store shows the mail, its sender
//! has the 250, and a moment has passed in which a client can read that answer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use accounts::Told;
use bytes::Bytes;
use eventlog::LogError;
use mailstore::Entry;
use schemas::event::MailRouted;
use schemas::{EntryId, Event, MessageId, Position, Record, Topic, codec};
use sinks::websocket::Rendered;
use tokio::time::Instant;

use super::feed::Feed;

/// From its arrival on, for mail whose answer another process writes.
const AFTER_ARRIVAL: Duration = Duration::from_millis(50);
/// Behind an answer that this process has written: a client reads its 250 before a frame on another socket.
const AFTER_ANSWER: Duration = Duration::from_millis(10);
/// Mail that arrived earlier was answered long ago.
const FRESH: Duration = Duration::from_secs(2);
/// How long the store may take until it shows what is to be told.
const SHOWN_LIMIT: Duration = Duration::from_secs(60);
/// Between two tries to read a store that isn't available.
const STORE_PAUSE: Duration = Duration::from_millis(200);

/// A record of `mail.routed` and who is told of it; nobody, where a replay made it.
pub struct Plan {
    pub position: Position,
    pub entries: Vec<(EntryId, Told)>,
    message_id: Option<MessageId>,
    raw_offset: u64,
    arrived_at: i64,
}

impl Plan {
    pub fn told(&self) -> impl Iterator<Item = &Told> {
        self.entries.iter().map(|(_, told)| told)
    }
}

impl Feed {
    pub fn plan(&self, record: &Record) -> Plan {
        let nothing =
            Plan { position: record.position, entries: Vec::new(), message_id: None, raw_offset: 0, arrived_at: 0 };
        let event = record.value.as_deref().map(|value| codec::decode(record.position.topic, value));
        match event {
            Some(Ok(Event::Routed(routed))) if routed.replay.is_none() => self.plan_of(record.position, routed),
            // What can't be read has its letter from the store's sink.
            Some(Ok(_) | Err(_)) | None => nothing,
        }
    }

    fn plan_of(&self, position: Position, routed: MailRouted) -> Plan {
        let entries = self.accounts.read(|table| {
            let told = |entry: &schemas::event::RoutedEntry| {
                let told = table.told_by_websocket(&entry.inbox, &entry.original_inbox)?;
                let index = u32::try_from(entry.index).ok()?;
                Some((EntryId { message: routed.message_id.clone(), index }, told))
            };
            routed.entries.iter().filter_map(told).collect()
        });
        Plan {
            position,
            entries,
            message_id: Some(routed.message_id),
            raw_offset: u64::try_from(routed.raw_offset).unwrap_or(0),
            arrived_at: routed.arrived_at,
        }
    }

    /// Waits until all of these may be told; a store that takes too long is a fault that may pass.
    pub async fn until_tellable(&self, plans: &[&Plan]) -> eventlog::Result<()> {
        if plans.is_empty() {
            return Ok(());
        }
        self.until_shown(plans).await?;
        for id in plans.iter().filter_map(|plan| plan.message_id.as_ref()) {
            self.unanswered.answered(id.as_str()).await;
        }
        let newest = plans.iter().map(|plan| plan.arrived_at).max().unwrap_or(0);
        let age = age_of(newest);
        if age < FRESH {
            tokio::time::sleep(AFTER_ARRIVAL.saturating_sub(age).max(AFTER_ANSWER)).await;
        }
        Ok(())
    }

    /// The facts of a message are written together, so what was parsed stands on the log when its route does.
    async fn until_shown(&self, plans: &[&Plan]) -> eventlog::Result<()> {
        let parsed = self.log.bounds(Topic::MailParsed).await?;
        let mut places = Vec::new();
        for plan in plans {
            let partition = plan.position.partition;
            places.push(Position::new(Topic::MailRaw, partition, plan.raw_offset.saturating_add(1)));
            places.push(plan.position.next());
            let ends = parsed.iter().filter(|bounds| bounds.partition == partition);
            places.extend(ends.map(|bounds| Position::new(Topic::MailParsed, partition, bounds.end)));
        }
        places.sort_unstable();
        places.dedup();
        let deadline = Instant::now() + SHOWN_LIMIT;
        for place in places {
            if !self.shown.reach(place, deadline.saturating_duration_since(Instant::now())).await {
                let Position { topic, partition, offset } = place;
                let seconds = SHOWN_LIMIT.as_secs();
                let text = format!("the store has not come to {topic}/{partition}/{offset} within {seconds} seconds");
                return Err(LogError::Unavailable(text));
            }
        }
        Ok(())
    }

    /// A frame for each entry that is wanted and still there, in the order of the plan's entries. The message is read
    /// and parsed once.
    pub async fn rendered(&self, plan: &Plan, wanted: impl Fn(&Told) -> bool) -> eventlog::Result<Vec<Rendered>> {
        let mut rendered: Vec<Rendered> = Vec::with_capacity(plan.entries.len());
        let mut entries = Vec::new();
        for (id, told) in &plan.entries {
            if !wanted(told) {
                rendered.push(Rendered::Not);
                continue;
            }
            // Its place is taken by its frame below.
            rendered.push(Rendered::Gone);
            if let Some(entry) = self.entry(id).await {
                entries.push((rendered.len() - 1, entry));
            }
        }
        let Some(id) = plan.message_id.as_ref().filter(|_| !entries.is_empty()) else { return Ok(rendered) };
        let Some(raw) = self.raw(id).await else { return Ok(rendered) };
        let (indexes, entries): (Vec<usize>, Vec<Entry>) = entries.into_iter().unzip();
        let frames = tokio::task::spawn_blocking(move || api::http::render(&entries, &raw)).await;
        let frames = frames.unwrap_or_else(|error| {
            tracing::error!(message.id = %id, %error, "a message can't be told to websockets");
            Vec::new()
        });
        for (index, frame) in indexes.into_iter().zip(frames) {
            if let Some(place) = rendered.get_mut(index) {
                *place = Rendered::Frame(frame);
            }
        }
        Ok(rendered)
    }

    /// Waits for a store that isn't available: nobody is told of mail that can't be read.
    async fn entry(&self, id: &EntryId) -> Option<Entry> {
        loop {
            match self.store.entry(id).await {
                Ok(entry) => return entry,
                Err(error) => self.store_failed(&error).await?,
            }
        }
    }

    async fn raw(&self, id: &MessageId) -> Option<Bytes> {
        loop {
            match self.store.raw(id).await {
                Ok(raw) => return raw,
                Err(error) => self.store_failed(&error).await?,
            }
        }
    }

    /// `None`: a further try would be in vain.
    async fn store_failed(&self, error: &mailstore::StoreError) -> Option<()> {
        tracing::warn!(%error, "a message can't be read for websockets");
        if !error.is_transient() || self.stop.is_cancelled() {
            return None;
        }
        tokio::time::sleep(STORE_PAUSE).await;
        Some(())
    }
}

/// A time to come, as clocks that are set back make it, is now.
fn age_of(ms: i64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
}
