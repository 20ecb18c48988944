//! The bytes of a record on disk, in segments and in the database alike: time, key, headers, then the value, which
//! comes last so that it can be written from where it lies and be read without a copy.
//!
//! ```text
//! timestamp i64 | flags u8 | key length u32, key | headers u32, each: name length u32, name, value length u32, value | value
//! ```
//! Numbers are little-endian. Key and value are there when their flag says so; the value reaches to the end.

use bytes::{Buf, BufMut, Bytes};
use schemas::record::Header;
use schemas::{NewRecord, Position, Record};

const HAS_KEY: u8 = 1;
const HAS_VALUE: u8 = 2;
const NUMBER_BYTES: usize = 4;

/// The bytes that are not what the sender names.
pub(super) const TIMESTAMP_BYTES: usize = 8;

/// What the record takes of what the sender controls: the measure of the largest record.
pub(super) fn size_bytes(record: &NewRecord) -> usize {
    let headers: usize = record.headers.iter().map(|header| header.name.len() + header.value.len()).sum();
    headers + record.key.as_ref().map_or(0, Bytes::len) + record.value.as_ref().map_or(0, Bytes::len)
}

/// Everything before the value.
pub(super) fn write_head(record: &NewRecord, timestamp_ms: i64, head: &mut Vec<u8>) {
    head.put_i64_le(timestamp_ms);
    let key_flag = if record.key.is_some() { HAS_KEY } else { 0 };
    let value_flag = if record.value.is_some() { HAS_VALUE } else { 0 };
    head.put_u8(key_flag | value_flag);
    if let Some(key) = &record.key {
        write_bytes(key, head);
    }
    head.put_u32_le(number(record.headers.len()));
    for header in &record.headers {
        write_bytes(header.name.as_bytes(), head);
        write_bytes(&header.value, head);
    }
}

/// The whole body.
pub(super) fn encode(record: &NewRecord, timestamp_ms: i64) -> Vec<u8> {
    let mut body = Vec::with_capacity(size_bytes(record) + 64);
    write_head(record, timestamp_ms, &mut body);
    if let Some(value) = &record.value {
        body.extend_from_slice(value);
    }
    body
}

/// `None` when the bytes are no body.
pub(super) fn decode(position: Position, mut body: Bytes) -> Option<Record> {
    if body.len() < TIMESTAMP_BYTES + 1 {
        return None;
    }
    let timestamp_ms = body.get_i64_le();
    let flags = body.get_u8();
    let key = if flags & HAS_KEY == 0 { None } else { Some(read_bytes(&mut body)?) };
    let count = read_number(&mut body)?;
    // Each header takes two numbers at least, so a false count can't make room for more than the body holds.
    if count > body.len() / (2 * NUMBER_BYTES) {
        return None;
    }
    let mut headers = Vec::with_capacity(count);
    for _ in 0..count {
        let name = String::from_utf8(read_bytes(&mut body)?.to_vec()).ok()?;
        headers.push(Header { name, value: read_bytes(&mut body)? });
    }
    let value = if flags & HAS_VALUE == 0 { None } else { Some(body) };
    Some(Record { position, timestamp_ms, key, headers, value })
}

/// The time alone.
pub(super) fn timestamp_ms(body: &[u8]) -> Option<i64> {
    body.first_chunk().map(|bytes| i64::from_le_bytes(*bytes))
}

fn write_bytes(bytes: &[u8], head: &mut Vec<u8>) {
    head.put_u32_le(number(bytes.len()));
    head.extend_from_slice(bytes);
}

/// Records are bounded far below this (`EmbeddedSettings::max_record_bytes`).
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn read_number(body: &mut Bytes) -> Option<usize> {
    if body.len() < NUMBER_BYTES {
        return None;
    }
    usize::try_from(body.get_u32_le()).ok()
}

fn read_bytes(body: &mut Bytes) -> Option<Bytes> {
    let length = read_number(body)?;
    (length <= body.len()).then(|| body.split_to(length))
}

#[cfg(test)]
mod tests {
    use schemas::Topic;

    use super::*;

    fn cases() -> Vec<NewRecord> {
        let header = |name: &str| Header { name: name.into(), value: Bytes::from_static(b"\0\xff") };
        let plain = NewRecord::new(Topic::MailRaw, "key", "value");
        vec![
            plain.clone(),
            NewRecord { key: None, ..plain.clone() },
            NewRecord { value: None, ..plain.clone() },
            NewRecord { key: Some(Bytes::new()), value: Some(Bytes::new()), ..plain.clone() },
            NewRecord { headers: vec![header("a"), header("a"), header("")], ..plain },
        ]
    }

    #[test]
    fn what_is_written_reads_back() {
        let position = Position::new(Topic::MailRaw, 1, 2);
        for case in cases() {
            let record = decode(position, Bytes::from(encode(&case, -5))).unwrap();
            assert_eq!((record.timestamp_ms, record.position), (-5, position));
            assert_eq!((record.key, record.headers, record.value), (case.key, case.headers, case.value));
        }
    }

    #[test]
    fn no_bytes_make_reading_panic() {
        let position = Position::new(Topic::MailRaw, 1, 2);
        for case in cases() {
            let whole = encode(&case, 9);
            for index in 0..whole.len() {
                let _ = decode(position, Bytes::copy_from_slice(&whole[..index]));
                let mut flipped = whole.clone();
                flipped[index] ^= 0xff;
                let _ = decode(position, Bytes::from(flipped));
            }
        }
    }
}
