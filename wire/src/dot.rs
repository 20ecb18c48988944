//! Text that ends with a line of one dot (RFC 5321 4.5.2, RFC 1939 3): only CRLF, dot, CRLF ends it, and a CRLF is
//! taken to stand before the first byte. A line's first dot is removed. A CR without LF, or an LF without CR, is text,
//! never the end of a line, and is reported.
//!
//! Line ends are found with `memchr`, and what lies between two removed dots is handed on in one piece.

use memchr::memchr2;

/// Where the reader stands between two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Behind a CRLF, or at the start.
    LineStart,
    /// Behind a dot at the start of a line: removed, or the end.
    Dot,
    /// Behind that dot and a CR, which was not handed on yet.
    DotCr,
    Text,
    /// Behind a CR, which was handed on.
    Cr,
}

/// How much of the input was taken, and whether the text ended there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    pub consumed: usize,
    pub ended: bool,
}

/// Finds the true end of dot-stuffed text in what comes, whatever the pieces are that it comes in.
#[derive(Debug)]
pub struct DotReader {
    at: At,
    stray: bool,
}

impl Default for DotReader {
    fn default() -> Self {
        Self { at: At::LineStart, stray: false }
    }
}

impl DotReader {
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there was a CR without LF or an LF without CR.
    pub const fn has_stray(&self) -> bool {
        self.stray
    }

    /// Takes all of the input, or what of it belongs to the text when that ends in it, and hands on the text without
    /// its stuffed dots.
    pub fn take(&mut self, input: &[u8], mut text: impl FnMut(&[u8])) -> Taken {
        // What lies from `from` to `at` is text that was not handed on yet.
        let (mut from, mut at) = (0, 0);
        while let Some(&byte) = input.get(at) {
            match self.at {
                At::Text => match memchr2(b'\r', b'\n', input.get(at..).unwrap_or_default()) {
                    None => at = input.len(),
                    Some(found) => {
                        at += found + 1;
                        if input.get(at - 1) == Some(&b'\r') { self.at = At::Cr } else { self.stray = true }
                    }
                },
                At::Cr if byte == b'\n' => (self.at, at) = (At::LineStart, at + 1),
                At::Cr => (self.at, self.stray) = (At::Text, true),
                At::LineStart if byte == b'.' => {
                    hand_on(input, from, at, &mut text);
                    (self.at, at) = (At::Dot, at + 1);
                    from = at;
                }
                At::LineStart => self.at = At::Text,
                At::Dot if byte == b'\r' => {
                    (self.at, at) = (At::DotCr, at + 1);
                    from = at;
                }
                At::Dot => self.at = At::Text,
                At::DotCr if byte == b'\n' => {
                    self.at = At::LineStart;
                    return Taken { consumed: at + 1, ended: true };
                }
                At::DotCr => {
                    // The CR was text after all; the byte behind it shows that it is a bare one.
                    text(b"\r");
                    self.at = At::Cr;
                }
            }
        }
        hand_on(input, from, at, &mut text);
        Taken { consumed: at, ended: false }
    }
}

fn hand_on(input: &[u8], from: usize, to: usize, text: &mut impl FnMut(&[u8])) {
    if let Some(run) = input.get(from..to).filter(|run| !run.is_empty()) {
        text(run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    struct Outcome {
        text: Vec<u8>,
        stray: bool,
        /// How many bytes belonged to the text and its end; `None` while it has not ended.
        ended_after: Option<usize>,
    }

    fn read(pieces: &[&[u8]]) -> Outcome {
        let mut reader = DotReader::new();
        let (mut text, mut taken_before) = (Vec::new(), 0);
        for piece in pieces {
            let taken = reader.take(piece, |run| text.extend_from_slice(run));
            taken_before += taken.consumed;
            if taken.ended {
                return Outcome { text, stray: reader.has_stray(), ended_after: Some(taken_before) };
            }
            assert_eq!(taken.consumed, piece.len());
        }
        Outcome { text, stray: reader.has_stray(), ended_after: None }
    }

    /// The same by the definition, slow and with the whole input in hand.
    fn model(input: &[u8]) -> Outcome {
        let end = (0..input.len())
            .find(|at| input[*at..].starts_with(b".\r\n") && (*at == 0 || input[..*at].ends_with(b"\r\n")));
        // Of an open end, `.` and `.CR` at the start of a line are not decided yet.
        let stuffed = &input[..end.unwrap_or(input.len())];
        let undecided = end.is_none() && (stuffed == b".\r" || stuffed.ends_with(b"\r\n.\r"));
        let stuffed = if undecided { &stuffed[..stuffed.len() - 1] } else { stuffed };
        let (mut text, mut stray) = (Vec::new(), false);
        for (at, byte) in stuffed.iter().enumerate() {
            let line_start = at == 0 || stuffed[..at].ends_with(b"\r\n");
            if line_start && *byte == b'.' {
                continue;
            }
            text.push(*byte);
            stray |= *byte == b'\n' && (at == 0 || stuffed[at - 1] != b'\r');
            stray |= *byte == b'\r' && stuffed.get(at + 1).is_some_and(|next| *next != b'\n');
        }
        Outcome { text, stray, ended_after: end.map(|at| at + 3) }
    }

    #[test]
    fn every_short_input_reads_as_the_definition_says_at_every_split() {
        const ALPHABET: [u8; 4] = [b'\r', b'\n', b'.', b'a'];
        for length in 0..=8_u32 {
            for number in 0..4_usize.pow(length) {
                let input: Vec<u8> = (0..length).map(|digit| ALPHABET[(number >> (2 * digit)) & 3]).collect();
                let expected = model(&input);
                for split in 0..=input.len() {
                    assert_eq!(read(&[&input[..split], &input[split..]]), expected, "{input:?} split at {split}");
                }
                let bytes: Vec<&[u8]> = input.chunks(1).collect();
                assert_eq!(read(&bytes), expected, "{input:?} byte by byte");
            }
        }
    }

    #[test]
    fn a_dot_straight_away_is_the_empty_text() {
        assert_eq!(read(&[b".\r\nQUIT"]), Outcome { text: Vec::new(), stray: false, ended_after: Some(3) });
    }

    #[test]
    fn nothing_that_looks_like_an_end_is_one() {
        for fake in [
            &b"\n.\n"[..],
            b"\r.\r",
            b"\r\n.\n",
            b"\n.\r\n",
            b"\n\n.\r\n",
            b"\n.\r\r\n",
            b"\r\n.\r\r\n",
            b"\r\r\n.\r\r\n",
            b"\r.\r\n",
            b"\r\n\0.\r\n",
            b"\r\n.\0\r\n",
        ] {
            let input = [b"text", fake, b"smuggled\r\n.\r\n"].concat();
            for split in 0..=input.len() {
                let outcome = read(&[&input[..split], &input[split..]]);
                assert_eq!(outcome.ended_after, Some(input.len()), "{fake:?} split at {split}");
                assert_eq!(outcome.stray, !fake.contains(&0), "{fake:?}");
            }
        }
    }

    #[test]
    fn text_between_two_dots_is_handed_on_in_one_piece() {
        let line = b"a line of text\r\n".repeat(1000);
        let mut runs = 0;
        DotReader::new().take(&line, |_| runs += 1);
        assert_eq!(runs, 1);
    }
}
