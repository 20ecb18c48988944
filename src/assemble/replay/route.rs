//! Routes again: what an address was reserved for today finds the mail of yesterday. Only mail that somebody is shown, so
//! that nothing deleted comes back. Mail that the log has given up is routed from what the store has ([`super::kept`]).
//!
//! An entry that stays keeps the folder that it started in; a new one starts where its owner's rule puts it by the
//! first score.

use std::sync::Arc;

use accounts::Table;
use api::http::OperationError;
use api::http::replay::{Ask, Report, RouteReport};
use processors::route;
use schemas::event::{MailRaw, MailRouted, RoutedEntry};
use schemas::{EntryId, Event, NewRecord, Topic};

use super::kept;
use super::mail::{InStore, Older, OnLog, Stretch, is_in_time, stretches};
use super::marks::{Done, mark};
use super::pace::Pace;
use super::report::ByInbox;
use super::routed::{First, Replayed};
use super::{Replay, failed, record};

const STAGE: &str = "routing the log";
const OLDER: &str = "routing mail that is older than the log";

pub async fn route(replay: &Replay, ask: &Ask, report: &Report<'_>) -> Result<RouteReport, OperationError> {
    let log = replay.log.as_ref();
    let stretches = stretches(log, ask).await?;
    replay.accounts.catch_up().await.map_err(failed)?;
    let accounts = replay.accounts.read(|table| Arc::new(table.clone()));
    let mark = mark("route", ask, &[accounts.offset().to_string()]);
    let done = if ask.dry_run { Done::default() } else { Done::under(log, Topic::MailRouted, &mark).await? };
    let older = Arc::new(Older::than(log).await?);
    let replayed = Replayed::read(log, &older).await?;
    let mut routing = Routing {
        replay,
        ask,
        accounts,
        mark,
        replayed,
        looked_at: 0,
        moved: 0,
        came_to: ByInbox::default(),
        left: ByInbox::default(),
    };
    let mut pace = Pace::new(ask.rate);
    if !older.is_empty() {
        routing.older(older, &mut pace, report).await?;
    }
    let total: u64 = stretches.iter().map(|one| one.end.saturating_sub(one.from)).sum();
    let mut behind = 0;
    for stretch in stretches {
        let rest = Stretch { from: stretch.from.max(done.next(stretch.partition)), ..stretch };
        let mut mails = OnLog::new(&replay.log, &rest);
        let mut first = First::new(&replay.log, stretch.partition).await?;
        while let Some(records) = mails.next(pace.batch()).await? {
            let count = records.len();
            let mut moved = Vec::new();
            for (offset, raw) in records.into_iter().filter(|(_, raw)| is_in_time(ask, raw.arrived_at)) {
                let raw_offset = i64::try_from(offset).unwrap_or(i64::MAX);
                let Some(before) = first.of(raw_offset).await? else { continue };
                if let Some(after) = routing.again(&raw, before).await? {
                    moved.push(record(raw.message_id.as_str(), stretch.partition, &Event::Routed(after))?);
                }
            }
            routing.append(moved).await?;
            pace.after(count).await;
            let reached = behind + mails.place.min(stretch.end).saturating_sub(stretch.from);
            replay.tell(report, STAGE, reached, total)?;
        }
        behind += stretch.end.saturating_sub(stretch.from);
    }
    Ok(RouteReport {
        replay: routing.mark,
        dry_run: ask.dry_run,
        looked_at: routing.looked_at,
        moved: routing.moved,
        resumed: done.records(),
        came_to: routing.came_to.list(),
        left: routing.left.list(),
    })
}

struct Routing<'a> {
    replay: &'a Replay,
    ask: &'a Ask,
    accounts: Arc<Table>,
    mark: String,
    replayed: Replayed,
    looked_at: u64,
    moved: u64,
    came_to: ByInbox,
    left: ByInbox,
}

