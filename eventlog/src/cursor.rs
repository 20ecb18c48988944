//! A place in a topic as it is handed out, to come back with later: topic, log and one offset a partition. Opaque to
//! who holds it, and short enough for the reason of a closed websocket.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemas::record::{Offset, Partition};
use schemas::{Position, Topic};

use crate::LogId;

/// Characters of a cursor that is read at all: more than the largest number of partitions takes.
pub const MAX_CURSOR_CHARS: usize = 4096;
const VERSION: u8 = 1;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    topic: Topic,
    /// The checksum of the log's id: enough to notice a mix-up.
    log: u32,
    /// The next offset of each partition, from the first on.
    offsets: Vec<Offset>,
}

/// Why a text can't be used as a cursor here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    #[error("this is not a cursor")]
    NotOne,
    #[error("this cursor is of another log")]
    OtherLog,
    #[error("this cursor is of another topic")]
    OtherTopic,
}

impl Cursor {
    /// Where nothing is said of a partition, it is at its beginning.
    pub fn new(log: &LogId, topic: Topic, positions: &[Position]) -> Self {
        let ours = || positions.iter().filter(|position| position.topic == topic);
        let partitions = ours().map(|position| position.partition + 1).max().unwrap_or(0);
        let offset = |partition: Partition| {
            ours().find(|position| position.partition == partition).map_or(0, |position| position.offset)
        };
        Self { topic, log: checksum(log), offsets: (0..partitions).map(offset).collect() }
    }

    /// The place in every partition that it names.
    pub fn positions(&self, log: &LogId, topic: Topic) -> Result<Vec<Position>, CursorError> {
        if self.log != checksum(log) {
            return Err(CursorError::OtherLog);
        }
        if self.topic != topic {
            return Err(CursorError::OtherTopic);
        }
        Ok((0..).zip(&self.offsets).map(|(partition, &offset)| Position::new(topic, partition, offset)).collect())
    }
}

fn checksum(log: &LogId) -> u32 {
    crc32c::crc32c(log.0.as_bytes())
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.topic.name().as_bytes();
        let mut bytes = vec![VERSION, u8::try_from(name.len()).unwrap_or(u8::MAX)];
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(&self.log.to_be_bytes());
        self.offsets.iter().for_each(|&offset| put(&mut bytes, offset));
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        if text.len() > MAX_CURSOR_CHARS {
            return Err(CursorError::NotOne);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError::NotOne)?;
        read(&bytes).ok_or(CursorError::NotOne)
    }
}

fn read(bytes: &[u8]) -> Option<Cursor> {
    let (&[version, length], rest) = bytes.split_first_chunk::<2>()?;
    if version != VERSION {
        return None;
    }
    let (name, rest) = rest.split_at_checked(usize::from(length))?;
    let (log, mut rest) = rest.split_first_chunk::<4>()?;
    let topic = std::str::from_utf8(name).ok()?.parse().ok()?;
    let mut offsets = Vec::new();
    while !rest.is_empty() {
        let (offset, left) = take(rest)?;
        offsets.push(offset);
        rest = left;
    }
    Some(Cursor { topic, log: u32::from_be_bytes(*log), offsets })
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap_or(0));
}

fn take(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, &byte) in bytes.iter().enumerate() {
        let shift = u32::try_from(index * 7).ok()?;
        let bits = u64::from(byte & 0x7f);
        // A tenth byte has room for one bit.
        if shift > 63 || bits.leading_zeros() < shift {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> LogId {
        LogId("00000000000000000000000000000001".to_owned())
    }

    fn at(offsets: &[u64]) -> Vec<Position> {
        (0..).zip(offsets).map(|(partition, &offset)| Position::new(Topic::MailRouted, partition, offset)).collect()
    }

    #[test]
    fn a_cursor_reads_back_as_it_was_written() {
        for offsets in [&[][..], &[0], &[127, 128, 0, u64::MAX], &[1 << 40; 256]] {
            let cursor = Cursor::new(&log(), Topic::MailRouted, &at(offsets));
            let text = cursor.to_string();
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{text}");
            let read: Cursor = text.parse().unwrap();
            assert_eq!(read.positions(&log(), Topic::MailRouted).unwrap(), at(offsets));
        }
    }

    #[test]
    fn a_cursor_of_twelve_partitions_fits_the_reason_of_a_close_frame() {
        // RFC 6455 5.5: 125 bytes, two of them the code.
        let cursor = Cursor::new(&log(), Topic::MailRouted, &at(&[200_000_000; 12]));
        assert!(cursor.to_string().len() <= 123, "{}", cursor.to_string().len());
    }

    #[test]
    fn what_is_of_another_log_or_topic_or_no_cursor_at_all_is_refused() {
        let cursor = Cursor::new(&log(), Topic::MailRouted, &at(&[7]));
        assert_eq!(cursor.positions(&LogId("other".into()), Topic::MailRouted), Err(CursorError::OtherLog));
        assert_eq!(cursor.positions(&log(), Topic::MailRaw), Err(CursorError::OtherTopic));
        let text = cursor.to_string();
        for cut in 0..text.len() - 2 {
            assert!(text[..cut].parse::<Cursor>().is_err() || cut > 22, "{cut}");
        }
        for text in ["", "!", "AAAA", "_____________________", &"A".repeat(MAX_CURSOR_CHARS + 1)] {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError::NotOne), "{text}");
        }
    }
}
