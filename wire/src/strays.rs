//! Says whether text that comes by count instead of by line has a CR without LF or an LF without CR.

use memchr::memchr2;

/// Looks at text in whatever pieces it comes.
#[derive(Debug, Default)]
pub struct Strays {
    after_cr: bool,
    found: bool,
}

impl Strays {
    pub fn see(&mut self, piece: &[u8]) {
        if self.found {
            return;
        }
        let mut rest = piece;
        while let Some((&byte, behind)) = rest.split_first() {
            if self.after_cr {
                self.after_cr = false;
                if byte != b'\n' {
                    self.found = true;
                    return;
                }
                rest = behind;
                continue;
            }
            let Some(at) = memchr2(b'\r', b'\n', rest) else { return };
            if rest.get(at) == Some(&b'\n') {
                self.found = true;
                return;
            }
            self.after_cr = true;
            rest = rest.get(at + 1..).unwrap_or_default();
        }
    }

    /// Whether there was one, when the text ends here: a CR at the very end is bare as well.
    pub const fn has_stray(&self) -> bool {
        self.found || self.after_cr
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strays_are_found_wherever_the_text_is_split() {
        for (text, stray) in [
            (&b""[..], false),
            (b"\r\n", false),
            (b"a\r\n\r\nb", false),
            (b"a\nb", true),
            (b"\n", true),
            (b"a\rb\r\n", true),
            (b"a\r\r\n", true),
            (b"a\r\n\n", true),
            (b"a\r\n\r", true),
        ] {
            for split in 0..=text.len() {
                let mut strays = Strays::default();
                strays.see(&text[..split]);
                strays.see(&text[split..]);
                assert_eq!(strays.has_stray(), stray, "{text:?} split at {split}");
            }
        }
    }
}
