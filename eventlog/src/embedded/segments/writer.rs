//! The one thread that writes `mail.raw`: it takes every append that waits, writes them, syncs each touched file once,
//! lets readers have them, and answers. Meanwhile the next group gathers.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use schemas::record::{Offset, Partition};
use schemas::{NewRecord, Position, Topic};
use tokio::sync::oneshot;

use super::active::Active;
use super::{Lane, Segments};
use crate::embedded::queue::Waiting;
use crate::embedded::{body, now_ms};
use crate::{LogError, Result, metric};

/// Records that are to be appended together, each with its partition.
pub(super) struct Append {
    pub records: Vec<(Partition, NewRecord)>,
    pub answer: oneshot::Sender<Result<Vec<Position>>>,
}

/// What the thread alone knows of a partition.
pub(super) struct Writing {
    pub active: Active,
    pub next: Offset,
    pub last_ms: i64,
}

pub(super) struct Writer {
    pub segments: Arc<Segments>,
    pub partitions: Vec<Writing>,
}

/// Why a group was not written.
enum Refusal {
    Full(String),
    Failed(String),
}

impl Refusal {
    fn from_write(what: &str, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(format!("{what}: {error}")),
            _ => Self::Failed(format!("{what}: {error}")),
        }
    }
}

impl Writer {
    /// Until the queue is closed and empty; then the segments are sealed, so that the next start is fast.
    pub fn run(mut self) {
        while let Some(group) = self.segments.queue.take_all() {
            self.handle(group);
        }
        if self.segments.fault.has_failed() {
            return;
        }
        for writing in self.partitions.iter().filter(|writing| !writing.active.is_empty()) {
            if let Err(error) = writing.active.segment.seal() {
                tracing::warn!(path = %writing.active.segment.path().display(), %error, "a segment can't be sealed");
            }
        }
    }

    fn handle(&mut self, group: Vec<Waiting<Append>>) {
        let written = match self.segments.fault.check() {
            Ok(()) => self.write_and_sync(&group),
            Err(error) => Err(error),
        };
        match written {
            Ok(positions) => {
                for (waiting, positions) in group.into_iter().zip(positions) {
                    let _ = waiting.item.answer.send(Ok(positions));
                }
            }
            Err(error) => {
                for waiting in group {
                    let _ = waiting.item.answer.send(Err(again(&error)));
                }
            }
        }
    }

    fn write_and_sync(&mut self, group: &[Waiting<Append>]) -> Result<Vec<Vec<Position>>> {
        let mut by_partition: HashMap<Partition, u64> = HashMap::new();
        for (partition, record) in group.iter().flat_map(|waiting| &waiting.item.records) {
            *by_partition.entry(*partition).or_default() += body::size_bytes(record) as u64;
        }
        self.segments.space.for_mail(by_partition.values().sum())?;
        let refusal = match self.write(group, &by_partition) {
            Ok(positions) => match self.sync() {
                Ok(()) => {
                    self.publish(group);
                    return Ok(positions);
                }
                Err(refusal) => refusal,
            },
            Err(refusal) => refusal,
        };
        Err(self.give_up(refusal))
    }

    /// Writes the group; nothing of it counts before it is synced and published.
    fn write(
        &mut self,
        group: &[Waiting<Append>],
        by_partition: &HashMap<Partition, u64>,
    ) -> std::result::Result<Vec<Vec<Position>>, Refusal> {
        for (&partition, &size_bytes) in by_partition {
            self.roll_if_due(partition, size_bytes)?;
        }
        let now = now_ms();
        let mut next: HashMap<Partition, Offset> = HashMap::new();
        let mut answers = Vec::with_capacity(group.len());
        for waiting in group {
            let mut positions = Vec::with_capacity(waiting.item.records.len());
            for (partition, record) in &waiting.item.records {
                let writing = self.writing(*partition)?;
                let offset = next.entry(*partition).or_insert(writing.next);
                let written = writing.active.write(record, *offset, now.max(writing.last_ms));
                written.map_err(|error| Refusal::from_write("a write failed", &error))?;
                positions.push(Position::new(Topic::MailRaw, *partition, *offset));
                *offset += 1;
            }
            answers.push(positions);
        }
        for writing in &mut self.partitions {
            writing.active.flush().map_err(|error| Refusal::from_write("a write failed", &error))?;
        }
        Ok(answers)
    }

    fn writing(&mut self, partition: Partition) -> std::result::Result<&mut Writing, Refusal> {
        let found = usize::try_from(partition).ok().and_then(|index| self.partitions.get_mut(index));
        found.ok_or_else(|| Refusal::Failed(format!("there is no partition {partition}")))
    }

