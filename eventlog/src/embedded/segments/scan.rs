//! Reading a segment through, from its first frame on, without an index: after a kill, and when an index is damaged.
//! What can't be read is told apart: the torn end of the last group, which nobody was answered for, and damage to what
//! was synced (see [`super::frame`] for how).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use schemas::record::Offset;

use super::frame::{FRAME_HEADER_BYTES, FRAME_PREFIX_BYTES, FrameHeader, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::embedded::body;

/// The smallest frame: a body of a time, flags and a count of headers.
const SMALLEST_FRAME_BYTES: u64 = FRAME_HEADER_BYTES as u64 + 13;
/// How much is searched at once for the next good frame.
const CHUNK_BYTES: usize = 1 << 20;

/// What a segment holds.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    /// Where each frame begins, and where the last one ends: what lies behind is torn.
    pub places: Vec<u32>,
    pub first_ms: i64,
    pub last_ms: i64,
    /// Records that were synced once and can't be read any more.
    pub damaged: Vec<Offset>,
}

impl Scanned {
    /// Another segment follows, so this one was synced to its end: what is no frame there is damage, and not torn.
    pub fn keep_damaged_end(&mut self, base: Offset, behind: Offset, length: u64) {
        let end = base + (self.places.len() as u64).saturating_sub(1);
        let end_bytes = u64::from(self.places.last().copied().unwrap_or(0));
        let most = length.saturating_sub(end_bytes).div_ceil(SMALLEST_FRAME_BYTES);
        if end >= behind || behind - end > most {
            return;
        }
        for offset in end..behind {
            self.places.push(place(length));
            self.damaged.push(offset);
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Found {
    at: u64,
    header: FrameHeader,
    timestamp_ms: i64,
}

impl Found {
    fn end(&self) -> u64 {
        self.at + self.header.frame_bytes()
    }
}

/// Reads every frame of the first `length` bytes.
pub(super) fn scan(file: &File, header: SegmentHeader, length: u64) -> io::Result<Scanned> {
    let mut scan =
        Scan { file, salt: header.salt, length: length.min(u64::from(u32::MAX)), next: header.base, body: Vec::new() };
    let mut scanned = Scanned { first_ms: i64::MAX, last_ms: i64::MIN, ..Scanned::default() };
    let mut at = SEGMENT_HEADER_BYTES as u64;
    loop {
        let found = scan.frame(at)?.filter(|found| found.header.offset == scan.next);
        if let Some(found) = found {
            scanned.places.push(place(at));
            scanned.first_ms = scanned.first_ms.min(found.timestamp_ms);
            scanned.last_ms = scanned.last_ms.max(found.timestamp_ms);
            scan.next += 1;
            at = found.end();
            continue;
        }
        // Either nothing more, or something that is no frame.
        let Some(behind) = scan.proof_of_damage(at)? else { break };
        for offset in scan.next..behind.header.offset {
            let begin = if offset == scan.next { at } else { behind.at };
            scanned.places.push(place(begin));
            scanned.damaged.push(offset);
        }
        scan.next = behind.header.offset;
        at = behind.at;
    }
    scanned.places.push(place(at));
    if scanned.first_ms > scanned.last_ms {
        (scanned.first_ms, scanned.last_ms) = (0, 0);
    }
    Ok(scanned)
}

/// The length is bounded to what fits.
fn place(at: u64) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

struct Scan<'a> {
    file: &'a File,
    salt: u64,
    length: u64,
    next: Offset,
    body: Vec<u8>,
}

impl Scan<'_> {
    /// The good frame that begins here.
    fn frame(&mut self, at: u64) -> io::Result<Option<Found>> {
        if at + SMALLEST_FRAME_BYTES > self.length {
            return Ok(None);
        }
        let mut bytes = [0; FRAME_HEADER_BYTES];
        self.file.read_exact_at(&mut bytes, at)?;
        match FrameHeader::decode(&bytes).filter(|header| self.is_likely(at, *header)) {
            Some(header) => self.check(at, header),
            None => Ok(None),
        }
    }

    /// The first good frame behind what is none at `bad`, if some frame proves that `bad` was synced.
    fn proof_of_damage(&mut self, bad: u64) -> io::Result<Option<Found>> {
        let mut first = None;
        let mut at = bad + 1;
        while let Some(found) = self.next_frame(at)? {
            first = first.or(Some(found));
            if u64::from(found.header.group) > bad {
                return Ok(first);
            }
            at = found.end();
        }
        Ok(None)
    }

    /// The next good frame, wherever it begins.
    fn next_frame(&mut self, from: u64) -> io::Result<Option<Found>> {
        if let Some(found) = self.frame(from)? {
            return Ok(Some(found));
        }
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut start = from + 1;
        while start + SMALLEST_FRAME_BYTES <= self.length {
            let there = usize::try_from(self.length - start).unwrap_or(usize::MAX).min(CHUNK_BYTES);
            let bytes = chunk.get_mut(..there).unwrap_or_default();
            self.file.read_exact_at(bytes, start)?;
            for (at, window) in (start..).zip(bytes.windows(FRAME_HEADER_BYTES)) {
                let Some(header) = FrameHeader::decode(window).filter(|header| self.is_likely(at, *header)) else {
                    continue;
                };
                if let Some(found) = self.check(at, header)? {
                    return Ok(Some(found));
                }
            }
            start += (there - FRAME_HEADER_BYTES + 1) as u64;
        }
        Ok(None)
    }

    /// What costs nothing to check, and lets the checksum be computed for hardly anything that is no frame.
    fn is_likely(&self, at: u64, header: FrameHeader) -> bool {
        let frame_bytes = header.frame_bytes();
        let most = self.next + (self.length - at.min(self.length)) / SMALLEST_FRAME_BYTES;
        let most_from_here = most.saturating_add(self.length / SMALLEST_FRAME_BYTES);
        frame_bytes >= SMALLEST_FRAME_BYTES
            && at + frame_bytes <= self.length
            && u64::from(header.group) <= at
            && u64::from(header.group) >= SEGMENT_HEADER_BYTES as u64
            && (self.next..=most_from_here).contains(&header.offset)
    }

    fn check(&mut self, at: u64, header: FrameHeader) -> io::Result<Option<Found>> {
        let body_bytes = header.length as usize - (FRAME_HEADER_BYTES - FRAME_PREFIX_BYTES);
        self.body.resize(body_bytes, 0);
        self.file.read_exact_at(&mut self.body, at + FRAME_HEADER_BYTES as u64)?;
        if !header.is_of(self.salt, &self.body) {
            return Ok(None);
        }
        Ok(body::timestamp_ms(&self.body).map(|timestamp_ms| Found { at, header, timestamp_ms }))
    }
}
