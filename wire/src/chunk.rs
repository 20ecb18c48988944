//! Octets that were announced by their number: exactly so many belong to the chunk, whatever they are.

/// What is still to come of a chunk.
#[derive(Debug)]
pub struct ChunkReader {
    remaining: u64,
}

impl ChunkReader {
    pub const fn new(size_bytes: u64) -> Self {
        Self { remaining: size_bytes }
    }

    /// How many bytes of the input belong to the chunk; they are taken to be consumed.
    pub fn take(&mut self, input: &[u8]) -> usize {
        let count = usize::try_from(self.remaining).map_or(input.len(), |remaining| remaining.min(input.len()));
        self.remaining = self.remaining.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
        count
    }

    pub const fn is_done(&self) -> bool {
        self.remaining == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_announced_number_of_octets_is_taken() {
        let mut reader = ChunkReader::new(10);
        assert_eq!(reader.take(b"12345678"), 8);
        assert!(!reader.is_done());
        assert_eq!(reader.take(b""), 0);
        assert_eq!(reader.take(b"90next"), 2);
        assert!(reader.is_done());
        assert_eq!(reader.take(b"next"), 0);
        assert!(ChunkReader::new(0).is_done());
    }

    #[test]
    fn the_largest_number_does_not_overflow() {
        let mut reader = ChunkReader::new(u64::MAX);
        assert_eq!(reader.take(b"12345678"), 8);
        assert!(!reader.is_done());
    }
}
