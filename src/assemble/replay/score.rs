//! Scores again. Each mail that somebody is shown gets a new `mail.scored`, whether the score is another or not, since
//! the model is.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use api::http::OperationError;
use api::http::replay::{Ask, Report, ScoreReport};
use bytes::Bytes;
use processors::parse::parse_content;
use processors::spam::score_with;
use schemas::event::MailScored;
use schemas::{Event, Topic};

use super::mail::{Had, InStore, Mail, Older, OnLog, Stretch, from_store, is_in_time, shown, stretches};
use super::marks::{Done, mark};
use super::models::{Chosen, Whose};
use super::pace::Pace;
use super::report::{Said, Tally};
use super::{Replay, failed, record};

const FROM_LOG: &str = "scoring the log";
const OLDER: &str = "scoring mail that is older than the log";

struct Scoring<'a> {
    replay: &'a Replay,
    ask: &'a Ask,
    report: &'a Report<'a>,
    chosen: Arc<Chosen>,
    mark: String,
    done: Done,
    said: Said,
    pace: Pace,
    tally: Tally,
}

pub async fn score(replay: &Replay, ask: &Ask, report: &Report<'_>) -> Result<ScoreReport, OperationError> {
    let log = replay.log.as_ref();
    replay.accounts.catch_up().await.map_err(failed)?;
    // What has come by now was scored by the models that are known next, or by earlier ones.
    let stretches = stretches(log, ask).await?;
    replay.models.catch_up().await.map_err(failed)?;
    let chosen = Chosen::of(&ask.model, replay.models.read(Clone::clone), log).await?;
    let mut with = chosen.versions();
    if chosen.is_by_account() {
        with.push(replay.accounts.offset().to_string());
    }
    let mark = mark("score", ask, &with);
    let done = if ask.dry_run { Done::default() } else { Done::under(log, Topic::MailScored, &mark).await? };
    let mut scoring = Scoring {
        replay,
        ask,
        report,
        chosen: Arc::new(chosen),
        mark,
        done,
        said: Said::read(log).await?,
        pace: Pace::new(ask.rate),
        tally: Tally::default(),
    };
    let older = Arc::new(Older::than(log).await?);
    let had = if older.is_empty() { Had::new() } else { scoring.older(older).await? };
    scoring.on_log(&stretches, &had).await?;
    let Scoring { chosen, mark, done, tally, .. } = scoring;
    Ok(ScoreReport {
        replay: mark,
        model_version: chosen.version(),
        dry_run: ask.dry_run,
        resumed: done.records(),
        ..tally.report()
    })
}

impl Scoring<'_> {
    async fn older(&mut self, older: Arc<Older>) -> Result<Had, OperationError> {
        let mut had = Had::new();
        let (total, _) = self.replay.store.totals().await.map_err(failed)?;
        let mut messages = InStore::read(Arc::clone(&self.replay.store), Arc::clone(&older));
        let (mut batch, mut looked_at) = (Vec::new(), 0);
        while let Some((id, shown)) = messages.next().await? {
            looked_at += 1;
            let partition = older.partition(&id);
            if !self.takes(&shown) {
                continue;
            }
            had.insert(id.clone());
            if self.done.has(partition, &id) {
                continue;
            }
            batch.extend(from_store(self.replay.store.as_ref(), &older, id, shown).await?);
            if batch.len() >= self.pace.batch() {
                self.handle(std::mem::take(&mut batch)).await?;
                self.replay.tell(self.report, OLDER, looked_at, total.messages)?;
            }
        }
        self.handle(batch).await?;
        Ok(had)
    }

    async fn on_log(&mut self, stretches: &[Stretch], had: &Had) -> Result<(), OperationError> {
        let total: u64 = stretches.iter().map(|one| one.end.saturating_sub(one.from)).sum();
        let mut behind = 0;
        for &stretch in stretches {
            let next = self.done.next(stretch.partition);
            let rest = Stretch { from: stretch.from.max(next), ..stretch };
            let mut mails = OnLog::new(&self.replay.log, &rest);
            while let Some(records) = mails.next(self.pace.batch()).await? {
                let mut batch = Vec::with_capacity(records.len());
                for (offset, mut raw) in records {
                    if had.contains(&raw.message_id) || !is_in_time(self.ask, raw.arrived_at) {
                        continue;
                    }
                    let shown = shown(self.replay.store.as_ref(), &raw, self.ask.inbox.is_some()).await?;
                    if !self.takes(&shown) {
                        continue;
                    }
                    let content = Bytes::from(std::mem::take(&mut raw.content));
                    let (id, partition) = (raw.message_id.clone(), stretch.partition);
                    let raw_offset = i64::try_from(offset).unwrap_or(i64::MAX);
                    batch.push(Mail { id, partition, raw_offset, raw: Some(raw), content, shown });
                }
                self.handle(batch).await?;
                let done = behind + mails.place.min(stretch.end).saturating_sub(stretch.from);
                self.replay.tell(self.report, FROM_LOG, done, total)?;
            }
            behind += stretch.end.saturating_sub(stretch.from);
        }
        Ok(())
    }

    /// Nobody is shown what is deleted, and nothing about it is written any more.
    fn takes(&self, shown: &[mailstore::Entry]) -> bool {
        let Some(first) = shown.first() else { return false };
        is_in_time(self.ask, first.received_at)
            && self.ask.inbox.as_ref().is_none_or(|inbox| shown.iter().any(|entry| entry.inbox == *inbox))
    }

    async fn handle(&mut self, mails: Vec<Mail>) -> Result<(), OperationError> {
        let count = mails.len();
        let (chosen, accounts) = (Arc::clone(&self.chosen), Arc::clone(&self.replay.accounts));
        let mark = self.mark.clone();
        let scoring = tokio::task::spawn_blocking(move || {
            let score = |mail: &Mail| {
                let inboxes: Vec<String> = mail.shown.iter().map(|entry| entry.inbox.clone()).collect();
                let whose = mail.raw.as_ref().map_or(Whose::Inboxes(&inboxes), Whose::Raw);
                let model = accounts.read(|table| chosen.for_mail(&whose, table));
                let scored = score_with(&parse_content(&mail.id, &mail.content, mail.raw_offset), &model);
                let model_sequence = scored.model_sequence.max(chosen.sequence);
                MailScored { model_sequence, replay: Some(mark.clone()), ..scored }
            };
            // What the processors could not read either keeps the score that it has.
            let scored = mails.into_iter().map(|mail| {
                let scored = catch_unwind(AssertUnwindSafe(|| score(&mail))).ok();
                (mail, scored)
            });
            scored.collect::<Vec<_>>()
        });
        let mut records = Vec::with_capacity(count);
        for (mail, scored) in scoring.await.map_err(failed)? {
            let Some(scored) = scored else { continue };
            let before = mail.shown.first().map_or(scored.score, |entry| entry.spam);
            self.tally.add(before, scored.score, self.said.of(&mail.id), mail.raw.is_none());
            records.push(record(mail.id.as_str(), mail.partition, &Event::Scored(scored))?);
        }
        if !self.ask.dry_run {
            self.replay.append(records).await?;
        }
        self.pace.after(count).await;
        Ok(())
    }
}
