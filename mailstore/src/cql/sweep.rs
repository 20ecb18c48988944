//! Removing what is deleted or past its retention. An entry is first marked as swept, and then the message is read: a
//! fold that goes on meanwhile either sees the mark, or is seen. What is removed is removed at a write time that no
//! fact has, so that whoever writes it again writes too early.

use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt, stream};
use metrics::{counter, gauge};
use schemas::{MessageId, Position, Topic};

use super::cells::{self, Stored};
use super::content;
use super::fold::Touched;
use super::listing::{self, Kind};
use super::tables::Tables;
use super::walk::{Direction, Place, Walk};
use crate::row::Row;
use crate::{Result, Retention, Swept, telemetry};

/// Messages looked at in one round, and how many of them at once.
const ROUND_MESSAGES: usize = 64;
const MESSAGES_AT_ONCE: usize = 16;
/// A message of which only actions are known is dropped when mail of its partition is there that arrived this much
/// later: an action stands behind its mail on the log, so that mail is not on it any more.
const ORPHAN_MS: i64 = 24 * 60 * 60 * 1000;

/// What is done with a message that a list names.
#[derive(Clone, Copy)]
enum Task {
    RemoveDeleted,
    RemoveUnstarred,
    LeaveLog,
    DropOrphan,
}

#[derive(Default)]
struct Outcome {
    touched: Touched,
    swept: Swept,
}

impl Tables {
    pub async fn sweep(&self, retention: &Retention) -> Result<Swept> {
        let mut sweep = Sweep { tables: self, swept: Swept::default(), looked_at: 0 };
        sweep.run(retention).await?;
        let swept = sweep.swept;
        counter!(telemetry::SWEPT_MESSAGES).increment(swept.messages_removed);
        counter!(telemetry::COPIED_MESSAGES).increment(swept.messages_copied_out);
        let volume = self.volume().await?;
        gauge!(telemetry::MESSAGES).set(volume.rows as f64);
        gauge!(telemetry::MESSAGE_BYTES).set(volume.size_bytes as f64);
        Ok(swept)
    }
}

struct Sweep<'a> {
    tables: &'a Tables,
    swept: Swept,
    looked_at: u64,
}

