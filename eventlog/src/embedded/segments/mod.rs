//! `mail.raw` in segment files of our own: bytes are written once, one sync is shared by all that wait, retention
//! unlinks files. See [`frame`] for what stands in a file.

mod active;
mod frame;
mod index;
mod recover;
mod retention;
mod scan;
mod segment;
#[cfg(test)]
mod tests;
mod whole;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;

use schemas::record::{Offset, Partition};
use schemas::{NewRecord, Position, Record, Topic};
use tokio::sync::{oneshot, watch};

use super::body;
use super::fault::Fault;
use super::queue::Queue;
use super::settings::EmbeddedSettings;
use super::space::Space;
use crate::{Bounds, LogError, Result};
use active::Active;
use segment::{Segment, Wanted};
pub(super) use whole::Known;
use writer::{Append, Writer, Writing};

/// All of `mail.raw`, as appenders and readers share it.
pub(super) struct Segments {
    lanes: Vec<Lane>,
    queue: Queue<Append>,
    /// Told after each group.
    pub changed: watch::Sender<()>,
    fault: Arc<Fault>,
    space: Arc<Space>,
    roll: Roll,
}

#[derive(Clone, Copy)]
struct Roll {
    segment_bytes: u64,
    segment_age_ms: i64,
}

/// One partition.
struct Lane {
    partition: Partition,
    folder: PathBuf,
    view: RwLock<View>,
}

struct View {
    /// In order of offset; the last one grows.
    segments: Vec<Arc<Segment>>,
    earliest: Offset,
    /// What is before it is synced and may be read.
    end: Offset,
}

impl Segments {
    /// Recovers every partition and starts the thread that writes.
    pub fn open(
        folder: &Path,
        settings: &EmbeddedSettings,
        known: impl Fn(Partition) -> Result<Known>,
        fault: Arc<Fault>,
        space: Arc<Space>,
    ) -> Result<(Arc<Self>, JoinHandle<()>)> {
        let mut lanes = Vec::new();
        let mut partitions = Vec::new();
        for partition in 0..settings.partitions {
            let (lane, writing) = open_lane(&folder.join(partition.to_string()), partition, &known(partition)?)?;
            lanes.push(lane);
            partitions.push(writing);
        }
        let segment_age_ms = i64::try_from(settings.segment_age.as_millis()).unwrap_or(i64::MAX);
        let segments = Arc::new(Self {
            lanes,
            queue: Queue::new(settings.queue_appends, settings.queue_bytes, settings.append_wait),
            changed: watch::Sender::new(()),
            fault,
            space,
            roll: Roll { segment_bytes: settings.segment_bytes, segment_age_ms },
        });
        let writer = Writer { segments: Arc::clone(&segments), partitions };
        let thread = std::thread::Builder::new().name("log-segments".into()).spawn(move || writer.run());
        let thread = thread.map_err(|error| LogError::Unavailable(format!("its thread can't be started: {error}")))?;
        Ok((segments, thread))
    }

    /// Appends the records, and answers once they are synced and readable.
    pub async fn append(&self, records: Vec<(Partition, NewRecord)>) -> Result<Vec<Position>> {
        let size_bytes = records.iter().map(|(_, record)| body::size_bytes(record)).sum();
        let (answer, answered) = oneshot::channel();
        self.queue.put(Append { records, answer }, size_bytes).await?;
        answered.await.unwrap_or_else(|_| Err(self.fault.error()))
    }

    /// Takes nothing more in: the thread ends when it has written what waits.
    pub fn close(&self) {
        self.queue.close();
    }

    /// An error while the reserve is not free.
    pub fn room(&self) -> Result<()> {
        self.space.room()
    }

    pub fn bounds(&self) -> Vec<Bounds> {
        self.lanes.iter().map(Lane::bounds).collect()
    }

    pub fn bounds_of(&self, partition: Partition) -> Option<Bounds> {
        self.lane(partition).map(Lane::bounds)
    }

