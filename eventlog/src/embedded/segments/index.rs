//! The index of a sealed segment, a file beside it: where each record stands, so that a start reads no mail and a
//! read needs no memory. It can be made again from the segment at any time.
//!
//! ```text
//! magic [8] | base u64 | salt u64 | records u64 | first time i64 | last time i64 | crc32c of the places u32 | crc32c of the header u32
//! places: records + 1 numbers of 32 bits, where each frame begins and the last one ends
//! ```

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use schemas::record::Offset;

const MAGIC: [u8; 8] = *b"PLIDX\0\0\x01";
const HEADER_BYTES: usize = 56;
const PLACE_BYTES: usize = 4;

/// What is known of a sealed segment without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IndexHeader {
    pub base: Offset,
    pub salt: u64,
    pub records: u64,
    pub first_ms: i64,
    pub last_ms: i64,
    pub places_crc: u32,
}

impl IndexHeader {
    fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.base.to_le_bytes());
        bytes.extend_from_slice(&self.salt.to_le_bytes());
        bytes.extend_from_slice(&self.records.to_le_bytes());
        bytes.extend_from_slice(&self.first_ms.to_le_bytes());
        bytes.extend_from_slice(&self.last_ms.to_le_bytes());
        bytes.extend_from_slice(&self.places_crc.to_le_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let header = Self {
            base: number(8)?,
            salt: number(16)?,
            records: number(24)?,
            first_ms: number(32)?.cast_signed(),
            last_ms: number(40)?.cast_signed(),
            places_crc: u32::from_le_bytes(*bytes.get(48..)?.first_chunk()?),
        };
        (bytes == header.encode()).then_some(header)
    }
}

/// Writes the index beside its segment: whole, synced, then under its name.
pub(super) fn write(path: &Path, header: IndexHeader, places: &[u32]) -> io::Result<()> {
    let bytes: Vec<u8> = places.iter().flat_map(|place| place.to_le_bytes()).collect();
    let header = IndexHeader { places_crc: crc32c::crc32c(&bytes), ..header };
    let draft = path.with_extension("idx.new");
    let mut file = File::create(&draft)?;
    file.write_all(&header.encode())?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// The header of the index and the end of its segment's last frame; `None` when there is no good index.
pub(super) fn read_header(path: &Path) -> io::Result<Option<(IndexHeader, u32)>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    let mut bytes = [0; HEADER_BYTES];
    if length < HEADER_BYTES as u64 {
        return Ok(None);
    }
    file.read_exact_at(&mut bytes, 0)?;
    let Some(header) = IndexHeader::decode(&bytes) else { return Ok(None) };
    let expected = header.records.saturating_add(1).saturating_mul(PLACE_BYTES as u64);
    if length - HEADER_BYTES as u64 != expected {
        return Ok(None);
    }
    let last = read_at(&file, header.records, 1)?;
    Ok(last.first().map(|&end| (header, end)))
}

/// `count` places from the record with this number within the segment.
pub(super) fn read_places(path: &Path, first: u64, count: usize) -> io::Result<Vec<u32>> {
    read_at(&File::open(path)?, first, count)
}

/// Whether the places are what was written.
pub(super) fn is_sound(path: &Path) -> io::Result<bool> {
    let bytes = std::fs::read(path)?;
    let header = bytes.get(..HEADER_BYTES).and_then(IndexHeader::decode);
    let places = bytes.get(HEADER_BYTES..).unwrap_or_default();
    Ok(header.is_some_and(|header| crc32c::crc32c(places) == header.places_crc))
}

fn read_at(file: &File, first: u64, count: usize) -> io::Result<Vec<u32>> {
    let mut bytes = vec![0; count.saturating_mul(PLACE_BYTES)];
    let start = first.saturating_mul(PLACE_BYTES as u64).saturating_add(HEADER_BYTES as u64);
    file.read_exact_at(&mut bytes, start)?;
    Ok(bytes.as_chunks::<PLACE_BYTES>().0.iter().map(|place| u32::from_le_bytes(*place)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_reads_back_and_a_damaged_one_is_no_index() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.idx");
        let header = IndexHeader { base: 4, salt: 5, records: 3, first_ms: -1, last_ms: 9, places_crc: 0 };
        write(&path, header, &[32, 60, 99, 120]).unwrap();
        let (read, end) = read_header(&path).unwrap().unwrap();
        assert_eq!((read.base, read.records, read.first_ms, end), (4, 3, -1, 120));
        assert_eq!(read_places(&path, 1, 2).unwrap(), [60, 99]);
        assert!(is_sound(&path).unwrap());
        let whole = std::fs::read(&path).unwrap();
        for index in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[index] ^= 1;
            std::fs::write(&path, &flipped).unwrap();
            assert!(read_header(&path).unwrap().is_none() || !is_sound(&path).unwrap(), "byte {index}");
            std::fs::write(&path, &whole[..index]).unwrap();
            assert_eq!(read_header(&path).unwrap(), None, "cut at {index}");
        }
    }
}
