//! What of `mail.raw` may go, and letting it go: whole segments, by unlinking their files.

use std::sync::Arc;

use schemas::Position;
use schemas::record::{Offset, Partition};

use super::recover::sync_folder;
use super::segment::Segment;
use super::{Segments, place};
use crate::{LogError, Result};

impl Segments {
    /// The positions before which everything is older than `max_age_ms`, or one of the oldest segments of more than
    /// `max_bytes`. The segment that grows stays.
    pub fn expired(&self, now_ms: i64, max_age_ms: Option<i64>, max_bytes: Option<u64>) -> Vec<Position> {
        let mut sealed: Vec<(i64, Partition, Arc<Segment>)> = Vec::new();
        let mut all_bytes = 0;
        for lane in &self.lanes {
            let segments = lane.view().segments.clone();
            all_bytes += segments.iter().map(|segment| segment.size_bytes()).sum::<u64>();
            let grown = segments.len().saturating_sub(1);
            for segment in segments.into_iter().take(grown) {
                let last_ms = segment.times().map_or(i64::MIN, |(_, last_ms)| last_ms);
                sealed.push((last_ms, lane.partition, segment));
            }
        }
        // Within a partition times never fall, so the oldest first is in order of offset there.
        sealed.sort_by_key(|(last_ms, partition, segment)| (*last_ms, *partition, segment.base()));
        let mut expired: Vec<Position> = Vec::new();
        for (last_ms, partition, segment) in sealed {
            let too_old = max_age_ms.is_some_and(|age| last_ms < now_ms.saturating_sub(age));
            let too_much = max_bytes.is_some_and(|most| all_bytes > most);
            if !too_old && !too_much {
                break;
            }
            all_bytes = all_bytes.saturating_sub(segment.size_bytes());
            expired.retain(|position| position.partition != partition);
            expired.push(place(partition, segment.end()));
        }
        expired.sort_unstable();
        expired
    }

    /// The same positions, each back to where the last whole segment before it ends; the segment that grows stays.
    pub fn whole_before(&self, before: &[Position]) -> Vec<Position> {
        let whole = before.iter().filter_map(|position| {
            let view = self.lane(position.partition)?.view();
            let sealed = view.segments.split_last().map_or(&[][..], |(_, sealed)| sealed);
            let last = sealed.iter().take_while(|segment| segment.end() <= position.offset).last()?;
            Some(place(position.partition, last.end()))
        });
        whole.collect()
    }

    /// Gives up what lies before this offset, and unlinks the segments that lie before it as a whole.
    pub fn truncate(&self, partition: Partition, before: Offset) -> Result<()> {
        let Some(lane) = self.lane(partition) else { return Ok(()) };
        let gone = {
            let mut view = lane.view_mut();
            view.earliest = view.earliest.max(before);
            let last = view.segments.len().saturating_sub(1);
            let count = view.segments.iter().take(last).take_while(|segment| segment.end() <= before).count();
            view.segments.drain(..count).collect::<Vec<_>>()
        };
        for segment in &gone {
            unlink(segment).map_err(|error| {
                LogError::Unavailable(format!("{} can't be removed: {error}", segment.path().display()))
            })?;
        }
        if !gone.is_empty() {
            sync_folder(&lane.folder).map_err(|error| LogError::Unavailable(error.to_string()))?;
        }
        Ok(())
    }
}

/// The segment first: an index without one says nothing, a segment without its index is read through.
fn unlink(segment: &Segment) -> std::io::Result<()> {
    std::fs::remove_file(segment.path())?;
    match std::fs::remove_file(segment.index_path()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
