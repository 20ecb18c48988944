//! What a partition of `mail.raw` holds when the log is opened: sealed segments say so themselves, the others are read
//! through, their torn ends are cut off, and what is left is synced before anybody reads it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use schemas::record::{Offset, Partition};

use super::frame::{SEGMENT_HEADER_BYTES, SegmentHeader};
use super::segment::Segment;
use super::{index, scan};
use crate::{LogError, Result};

/// A partition as it was found.
#[derive(Debug)]
pub(super) struct Recovered {
    /// In order; none is empty.
    pub segments: Vec<Segment>,
    /// The next offset.
    pub end: Offset,
    pub last_ms: i64,
}

/// Reads the folder of a partition, and makes it where there is none.
pub(super) fn recover(folder: &Path, partition: Partition) -> Result<Recovered> {
    let fault = |error: io::Error| LogError::Unavailable(format!("{} can't be read: {error}", folder.display()));
    make_folder(folder).map_err(fault)?;
    let files = segment_files(folder).map_err(fault)?;
    let last_base = files.last().map_or(0, |(base, _)| *base);
    let mut segments = Vec::new();
    let behind = files.iter().skip(1).map(|(base, _)| Some(*base)).chain([None]).collect::<Vec<_>>();
    for ((base, path), behind) in files.into_iter().zip(behind) {
        if let Some(segment) = open_segment(&path, base, partition, behind)? {
            segments.push(segment);
        }
    }
    let end = segments.last().map_or(last_base, |segment| segment.end().max(last_base));
    let last_ms = segments.iter().rev().find_map(Segment::times).map_or(0, |(_, last_ms)| last_ms);
    Ok(Recovered { segments, end, last_ms })
}

/// The segment at this path; `None` when it holds nothing. `behind` is where the next one begins.
fn open_segment(path: &Path, base: Offset, partition: Partition, behind: Option<Offset>) -> Result<Option<Segment>> {
    let fault = |error: io::Error| LogError::Unavailable(format!("{} can't be read: {error}", path.display()));
    let index_path = path.with_extension("idx");
    if let Some((header, end_bytes)) = index::read_header(&index_path).map_err(fault)?
        && header.base == base
    {
        return Ok(Some(Segment::sealed(path.to_owned(), partition, header, end_bytes)));
    }
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(fault)?;
    let length = file.metadata().map_err(fault)?.len();
    let Some(header) = read_header(&file, length).map_err(fault)?.filter(|header| header.base == base) else {
        // The header is synced before the first record is written.
        if behind.is_none() && length <= SEGMENT_HEADER_BYTES as u64 {
            return Ok(None);
        }
        let text = format!("the header of {} is not what was written: the log does not start", path.display());
        return Err(LogError::Damaged(text));
    };
    let mut scanned = scan::scan(&file, header, length).map_err(fault)?;
    if let Some(behind) = behind {
        scanned.keep_damaged_end(base, behind, length);
    }
    let end_bytes = u64::from(scanned.places.last().copied().unwrap_or(0));
    if end_bytes < length {
        tracing::warn!(path = %path.display(), cut_bytes = length - end_bytes, "the torn end of a segment is cut off");
        file.set_len(end_bytes).map_err(fault)?;
    }
    for offset in &scanned.damaged {
        tracing::error!(topic = "mail.raw", partition, offset, "a record is not what was written");
    }
    // A kill leaves what was written in the kernel's hands only: it may be read once the disk has it.
    file.sync_all().map_err(fault)?;
    let segment = Segment::scanned(path.to_owned(), partition, header, scanned);
    if segment.end() == base {
        return Ok(None);
    }
    if let Err(error) = segment.seal() {
        tracing::warn!(path = %path.display(), %error, "the index of a segment can't be written");
    }
    Ok(Some(segment))
}

fn read_header(file: &File, length: u64) -> io::Result<Option<SegmentHeader>> {
    if length < SEGMENT_HEADER_BYTES as u64 {
        return Ok(None);
    }
    let mut bytes = [0; SEGMENT_HEADER_BYTES];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(SegmentHeader::decode(&bytes))
}

fn segment_files(folder: &Path) -> io::Result<Vec<(Offset, PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.ends_with(".new") {
            std::fs::remove_file(&path)?;
        } else if let Some(Ok(base)) = name.strip_suffix(".seg").map(str::parse::<Offset>) {
            files.push((base, path));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Makes the folder and those above it, each known to the one above it when this returns.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(folder)?;
    for above in folder.ancestors().skip(1).take(3).filter(|above| !above.as_os_str().is_empty()) {
        sync_folder(above)?;
    }
    Ok(())
}

pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