impl Sweep<'_> {
    async fn run(&mut self, retention: &Retention) -> Result<()> {
        let deleted = self.tables.lists_of_partitions(Kind::Deleted).await?;
        self.walk(&deleted, None, Task::RemoveDeleted).await?;
        let by_age = self.tables.lists_of_partitions(Kind::ByAge).await?;
        if let Some(received_before) = retention.received_before_ms {
            self.walk(&by_age, Some(received_before), Task::RemoveUnstarred).await?;
        }
        if let Some(max_bytes) = retention.max_bytes {
            self.shrink(&by_age, max_bytes).await?;
        }
        for place in retention.raw_before.iter().filter(|place| place.topic == Topic::MailRaw) {
            let list = Kind::OnLog.of_partition(place.partition);
            self.walk(&[list], Some(listing::sortable(place.offset)), Task::LeaveLog).await?;
        }
        self.drop_orphans().await
    }

    /// Visits what stands in these lists before a place, oldest first.
    async fn walk(&mut self, lists: &[String], before: Option<i64>, task: Task) -> Result<()> {
        let mut walk = Walk::new(self.tables, lists, Direction::OldestFirst, Place::before_all_of(i64::MIN));
        loop {
            let found = walk.next(ROUND_MESSAGES).await?;
            let places = found.iter().map(|found| &found.place);
            let ids: Result<Vec<MessageId>> =
                places.filter(|place| before.is_none_or(|before| place.sort < before)).map(Place::message).collect();
            let ids = ids?;
            let is_last = ids.len() < ROUND_MESSAGES;
            self.visit(ids, task).await?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// The oldest that is not starred goes until what is left is no larger than this.
    async fn shrink(&mut self, lists: &[String], max_bytes: u64) -> Result<()> {
        let tables = self.tables;
        let mut size_bytes = tables.volume().await?.size_bytes;
        let mut walk = Walk::new(tables, lists, Direction::OldestFirst, Place::before_all_of(i64::MIN));
        while size_bytes > max_bytes {
            let found = walk.next(ROUND_MESSAGES).await?;
            let ids: Result<Vec<MessageId>> = found.iter().map(|found| found.place.message()).collect();
            let ids = ids?;
            let stored = try_join_all(ids.iter().map(|id| tables.read(id))).await?;
            let mut oldest = Vec::new();
            for (id, Stored { row, .. }) in ids.into_iter().zip(stored) {
                if size_bytes <= max_bytes {
                    break;
                }
                if row.shown().all(|place| row.starred_by(place.index).is_none()) {
                    size_bytes = size_bytes.saturating_sub(row.size_bytes());
                }
                oldest.push(id);
            }
            self.visit(oldest, Task::RemoveUnstarred).await?;
            if found.len() < ROUND_MESSAGES {
                break;
            }
        }
        Ok(())
    }

    async fn drop_orphans(&mut self) -> Result<()> {
        let positions = self.tables.positions().await?;
        for place in positions.into_iter().filter(|place| place.topic == Topic::MailRaw) {
            let Position { partition, offset, .. } = place;
            let list = Kind::Orphan.of_partition(partition);
            self.walk(&[list], Some(listing::sortable(offset)), Task::DropOrphan).await?;
            let by_age = Kind::ByAge.of_partition(partition);
            let end = Place::after_all_of(i64::MAX);
            let newest = Walk::new(self.tables, &[by_age], Direction::NewestFirst, end).next(1).await?;
            if let Some(newest) = newest.first() {
                let before = newest.place.sort.saturating_sub(ORPHAN_MS);
                let list = Kind::OrphanAnywhere.of_partition(partition);
                self.walk(&[list], Some(before), Task::DropOrphan).await?;
            }
        }
        Ok(())
    }

    async fn visit(&mut self, ids: Vec<MessageId>, task: Task) -> Result<()> {
        self.looked_at += ids.len() as u64;
        let tables = self.tables;
        let outcomes: Vec<Outcome> = stream::iter(ids)
            .map(|id| async move { tables.perform(&id, task).await })
            .buffer_unordered(MESSAGES_AT_ONCE)
            .try_collect()
            .await?;
        let mut touched = Touched::new();
        for outcome in outcomes {
            touched.extend(outcome.touched);
            self.swept.messages_removed += outcome.swept.messages_removed;
            self.swept.messages_copied_out += outcome.swept.messages_copied_out;
        }
        gauge!(telemetry::SWEEP_LOOKED_AT).set(self.looked_at as f64);
        tables.mark(touched).await
    }
}

impl Tables {
    async fn perform(&self, id: &MessageId, task: Task) -> Result<Outcome> {
        let stored = self.settled(id).await?;
        let row = &stored.row;
        match task {
            Task::RemoveDeleted => {
                let deleted = row.deleted().map(|place| place.index).collect();
                self.remove_entries(id, stored, deleted, Kind::Deleted).await
            }
            Task::RemoveUnstarred => {
                let unstarred = row.shown().map(|place| place.index).filter(|index| row.starred_by(*index).is_none());
                let unstarred = unstarred.collect();
                self.remove_entries(id, stored, unstarred, Kind::ByAge).await
            }
            Task::LeaveLog => self.leave_log(id, &stored).await,
            // Its mail has come after all.
            Task::DropOrphan if row.raw.is_some() => Ok(self.shown(id, &stored).await?),
            Task::DropOrphan => self.remove_message(id).await,
        }
    }

    /// `kind` is the list that led here: one that the message has no row in any more is a row left over by a sweep
    /// that was broken off.
    async fn remove_entries(&self, id: &MessageId, stored: Stored, indexes: Vec<u32>, kind: Kind) -> Result<Outcome> {
        if indexes.is_empty() {
            let names = listing::names(&stored.row);
            let is_there =
                names.iter().any(|listing| listing::parts(&listing.list).is_some_and(|(known, _)| known == kind));
            return if is_there { Ok(Outcome::default()) } else { self.shown(id, &stored).await };
        }
        let marks = Row { swept: indexes.into_iter().collect(), ..Row::default() };
        self.client().write_together(&cells::writes(&self.statements, id, &marks)?).await?;
        let stored = self.settled(id).await?;
        let row = &stored.row;
        let is_over = row.is_complete() && row.shown().next().is_none() && row.deleted().next().is_none();
        if !row.gone && !is_over {
            return self.shown(id, &stored).await;
        }
        let stored = self.mark_gone(id).await?;
        content::remove(&self.shared, id).await?;
        self.client().write_together(&cells::strip(&self.statements, id, &stored.row)?).await?;
        let mut outcome = self.shown(id, &stored).await?;
        if stored.row.copied {
            self.client().write(&cells::remove(&self.statements, id)).await?;
        }
        outcome.swept.messages_removed = 1;
        Ok(outcome)
    }

    /// The log is about to give up this message's bytes: they are here. What is left of one that is gone goes.
    async fn leave_log(&self, id: &MessageId, stored: &Stored) -> Result<Outcome> {
        let row = &stored.row;
        let stays = !row.gone && (!row.is_complete() || row.shown().next().is_some());
        if !stays {
            return self.remove_message(id).await;
        }
        let mark = Row { copied: true, ..Row::default() };
        self.client().write_together(&cells::writes(&self.statements, id, &mark)?).await?;
        let mut outcome = self.shown(id, &self.settled(id).await?).await?;
        outcome.swept.messages_copied_out = u64::from(!row.copied);
        Ok(outcome)
    }

    /// Everything of it, from everywhere. No later fact of it brings anything back.
    async fn remove_message(&self, id: &MessageId) -> Result<Outcome> {
        let stored = self.mark_gone(id).await?;
        content::remove(&self.shared, id).await?;
        let touched = self.hide(id, &stored).await?;
        self.client().write(&cells::remove(&self.statements, id)).await?;
        Ok(Outcome { touched, swept: Swept::default() })
    }

    async fn mark_gone(&self, id: &MessageId) -> Result<Stored> {
        let mark = Row { gone: true, ..Row::default() };
        self.client().write_together(&cells::writes(&self.statements, id, &mark)?).await?;
        self.settled(id).await
    }

    async fn shown(&self, id: &MessageId, stored: &Stored) -> Result<Outcome> {
        Ok(Outcome { touched: self.show(id, stored).await?, swept: Swept::default() })
    }
}
