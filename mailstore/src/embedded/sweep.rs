//! Removing what is deleted or past its retention, and copying out of the log what stays: in bounded batches, between
//! which facts are folded.

use metrics::{counter, gauge};
use schemas::{MessageId, Topic};

use super::edit::Edit;
use super::tables::{Ledger, Tables};
use super::{Inner, damaged, failed};
use crate::{RawBytes, Result, Retention, StoreError, Swept, telemetry, views};

/// Rows looked at in one batch.
const BATCH_ROWS: usize = 256;
/// Bytes copied out in one batch: at least one message, however big.
const BATCH_BYTES: u64 = 8 * 1024 * 1024;
/// A row of which only actions are known is dropped when mail of its partition is folded that arrived this much later:
/// an action stands behind its mail on the log, so that mail is not on it any more.
const ORPHAN_MS: i64 = 24 * 60 * 60 * 1000;

impl Inner {
    /// Everything it did is durable when it returns, so the log may give up what `raw_before` names.
    pub fn sweep(&self, retention: &Retention) -> Result<Swept> {
        self.discard_abandoned()?;
        let mut swept = Swept::default();
        self.walk([views::DELETED], [views::DELETED + 1], &mut swept, |batch, id| {
            let deleted: Vec<u32> = batch.edit.row(id)?.deleted().map(|place| place.index).collect();
            batch.remove_entries(id, &deleted)
        })?;
        if let Some(received_before) = retention.received_before_ms {
            let until = views::by_age_until(received_before);
            self.walk([views::BY_AGE], until, &mut swept, |batch, id| batch.remove_unstarred(id))?;
        }
        if let Some(max_bytes) = retention.max_bytes {
            self.walk([views::BY_AGE], [views::BY_AGE + 1], &mut swept, |batch, id| {
                if batch.size_bytes > max_bytes { batch.remove_unstarred(id) } else { Ok(Next::Stop) }
            })?;
        }
        for place in retention.raw_before.iter().filter(|place| place.topic == Topic::MailRaw) {
            let (from, to) =
                (views::on_log_from(place.partition, 0), views::on_log_from(place.partition, place.offset));
            self.walk(from, to, &mut swept, |batch, id| batch.leave_log(id))?;
        }
        self.drop_orphans(&mut swept)?;
        self.shared.db.persist(fjall::PersistMode::SyncAll).map_err(failed)?;
        self.report(swept)?;
        Ok(swept)
    }