impl Routing<'_> {
    /// The new record, where the mail is in other inboxes by the table of now.
    async fn again(&mut self, raw: &MailRaw, first: MailRouted) -> Result<Option<MailRouted>, OperationError> {
        let (before, score) = self.replayed.now(first);
        if !self.is_shown(&before).await? {
            return Ok(None);
        }
        let entries = route::entries(raw, &self.accounts);
        let after = route::routed(raw, before.raw_offset, entries, score, &self.accounts);
        let after = MailRouted { folder: before.folder, replay: Some(self.mark.clone()), ..started(after, &before) };
        Ok(self.compared(&before, after))
    }

    /// Mail that the log has given up, by the entries that the store shows.
    async fn older(&mut self, older: Arc<Older>, pace: &mut Pace, report: &Report<'_>) -> Result<(), OperationError> {
        let (total, _) = self.replay.store.totals().await.map_err(failed)?;
        let mut messages = InStore::read(Arc::clone(&self.replay.store), Arc::clone(&older));
        let (mut batch, mut looked_at, mut since) = (Vec::new(), 0, 0);
        while let Some((id, shown)) = messages.next().await? {
            looked_at += 1;
            let is_asked = shown.first().is_some_and(|first| is_in_time(self.ask, first.received_at));
            if !is_asked || self.replayed.is_on_log(&id) {
                continue;
            }
            since += 1;
            let partition = older.partition(&id);
            let before = kept::before(&id, &shown);
            let after = kept::after(&before, &self.accounts);
            let after = MailRouted { replay: Some(self.mark.clone()), ..after };
            if let Some(after) = self.compared(&before, after) {
                batch.push(record(id.as_str(), partition, &Event::Routed(after))?);
            }
            if since >= pace.batch() {
                self.append(std::mem::take(&mut batch)).await?;
                pace.after(std::mem::take(&mut since)).await;
                self.replay.tell(report, OLDER, looked_at, total.messages)?;
            }
        }
        self.append(batch).await
    }

    async fn append(&self, moved: Vec<NewRecord>) -> Result<(), OperationError> {
        if self.ask.dry_run { Ok(()) } else { self.replay.append(moved).await }
    }

    /// The new record, where it is another and is asked for.
    fn compared(&mut self, before: &MailRouted, after: MailRouted) -> Option<MailRouted> {
        self.looked_at += 1;
        let names = |routed: &MailRouted, inbox: &str| routed.entries.iter().any(|entry| entry.inbox == inbox);
        let is_asked = self.ask.inbox.as_ref().is_none_or(|inbox| names(before, inbox) || names(&after, inbox));
        if !is_asked || before.entries.iter().map(place).eq(after.entries.iter().map(place)) {
            return None;
        }
        self.moved += 1;
        after
            .entries
            .iter()
            .filter(|entry| !names(before, &entry.inbox))
            .for_each(|entry| self.came_to.add(&entry.inbox));
        before
            .entries
            .iter()
            .filter(|entry| !names(&after, &entry.inbox))
            .for_each(|entry| self.left.add(&entry.inbox));
        Some(after)
    }

    async fn is_shown(&self, routed: &MailRouted) -> Result<bool, OperationError> {
        for index in routed.entries.iter().filter_map(|entry| u32::try_from(entry.index).ok()) {
            let id = EntryId { message: routed.message_id.clone(), index };
            if self.replay.store.entry(&id).await.map_err(failed)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Entries that were there before start where they started then.
fn started(mut after: MailRouted, before: &MailRouted) -> MailRouted {
    for entry in &mut after.entries {
        if let Some(was) = before.entries.iter().find(|was| was.index == entry.index) {
            entry.starts_in_spam = was.starts_in_spam;
        }
    }
    after
}

/// What readers see of where an entry is.
fn place(entry: &RoutedEntry) -> (i32, &str, &str, &[String]) {
    (entry.index, &entry.inbox, &entry.original_inbox, &entry.recipients)
}
