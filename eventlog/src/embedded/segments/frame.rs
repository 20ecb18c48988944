//! A record in a segment, and the segment's own header.
//!
//! ```text
//! segment: magic [8] | base offset u64 | salt u64 | crc32c of these u32 | zero u32 | frames
//! frame:   length u32 | crc32c u32 | group u32 | offset u64 | body
//! ```
//! The length counts what stands behind the checksum, and the checksum covers it and the segment's salt: nothing that
//! a peer has written into a mail is taken for a frame, since nobody outside knows the salt.
//!
//! `group` is where the group began with which the frame was written, in bytes from the start of the file. A group is
//! written only when all before it is synced; so a good frame whose group began behind a bad one proves that the bad
//! one was synced and acknowledged once (damage), and without such a proof it is the torn end of the last group.

use schemas::record::Offset;

pub(super) const SEGMENT_HEADER_BYTES: usize = 32;
pub(super) const FRAME_HEADER_BYTES: usize = 20;
/// The part of the frame's header that its length does not count.
pub(super) const FRAME_PREFIX_BYTES: usize = 8;
const MAGIC: [u8; 8] = *b"PLSEG\0\0\x01";

/// What every frame of a segment depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub base: Offset,
    pub salt: u64,
}

impl SegmentHeader {
    pub fn encode(self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.base.to_le_bytes());
        bytes.extend_from_slice(&self.salt.to_le_bytes());
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        let mut header = [0; SEGMENT_HEADER_BYTES];
        for (to, from) in header.iter_mut().zip(bytes) {
            *to = from;
        }
        header
    }

    /// `None` when the bytes are no header.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let base = u64::from_le_bytes(*bytes.get(8..)?.first_chunk()?);
        let salt = u64::from_le_bytes(*bytes.get(16..)?.first_chunk()?);
        let header = Self { base, salt };
        (bytes.get(..SEGMENT_HEADER_BYTES)? == header.encode()).then_some(header)
    }
}

/// A frame without its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// Of what stands behind the checksum.
    pub length: u32,
    pub crc: u32,
    pub group: u32,
    pub offset: Offset,
}

impl FrameHeader {
    /// The header of a frame whose body is these parts, in order.
    pub fn new(salt: u64, group: u32, offset: Offset, body: [&[u8]; 2]) -> Option<Self> {
        let [head, value] = body;
        let length = FRAME_HEADER_BYTES - FRAME_PREFIX_BYTES + head.len() + value.len();
        let mut header = Self { length: u32::try_from(length).ok()?, crc: 0, group, offset };
        header.crc = crc32c::crc32c_append(crc32c::crc32c_append(header.crc_seed(salt), head), value);
        Some(header)
    }

    pub fn encode(self) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        let fields = self.length.to_le_bytes().into_iter().chain(self.crc.to_le_bytes());
        let fields = fields.chain(self.group.to_le_bytes()).chain(self.offset.to_le_bytes());
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = from;
        }
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            length: u32::from_le_bytes(*bytes.first_chunk()?),
            crc: u32::from_le_bytes(*bytes.get(4..)?.first_chunk()?),
            group: u32::from_le_bytes(*bytes.get(8..)?.first_chunk()?),
            offset: u64::from_le_bytes(*bytes.get(12..)?.first_chunk()?),
        })
    }

    /// The whole frame, header included.
    pub fn frame_bytes(self) -> u64 {
        u64::from(self.length) + FRAME_PREFIX_BYTES as u64
    }

    pub fn is_of(self, salt: u64, body: &[u8]) -> bool {
        let counted = u64::from(self.length) + FRAME_PREFIX_BYTES as u64;
        counted == (FRAME_HEADER_BYTES + body.len()) as u64
            && crc32c::crc32c_append(self.crc_seed(salt), body) == self.crc
    }

    fn crc_seed(self, salt: u64) -> u32 {
        let mut crc = crc32c::crc32c(&salt.to_le_bytes());
        for part in [&self.length.to_le_bytes()[..], &self.group.to_le_bytes(), &self.offset.to_le_bytes()] {
            crc = crc32c::crc32c_append(crc, part);
        }
        crc
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_header_reads_back_and_no_flipped_bit_goes_unseen() {
        let header = SegmentHeader { base: 77, salt: 0x0123_4567_89ab_cdef };
        let bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Some(header));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&flipped), None, "bit {bit}");
        }
    }

    #[test]
    fn a_frame_is_only_good_with_its_body_and_its_salt() {
        let header = FrameHeader::new(5, 32, 9, [b"head", b"value"]).unwrap();
        assert_eq!(FrameHeader::decode(&header.encode()), Some(header));
        assert!(header.is_of(5, b"headvalue"));
        assert!(!header.is_of(6, b"headvalue"));
        assert!(!header.is_of(5, b"headvalu"));
        assert!(!header.is_of(5, b"headvaluf"));
        assert!(!FrameHeader { offset: 10, ..header }.is_of(5, b"headvalue"));
        assert!(!FrameHeader { group: 33, ..header }.is_of(5, b"headvalue"));
    }
}
