//! One segment file as its readers see it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use schemas::record::{Offset, Partition};
use schemas::{Position, Record, Topic};

use super::frame::{FRAME_HEADER_BYTES, FrameHeader, SegmentHeader};
use super::index::{self, IndexHeader};
use super::scan::{self, Scanned};
use crate::embedded::body;
use crate::{LogError, Result};

/// A segment. Only its last one grows, and only the writer makes it grow.
#[derive(Debug)]
pub(super) struct Segment {
    pub header: SegmentHeader,
    partition: Partition,
    path: PathBuf,
    extent: RwLock<Extent>,
}

#[derive(Debug)]
struct Extent {
    places: Places,
    records: u64,
    /// Where the last frame ends.
    end_bytes: u32,
    first_ms: i64,
    last_ms: i64,
}

/// Where each frame begins, and where the last one ends.
#[derive(Debug)]
enum Places {
    Memory(Vec<u32>),
    /// In the index beside the segment.
    File,
}

/// What a reader may ask of a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub from: Offset,
    /// Not to be read.
    pub end: Offset,
    pub records: usize,
    pub bytes: usize,
}

pub(super) fn file_name(base: Offset) -> String {
    format!("{base:020}.seg")
}

impl Segment {
    /// A segment that was read through, or that begins.
    pub fn scanned(path: PathBuf, partition: Partition, header: SegmentHeader, scanned: Scanned) -> Self {
        let extent = Extent {
            records: (scanned.places.len() as u64).saturating_sub(1),
            end_bytes: scanned.places.last().copied().unwrap_or(0),
            places: Places::Memory(scanned.places),
            first_ms: scanned.first_ms,
            last_ms: scanned.last_ms,
        };
        Self { header, partition, path, extent: RwLock::new(extent) }
    }

    /// A segment whose index says everything.
    pub fn sealed(path: PathBuf, partition: Partition, index: IndexHeader, end_bytes: u32) -> Self {
        let extent = Extent {
            places: Places::File,
            records: index.records,
            end_bytes,
            first_ms: index.first_ms,
            last_ms: index.last_ms,
        };
        let header = SegmentHeader { base: index.base, salt: index.salt };
        Self { header, partition, path, extent: RwLock::new(extent) }
    }

    pub fn base(&self) -> Offset {
        self.header.base
    }

    /// The offset behind its last record.
    pub fn end(&self) -> Offset {
        self.base() + self.look(|extent| extent.records)
    }

    pub fn size_bytes(&self) -> u64 {
        self.look(|extent| u64::from(extent.end_bytes))
    }