    /// Visits the messages that the keys of a view from `from` to `to` name, a batch at a time.
    fn walk(
        &self,
        from: impl Into<Vec<u8>>,
        to: impl Into<Vec<u8>>,
        swept: &mut Swept,
        mut visit: impl FnMut(&mut Batch<'_>, &MessageId) -> Result<Next>,
    ) -> Result<()> {
        let (mut from, to) = (from.into(), to.into());
        loop {
            let next = self.with_writer(|tables, ledger| {
                let keys = tables.keys(&from, &to, BATCH_ROWS)?;
                let mut batch = Batch::new(tables, ledger);
                let mut next = None;
                for key in &keys {
                    let id = views::read_id(key).ok_or_else(|| damaged("a key"))?;
                    let step = visit(&mut batch, &id)?;
                    next = Some([&key[..], &[0]].concat());
                    match step {
                        Next::Go => {}
                        Next::Commit => break,
                        Next::Stop => {
                            next = None;
                            break;
                        }
                    }
                }
                batch.commit(ledger, swept)?;
                Ok(next)
            })?;
            match next {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
    }

    /// Rows whose mail the log had given up before it was folded here.
    fn drop_orphans(&self, swept: &mut Swept) -> Result<()> {
        let (positions, newest) =
            self.with_writer(|_, ledger| Ok((ledger.positions.clone(), ledger.newest.clone())))?;
        let mut ranges = Vec::new();
        for ((topic, partition), next) in positions {
            if topic == Topic::MailRaw {
                ranges.push((views::orphans_at(partition, 0), views::orphans_at(partition, next)));
            }
        }
        for (partition, time) in newest {
            let from = views::orphans_anywhere(partition);
            let to = [&from[..], &views::ids_from(time.saturating_sub(ORPHAN_MS))].concat();
            ranges.push((from, to));
        }
        for (from, to) in ranges {
            self.walk(from, to, swept, |batch, id| {
                batch.edit.remove(id)?;
                Ok(Next::Go)
            })?;
        }
        Ok(())
    }

    fn report(&self, swept: Swept) -> Result<()> {
        counter!(telemetry::SWEPT_MESSAGES).increment(swept.messages_removed);
        counter!(telemetry::COPIED_MESSAGES).increment(swept.messages_copied_out);
        let volume = self.with_writer(|_, ledger| Ok(ledger.volume))?;
        gauge!(telemetry::MESSAGES).set(volume.totals.messages as f64);
        gauge!(telemetry::MESSAGE_BYTES).set(volume.size_bytes as f64);
        Ok(())
    }

    /// While tables are being built, nothing is swept: both generations share the copied bytes.
    fn discard_abandoned(&self) -> Result<()> {
        let mut building = self.building.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match building.as_ref() {
            None => Ok(()),
            Some(underway) if underway.is_held() => {
                Err(StoreError::Unavailable("a rebuild is under way; sweep after it".to_owned()))
            }
            Some(_) => {
                *building = None;
                super::rebuild::drop_all_but(&self.shared, self.current.load().generation)
            }
        }
    }
}

/// What a visit wants next.
enum Next {
    Go,
    /// Enough for one batch.
    Commit,
    /// This message was left alone, and so are all behind it.
    Stop,
}

struct Batch<'a> {
    tables: &'a Tables,
    edit: Edit<'a>,
    swept: Swept,
    /// What the store holds when this batch is committed.
    size_bytes: u64,
    copies: Vec<(MessageId, Vec<u8>)>,
    copied_bytes: u64,
}

impl<'a> Batch<'a> {
    fn new(tables: &'a Tables, ledger: &Ledger) -> Self {
        let size_bytes = ledger.volume.size_bytes;
        let edit = Edit::new(tables);
        Self { tables, edit, swept: Swept::default(), size_bytes, copies: Vec::new(), copied_bytes: 0 }
    }

    /// The copies are written before the rows that say so; both are durable when the sweep ends.
    fn commit(self, ledger: &mut Ledger, swept: &mut Swept) -> Result<()> {
        for (id, bytes) in self.copies {
            self.tables.shared.bytes.insert(id.as_str(), bytes).map_err(failed)?;
        }
        self.edit.commit(ledger, &[])?;
        swept.messages_removed += self.swept.messages_removed;
        swept.messages_copied_out += self.swept.messages_copied_out;
        Ok(())
    }

    fn remove_unstarred(&mut self, id: &MessageId) -> Result<Next> {
        let row = self.edit.row(id)?;
        let unstarred = row.shown().map(|place| place.index).filter(|index| row.starred_by(*index).is_none());
        let unstarred: Vec<u32> = unstarred.collect();
        self.remove_entries(id, &unstarred)
    }

    /// What is left of a message without entries is the place of its bytes, as long as the log has them.
    fn remove_entries(&mut self, id: &MessageId, indexes: &[u32]) -> Result<Next> {
        let row = self.edit.row(id)?;
        let size_bytes = row.size_bytes();
        let was_shown = row.shown().next().is_some();
        for index in indexes {
            row.sweep(*index);
        }
        let (is_gone, copied) = (row.gone, row.copied);
        if row.shown().next().is_none() && was_shown {
            self.size_bytes = self.size_bytes.saturating_sub(size_bytes);
        }
        if is_gone && !indexes.is_empty() {
            self.swept.messages_removed += 1;
            if copied {
                self.edit.remove(id)?;
            } else {
                self.edit.remove_bytes(id)?;
            }
        }
        Ok(Next::Go)
    }

    /// The log is about to give up this message's bytes.
    fn leave_log(&mut self, id: &MessageId) -> Result<Next> {
        let row = self.edit.row(id)?;
        let stays = !row.gone && (!row.is_complete() || row.shown().next().is_some());
        if !stays {
            self.edit.remove(id)?;
            return Ok(Next::Go);
        }
        row.copied = true;
        let RawBytes::OnLog(log) = &self.tables.shared.raw else {
            self.swept.messages_copied_out += 1;
            return Ok(Next::Go);
        };
        let Some(place) = row.raw_place() else { return Ok(Next::Go) };
        let Some(raw) = log.read(place)? else {
            let (partition, offset) = (place.partition, place.offset);
            tracing::error!(message.id = %id, partition, offset, "the log has given up bytes that were still needed");
            return Ok(Next::Go);
        };
        self.copied_bytes += raw.content.len() as u64;
        self.copies.push((id.clone(), raw.content));
        self.swept.messages_copied_out += 1;
        Ok(if self.copied_bytes < BATCH_BYTES { Next::Go } else { Next::Commit })
    }
}
