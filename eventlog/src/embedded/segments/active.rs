//! The segment that grows: the end of it that the writer holds.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemas::NewRecord;
use schemas::record::{Offset, Partition};

use super::frame::{FRAME_HEADER_BYTES, FrameHeader, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::recover::sync_folder;
use super::scan::Scanned;
use super::segment::{Segment, file_name};
use crate::embedded::body;

/// What is gathered before it is written; larger values are written from where they lie.
const BUFFER_BYTES: usize = 256 << 10;

/// The segment that grows in one partition.
#[derive(Debug)]
pub(super) struct Active {
    pub segment: Arc<Segment>,
    file: File,
    /// What is synced. Everything behind it belongs to the group that is being written.
    synced_bytes: u32,
    draft: Draft,
}

/// The group that is being written.
#[derive(Debug, Default)]
struct Draft {
    ends: Vec<u32>,
    first_ms: i64,
    last_ms: i64,
    buffer: Vec<u8>,
    /// Where the buffer will be written.
    buffer_at: u64,
}

impl Active {
    /// Makes a segment that begins with this offset. What had the name before held nothing.
    pub fn create(folder: &Path, partition: Partition, base: Offset) -> io::Result<Self> {
        let path = folder.join(file_name(base));
        Self::write_new(folder, path.clone(), partition, base).inspect_err(|_| {
            let _ = std::fs::remove_file(path);
        })
    }

    fn write_new(folder: &Path, path: PathBuf, partition: Partition, base: Offset) -> io::Result<Self> {
        let header = SegmentHeader { base, salt: rand::random() };
        // An index of that name would speak of another segment.
        match std::fs::remove_file(path.with_extension("idx")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        file.write_all_at(&header.encode(), 0)?;
        file.sync_all()?;
        sync_folder(folder)?;
        let synced_bytes = u32::try_from(SEGMENT_HEADER_BYTES).unwrap_or(u32::MAX);
        let scanned = Scanned { places: vec![synced_bytes], ..Scanned::default() };
        let segment = Arc::new(Segment::scanned(path, partition, header, scanned));
        Ok(Self {
            segment,
            file,
            synced_bytes,
            draft: Draft { buffer_at: u64::from(synced_bytes), ..Draft::default() },
        })
    }

    pub fn size_bytes(&self) -> u64 {
        u64::from(self.synced_bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.synced_bytes as usize == SEGMENT_HEADER_BYTES
    }

    /// Whether a group is being written.
    pub fn is_touched(&self) -> bool {
        !self.draft.ends.is_empty() || self.draft.buffer_at != u64::from(self.synced_bytes)
    }

    /// Writes a record behind the others of its group, perhaps into the buffer.
    pub fn write(&mut self, record: &NewRecord, offset: Offset, timestamp_ms: i64) -> io::Result<()> {
        let mut head = Vec::with_capacity(128);
        body::write_head(record, timestamp_ms, &mut head);
        let value: &[u8] = record.value.as_deref().unwrap_or_default();
        let too_long = || io::Error::other("a frame is too long");
        let frame = FrameHeader::new(self.segment.header.salt, self.synced_bytes, offset, [&head, value]);
        let frame = frame.ok_or_else(too_long)?;
        let begin = self.draft.buffer_at + self.draft.buffer.len() as u64;
        let end = u32::try_from(begin + frame.frame_bytes()).map_err(|_| too_long())?;
        self.draft.buffer.reserve(FRAME_HEADER_BYTES + head.len());
        self.draft.buffer.extend_from_slice(&frame.encode());
        self.draft.buffer.extend_from_slice(&head);
        if value.len() < BUFFER_BYTES {
            self.draft.buffer.extend_from_slice(value);
        } else {
            self.flush()?;
            self.write_through(value)?;
        }
        if self.draft.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        if self.draft.ends.is_empty() {
            self.draft.first_ms = timestamp_ms;
        }
        self.draft.last_ms = timestamp_ms;
        self.draft.ends.push(end);
        Ok(())
    }

    /// Writes what is in the buffer.
    pub fn flush(&mut self) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.draft.buffer);
        let written = self.write_through(&buffer);
        buffer.clear();
        self.draft.buffer = buffer;
        written
    }

    fn write_through(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.draft.buffer_at)?;
        #[cfg(test)]
        fail_on_cue(self.segment.path(), "write", io::ErrorKind::StorageFull)?;
        self.draft.buffer_at += bytes.len() as u64;
        Ok(())
    }

    pub fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        fail_on_cue(self.segment.path(), "sync", io::ErrorKind::Other)?;
        self.file.sync_all()
    }

    /// The group is synced: readers may have it.
    pub fn publish(&mut self) {
        if let Some(&end) = self.draft.ends.last() {
            self.segment.grow(&self.draft.ends, self.draft.first_ms, self.draft.last_ms);
            self.synced_bytes = end;
        }
        self.clear_draft();
    }

    /// The group is given up: the file is what it was before it.
    pub fn cut_back(&mut self) -> io::Result<()> {
        self.clear_draft();
        self.file.set_len(u64::from(self.synced_bytes))
    }

    fn clear_draft(&mut self) {
        self.draft.ends.clear();
        self.draft.buffer.clear();
        self.draft.buffer.shrink_to(2 * BUFFER_BYTES);
        self.draft.buffer_at = u64::from(self.synced_bytes);
    }
}

/// For tests: the call fails, after it has done its work, while a file of its name lies beside the segment.
#[cfg(test)]
fn fail_on_cue(segment: &Path, call: &str, kind: io::ErrorKind) -> io::Result<()> {
    let cue = segment.with_file_name(format!("fail-{call}"));
    if cue.exists() { Err(io::Error::new(kind, format!("{call} fails on cue"))) } else { Ok(()) }
}