    /// A sync that fails is never tried again: the kernel may have dropped what it could not write.
    fn sync(&self) -> std::result::Result<(), Refusal> {
        let started = Instant::now();
        let touched: Vec<&Active> =
            self.partitions.iter().map(|writing| &writing.active).filter(|active| active.is_touched()).collect();
        let synced = match touched.as_slice() {
            [one] => one.sync(),
            many => std::thread::scope(|scope| {
                let syncs: Vec<_> = many.iter().map(|active| scope.spawn(|| active.sync())).collect();
                let ended =
                    syncs.into_iter().map(|sync| sync.join().unwrap_or_else(|_| Err(io::Error::other("panic"))));
                // Every one is waited for, whatever the others say.
                ended.collect::<Vec<_>>().into_iter().collect()
            }),
        };
        metrics::histogram!(metric::SYNC_SECONDS, "part" => "segments").record(started.elapsed());
        synced.map_err(|error| Refusal::Failed(format!("a sync failed: {error}")))
    }

    fn publish(&mut self, group: &[Waiting<Append>]) {
        let now = now_ms();
        for (writing, lane) in self.partitions.iter_mut().zip(&self.segments.lanes) {
            if writing.active.is_touched() {
                writing.active.publish();
                writing.next = writing.active.segment.end();
                writing.last_ms = writing.active.segment.times().map_or(now, |(_, last_ms)| last_ms);
                lane.set_end(writing.next);
            }
        }
        self.segments.changed.send_replace(());
        let records = group.iter().map(|waiting| waiting.item.records.len() as u64).sum();
        let all = group.iter().flat_map(|waiting| &waiting.item.records);
        let size_bytes = all.map(|(_, record)| body::size_bytes(record) as u64).sum();
        metrics::histogram!(metric::GROUP_APPENDS, "part" => "segments").record(group.len() as f64);
        metrics::counter!(metric::APPENDED_RECORDS, "topic" => Topic::MailRaw.name()).increment(records);
        metrics::counter!(metric::APPENDED_BYTES, "topic" => Topic::MailRaw.name()).increment(size_bytes);
    }

    /// Cuts the files back, and closes the engine unless it is only full.
    fn give_up(&mut self, refusal: Refusal) -> LogError {
        let mut cut = Ok(());
        for writing in &mut self.partitions {
            cut = writing.active.cut_back().and(cut);
        }
        match (refusal, cut) {
            (Refusal::Full(text), Ok(())) => LogError::Full(text),
            (Refusal::Full(text), Err(error)) => self.fail(format!("{text}; and it can't be cut back: {error}")),
            (Refusal::Failed(text), _) => self.fail(text),
        }
    }

    fn fail(&self, cause: String) -> LogError {
        self.segments.fault.fail(cause);
        self.segments.fault.error()
    }

    /// Begins a new segment when the old one would grow over its size, or is over its age.
    fn roll_if_due(&mut self, partition: Partition, size_bytes: u64) -> std::result::Result<(), Refusal> {
        let settings = self.segments.roll;
        let writing = self.writing(partition)?;
        let too_large = writing.active.size_bytes() + size_bytes > settings.segment_bytes;
        let times = writing.active.segment.times();
        let too_old = times.is_some_and(|(first_ms, _)| now_ms().saturating_sub(first_ms) > settings.segment_age_ms);
        if writing.active.is_empty() || !(too_large || too_old) {
            return Ok(());
        }
        let base = writing.next;
        let segments = Arc::clone(&self.segments);
        let Some(lane) = segments.lane(partition) else { return Ok(()) };
        let fresh = Active::create(&lane.folder, partition, base);
        let fresh = fresh.map_err(|error| Refusal::from_write("a segment can't be made", &error))?;
        let writing = self.writing(partition)?;
        lane.push(Arc::clone(&fresh.segment));
        let old = std::mem::replace(&mut writing.active, fresh);
        if let Err(error) = old.segment.seal() {
            tracing::warn!(path = %old.segment.path().display(), %error, "the index of a segment can't be written");
        }
        Ok(())
    }
}

/// The same error for another append of the group.
fn again(error: &LogError) -> LogError {
    match error {
        LogError::Full(text) => LogError::Full(text.clone()),
        LogError::Unavailable(text) => LogError::Unavailable(text.clone()),
        other => LogError::Unavailable(other.to_string()),
    }
}

impl Lane {
    fn set_end(&self, end: Offset) {
        self.view_mut().end = end;
    }

    fn push(&self, segment: Arc<super::segment::Segment>) {
        self.view_mut().segments.push(segment);
    }
}
