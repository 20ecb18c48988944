//! Lines that end with CRLF and with nothing else. A line with a bare CR or LF in it, or one over the limit, is taken to
//! its true end and reported as such, so that no part of it can pass for a line of its own.

use memchr::{memchr, memchr_iter};

/// What a line was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// The first so many bytes of the input are the line; CRLF follows them.
    Text(usize),
    /// The line with its CRLF was over the limit.
    TooLong,
    /// There was a CR without LF or an LF without CR in it.
    Stray,
}

/// How much of the input to consume, and the line that this ends, if it ends one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanned {
    pub consumed: usize,
    pub line: Option<Line>,
}

/// Finds lines in what comes, whatever the pieces are that it comes in.
#[derive(Debug)]
pub struct LineReader {
    limit_bytes: usize,
    /// What of the unconsumed input is known to end no line.
    scanned: usize,
    /// The line is over the limit, and its first part is gone.
    discarding: bool,
    /// The last byte that was discarded was a CR.
    discarded_cr: bool,
    stray: bool,
}

impl LineReader {
    /// Lines may have so many bytes, CRLF included.
    pub const fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, scanned: 0, discarding: false, discarded_cr: false, stray: false }
    }

    /// Looks at the whole unconsumed input. When no line ends in it, call again with the same and more.
    pub fn scan(&mut self, input: &[u8]) -> Scanned {
        let behind = input.get(self.scanned..).unwrap_or_default();
        for found in memchr_iter(b'\n', behind) {
            let line_feed = self.scanned + found;
            let after_cr = match line_feed.checked_sub(1) {
                Some(before) => input.get(before) == Some(&b'\r'),
                None => self.discarded_cr,
            };
            if after_cr {
                return self.ended(input, line_feed + 1);
            }
            self.stray = true;
        }
        if self.discarding || input.len() >= self.limit_bytes {
            self.discarding = true;
            self.discarded_cr = input.last().map_or(self.discarded_cr, |last| *last == b'\r');
            self.scanned = 0;
            return Scanned { consumed: input.len(), line: None };
        }
        self.scanned = input.len();
        Scanned { consumed: 0, line: None }
    }

    /// Whether a part of a line has come and its end has not.
    pub const fn is_inside(&self) -> bool {
        self.discarding || self.scanned > 0
    }

    fn ended(&mut self, input: &[u8], consumed: usize) -> Scanned {
        let length = consumed.saturating_sub(2);
        let text = input.get(..length).unwrap_or_default();
        let line = if self.discarding || consumed > self.limit_bytes {
            Line::TooLong
        } else if self.stray || memchr(b'\r', text).is_some() {
            Line::Stray
        } else {
            Line::Text(length)
        };
        *self = Self::new(self.limit_bytes);
        Scanned { consumed, line: Some(line) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of what comes in these pieces, and how many bytes were held at most.
    fn read(pieces: &[&[u8]], limit: usize) -> (Vec<Result<Vec<u8>, Line>>, usize) {
        let mut reader = LineReader::new(limit);
        let (mut held, mut lines, mut most) = (Vec::new(), Vec::new(), 0);
        for piece in pieces {
            held.extend_from_slice(piece);
            most = most.max(held.len());
            loop {
                let scanned = reader.scan(&held);
                match scanned.line {
                    Some(Line::Text(length)) => lines.push(Ok(held[..length].to_vec())),
                    Some(other) => lines.push(Err(other)),
                    None => {}
                }
                held.drain(..scanned.consumed);
                if scanned.line.is_none() {
                    break;
                }
            }
        }
        (lines, most)
    }

    #[test]
    fn only_crlf_ends_a_line_wherever_the_input_is_split() {
        let input = b"one\r\ntwo\nstill two\r\n\r\nthr\ree\r\n\r\r\nlonger than it may be\r\nlast\r\nrest";
        let expected = vec![
            Ok(b"one".to_vec()),
            Err(Line::Stray),
            Ok(Vec::new()),
            Err(Line::Stray),
            Err(Line::Stray),
            Err(Line::TooLong),
            Ok(b"last".to_vec()),
        ];
        for first in 0..=input.len() {
            for second in first..=input.len() {
                let pieces = [&input[..first], &input[first..second], &input[second..]];
                assert_eq!(read(&pieces, 16).0, expected, "split at {first} and {second}");
            }
        }
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(read(&bytes, 16).0, expected);
    }

    #[test]
    fn a_line_at_the_limit_is_whole_and_one_past_it_is_too_long() {
        for piece in 1..=12 {
            let at: Vec<&[u8]> = b"12345678\r\n".chunks(piece).collect();
            assert_eq!(read(&at, 10).0, [Ok(b"12345678".to_vec())]);
            let past: Vec<&[u8]> = b"123456789\r\nok\r\n".chunks(piece).collect();
            assert_eq!(read(&past, 10).0, [Err(Line::TooLong), Ok(b"ok".to_vec())]);
        }
    }

    #[test]
    fn a_line_without_end_is_discarded_in_bounded_memory() {
        let piece = [b'x'; 4096];
        let mut pieces: Vec<&[u8]> = vec![&piece; 10_000];
        pieces.extend([&b"\r"[..], b"\r", b"\n", b"ok\r\n"]);
        let (lines, most) = read(&pieces, 512);
        assert_eq!(lines, [Err(Line::TooLong), Ok(b"ok".to_vec())]);
        assert!(most <= 4096 + 512, "{most} bytes were held");
    }
}