    /// The times of its first and last record; `None` when it has none.
    pub fn times(&self) -> Option<(i64, i64)> {
        self.look(|extent| (extent.records > 0).then_some((extent.first_ms, extent.last_ms)))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn index_path(&self) -> PathBuf {
        self.path.with_extension("idx")
    }

    /// Frames that were written and synced behind the others: where each ends, and the times of the first and last.
    pub fn grow(&self, ends: &[u32], first_ms: i64, last_ms: i64) {
        let mut extent = self.extent.write().unwrap_or_else(PoisonError::into_inner);
        if extent.records == 0 {
            extent.first_ms = first_ms;
        }
        extent.last_ms = last_ms;
        extent.records += ends.len() as u64;
        extent.end_bytes = ends.last().copied().unwrap_or(extent.end_bytes);
        if let Places::Memory(places) = &mut extent.places {
            places.extend_from_slice(ends);
        }
    }

    /// Writes the index, and forgets the places: the segment does not grow any more.
    pub fn seal(&self) -> io::Result<()> {
        let (index, places) = {
            let extent = self.extent.read().unwrap_or_else(PoisonError::into_inner);
            let Places::Memory(places) = &extent.places else { return Ok(()) };
            (self.index_header(&extent), places.clone())
        };
        index::write(&self.index_path(), index, &places)?;
        self.extent.write().unwrap_or_else(PoisonError::into_inner).places = Places::File;
        Ok(())
    }

    /// The records from `from` on, as far as they are good. A bad first one is an error that says so.
    pub fn read(&self, wanted: Wanted) -> Result<Vec<Record>> {
        match self.try_read(wanted) {
            Err(LogError::BadRecord { cause, .. }) if self.index_is_broken() => {
                tracing::warn!(path = %self.path.display(), cause, "the index of a segment is damaged, and made again");
                self.index_again().map_err(|error| self.fault(&error))?;
                self.try_read(wanted)
            }
            read => read,
        }
    }

    /// The time of a record; damage reads as `None`.
    pub fn time_of(&self, offset: Offset) -> Result<Option<i64>> {
        let number = offset.saturating_sub(self.base());
        let places = self.places(number, 1)?;
        let Some(&start) = places.first() else { return Ok(None) };
        let file = File::open(&self.path).map_err(|error| self.fault(&error))?;
        let mut bytes = [0; FRAME_HEADER_BYTES + body::TIMESTAMP_BYTES];
        if file.read_exact_at(&mut bytes, u64::from(start)).is_err() {
            return Ok(None);
        }
        let header = FrameHeader::decode(&bytes).filter(|header| header.offset == offset);
        Ok(header.and(bytes.get(FRAME_HEADER_BYTES..)).and_then(body::timestamp_ms))
    }

    fn try_read(&self, wanted: Wanted) -> Result<Vec<Record>> {
        let number = wanted.from.saturating_sub(self.base());
        let there = wanted.end.min(self.end()).saturating_sub(wanted.from);
        let count = usize::try_from(there).unwrap_or(usize::MAX).min(wanted.records.max(1));
        if count == 0 {
            return Ok(Vec::new());
        }
        let places = self.places(number, count)?;
        let chunk = self.read_chunk(&places, wanted)?;
        let start = places.first().copied().unwrap_or(0);
        let mut records = Vec::new();
        for (offset, place) in (wanted.from..).zip(places.windows(2)) {
            let (&[begin, end], records_so_far) = (place, records.len()) else { break };
            let bytes = slice(&chunk, begin.wrapping_sub(start), end.wrapping_sub(start));
            match bytes.and_then(|bytes| self.parse(offset, &bytes)) {
                Some(record) => records.push(record),
                None if records_so_far > 0 => break,
                None => return Err(self.damaged(offset, begin, end)),
            }
        }
        Ok(records)
    }

    /// The bytes of as many frames as fit the limit, at least of one.
    fn read_chunk(&self, places: &[u32], wanted: Wanted) -> Result<Bytes> {
        let (Some(&start), Some(&first_end)) = (places.first(), places.get(1)) else { return Ok(Bytes::new()) };
        let limit = u32::try_from(wanted.bytes).unwrap_or(u32::MAX).saturating_add(start).max(first_end);
        let end = places.iter().copied().take_while(|&end| end <= limit).last().unwrap_or(first_end).max(first_end);
        let length = end.checked_sub(start).ok_or_else(|| self.damaged(wanted.from, start, end))?;
        if end > self.look(|extent| extent.end_bytes) {
            return Err(self.damaged(wanted.from, start, end));
        }
        let file = File::open(&self.path).map_err(|error| self.fault(&error))?;
        let mut bytes = vec![0; length as usize];
        let mut read = 0;
        // A file that was cut loses the records behind the cut, and no others.
        while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, u64::from(start) + read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.fault(&error)),
            }
        }
        bytes.truncate(read);
        Ok(Bytes::from(bytes))
    }

    fn parse(&self, offset: Offset, bytes: &Bytes) -> Option<Record> {
        let header = FrameHeader::decode(bytes).filter(|header| header.offset == offset)?;
        // What stands between a frame and the next one, after damage, belongs to neither.
        let frame_bytes = usize::try_from(header.frame_bytes()).ok()?;
        let body = slice(bytes, u32::try_from(FRAME_HEADER_BYTES).ok()?, u32::try_from(frame_bytes).ok()?)?;
        if !header.is_of(self.header.salt, &body) {
            return None;
        }
        body::decode(Position::new(Topic::MailRaw, self.partition, offset), body)
    }

    /// `count` + 1 places from the record with this number on.
    fn places(&self, number: u64, count: usize) -> Result<Vec<u32>> {
        let in_memory = self.look(|extent| match &extent.places {
            Places::File => None,
            Places::Memory(places) => {
                let first = usize::try_from(number).unwrap_or(usize::MAX);
                Some(places.iter().skip(first).take(count.saturating_add(1)).copied().collect())
            }
        });
        match in_memory {
            Some(places) => Ok(places),
            None => index::read_places(&self.index_path(), number, count.saturating_add(1))
                .map_err(|error| self.fault(&error)),
        }
    }

    fn index_is_broken(&self) -> bool {
        self.look(|extent| matches!(extent.places, Places::File))
            && !index::is_sound(&self.index_path()).unwrap_or(false)
    }

    fn index_again(&self) -> io::Result<()> {
        let file = File::open(&self.path)?;
        let scanned = scan::scan(&file, self.header, file.metadata()?.len())?;
        {
            let mut extent = self.extent.write().unwrap_or_else(PoisonError::into_inner);
            if scanned.places.len() as u64 != extent.records + 1 {
                return Err(io::Error::other("the segment does not hold what its index says"));
            }
            extent.places = Places::Memory(scanned.places);
        }
        self.seal()
    }

    fn index_header(&self, extent: &Extent) -> IndexHeader {
        IndexHeader {
            base: self.header.base,
            salt: self.header.salt,
            records: extent.records,
            first_ms: extent.first_ms,
            last_ms: extent.last_ms,
            places_crc: 0,
        }
    }

    fn look<R>(&self, look: impl FnOnce(&Extent) -> R) -> R {
        look(&self.extent.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn damaged(&self, offset: Offset, begin: u32, end: u32) -> LogError {
        let cause = format!("bytes {begin} to {end} of {} are not what was written", self.path.display());
        LogError::BadRecord { position: Position::new(Topic::MailRaw, self.partition, offset), cause }
    }

    fn fault(&self, error: &io::Error) -> LogError {
        LogError::Unavailable(format!("{} can't be read: {error}", self.path.display()))
    }
}

fn slice(bytes: &Bytes, begin: u32, end: u32) -> Option<Bytes> {
    let (begin, end) = (begin as usize, end as usize);
    (begin <= end && end <= bytes.len()).then(|| bytes.slice(begin..end))
}