    /// Records from this place on, up to the readable end; none where there are none.
    pub fn read(&self, from: Position, records: usize, bytes: usize) -> Result<Vec<Record>> {
        match self.lane(from.partition) {
            Some(lane) => lane.read(from.offset, records, bytes),
            None => Ok(Vec::new()),
        }
    }

    /// In this partition, the first offset with this time or a later one.
    pub fn offset_at(&self, partition: Partition, timestamp_ms: i64) -> Result<Offset> {
        match self.lane(partition) {
            Some(lane) => lane.offset_at(timestamp_ms),
            None => Ok(0),
        }
    }

    fn lane(&self, partition: Partition) -> Option<&Lane> {
        self.lanes.get(usize::try_from(partition).ok()?)
    }
}

fn open_lane(folder: &Path, partition: Partition, known: &Known) -> Result<(Lane, Writing)> {
    let recovered = recover::recover(folder, partition)?;
    whole::check(folder, partition, &recovered, known)?;
    let active = Active::create(folder, partition, recovered.end);
    let active = active.map_err(|error| match error.kind() {
        std::io::ErrorKind::StorageFull => LogError::Full(error.to_string()),
        _ => LogError::Unavailable(format!("a segment can't be made in {}: {error}", folder.display())),
    })?;
    let mut segments: Vec<_> = recovered.segments.into_iter().map(Arc::new).collect();
    segments.push(Arc::clone(&active.segment));
    let first = segments.first().map_or(0, |segment| segment.base());
    let view = View { segments, earliest: known.earliest.unwrap_or(0).max(first), end: recovered.end };
    let lane = Lane { partition, folder: folder.to_owned(), view: RwLock::new(view) };
    Ok((lane, Writing { active, next: recovered.end, last_ms: recovered.last_ms }))
}

impl Lane {
    fn bounds(&self) -> Bounds {
        let view = self.view();
        Bounds { partition: self.partition, earliest: view.earliest.min(view.end), end: view.end }
    }

    fn read(&self, from: Offset, records: usize, bytes: usize) -> Result<Vec<Record>> {
        let (segment, end) = {
            let view = self.view();
            if from >= view.end || from < view.earliest {
                return Ok(Vec::new());
            }
            let Some(segment) = segment_of(&view.segments, from) else { return Ok(Vec::new()) };
            (Arc::clone(segment), view.end)
        };
        if from >= segment.end() {
            let text = format!("the record mail.raw/{}/{from} is missing: its segment is gone", self.partition);
            return Err(LogError::Damaged(text));
        }
        match segment.read(Wanted { from, end, records, bytes }) {
            // Its file may be gone because its records were given up meanwhile.
            Err(_) if from < self.view().earliest => Ok(Vec::new()),
            read => read,
        }
    }

    fn offset_at(&self, timestamp_ms: i64) -> Result<Offset> {
        let (segments, earliest, end) = {
            let view = self.view();
            (view.segments.clone(), view.earliest, view.end)
        };
        let late = |segment: &&Arc<Segment>| segment.times().is_some_and(|(_, last_ms)| last_ms >= timestamp_ms);
        let Some(segment) = segments.iter().find(late) else { return Ok(end) };
        // Times never fall within a partition, so the first late record can be searched for by halves.
        let (mut low, mut high) = (segment.base().max(earliest), segment.end().min(end));
        while low < high {
            let middle = low + (high - low) / 2;
            // What is damaged counts as early: its reader learns of it when it reads on.
            if segment.time_of(middle)?.is_some_and(|time| time >= timestamp_ms) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(low.max(earliest).min(end))
    }

    fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn view_mut(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The segment whose range this offset is in, or behind.
fn segment_of(segments: &[Arc<Segment>], offset: Offset) -> Option<&Arc<Segment>> {
    let behind = segments.partition_point(|segment| segment.base() <= offset);
    segments.get(behind.checked_sub(1)?)
}

/// The place of a record of `mail.raw`.
fn place(partition: Partition, offset: Offset) -> Position {
    Position::new(Topic::MailRaw, partition, offset)
}
