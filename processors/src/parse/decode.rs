//! Transfer encodings and charsets. Total: what is not quite in its encoding is read as far as it makes sense.

use std::borrow::Cow;

use encoding_rs::{Encoding, REPLACEMENT, UTF_8, WINDOWS_1252};
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;

/// How a part's bytes are written (RFC 2045 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transfer {
    AsIs,
    Base64,
    QuotedPrintable,
}

impl Transfer {
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "base64" => Self::Base64,
            "quoted-printable" => Self::QuotedPrintable,
            _ => Self::AsIs,
        }
    }

    /// How many encoded bytes hold at most so many decoded ones, line ends included.
    pub(crate) fn encoded_bytes(self, decoded: usize) -> usize {
        match self {
            Self::AsIs => decoded,
            Self::Base64 => decoded.saturating_mul(3) / 2,
            Self::QuotedPrintable => decoded.saturating_mul(4),
        }
    }
}

pub(crate) fn transfer(bytes: &[u8], transfer: Transfer) -> Cow<'_, [u8]> {
    match transfer {
        Transfer::AsIs => bytes.into(),
        Transfer::Base64 => base64(bytes).into(),
        Transfer::QuotedPrintable => quoted_printable(bytes).into(),
    }
}

/// Which bytes base64 is written in, the padding included (RFC 2045 6.8).
#[expect(clippy::indexing_slicing, reason = "computed by the compiler, which checks it")]
const BASE64_ALPHABET: [bool; 256] = {
    let mut alphabet = [false; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        alphabet[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        byte += 1;
    }
    alphabet
};

/// RFC 2045 6.8: what is not in the alphabet is passed over. A line of words ends it: lists put their footers there.
fn base64(bytes: &[u8]) -> Vec<u8> {
    base64_decode(bytes).unwrap_or_else(|| {
        let is_stray = |byte: &u8| !BASE64_ALPHABET.get(usize::from(*byte)).copied().unwrap_or(false);
        let mut clean = Vec::with_capacity(bytes.len());
        for line in super::fields::lines(bytes) {
            let line = line.trim_ascii();
            if !line.iter().any(is_stray) {
                clean.extend_from_slice(line);
                continue;
            }
            if line.contains(&b' ') {
                break;
            }
            line.split(is_stray).for_each(|sound| clean.extend_from_slice(sound));
        }
        base64_decode(&clean).unwrap_or_default()
    })
}

/// RFC 2045 6.7: an `=` that begins nothing stands for itself.
fn quoted_printable(bytes: &[u8]) -> Vec<u8> {
    quoted_printable_decode(bytes).unwrap_or_else(|| {
        let mut mended = Vec::with_capacity(bytes.len() + 64);
        let mut rest = bytes;
        while let Some(at) = memchr::memchr(b'=', rest) {
            let (before, after) = rest.split_at(at + 1);
            mended.extend_from_slice(before);
            rest = after;
            let sound = match after {
                [first, second, ..] if first.is_ascii_hexdigit() && second.is_ascii_hexdigit() => true,
                _ => {
                    let blanks = after.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
                    matches!(after.get(blanks), None | Some(b'\n'))
                }
            };
            if !sound {
                mended.extend_from_slice(b"3D");
            }
        }
        mended.extend_from_slice(rest);
        quoted_printable_decode(&mended).unwrap_or(mended)
    })
}

/// Bytes as text, and whether their charset is one that is known. Without a charset, or with one that is not known:
/// UTF-8 where it is UTF-8, and Windows-1252 otherwise.
pub(crate) fn charset(bytes: &[u8], label: Option<&str>) -> (String, bool) {
    let Some(label) = label.map(|label| label.trim().trim_matches(['"', '\''])).filter(|label| !label.is_empty())
    else {
        return (guessed(bytes), true);
    };
    // Both say less than senders mean by them.
    if label.eq_ignore_ascii_case("us-ascii") || label.eq_ignore_ascii_case("ascii") {
        return (guessed(bytes), true);
    }
    match Encoding::for_label(label.as_bytes()) {
        Some(encoding) if encoding != REPLACEMENT => (encoding.decode_with_bom_removal(bytes).0.into_owned(), true),
        _ => (guessed(bytes), false),
    }
}

fn guessed(bytes: &[u8]) -> String {
    match UTF_8.decode_without_bom_handling_and_without_replacement(bytes) {
        Some(text) => text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned(),
        None => windows_1252(bytes),
    }
}

pub(crate) fn windows_1252(bytes: &[u8]) -> String {
    WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned()
}

/// CRLF becomes LF: a line end in a text is one character.
pub(crate) fn with_line_feeds(text: String) -> String {
    if text.contains('\r') { text.replace("\r\n", "\n") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8], by: Transfer) -> String {
        String::from_utf8_lossy(&transfer(bytes, by)).into_owned()
    }

    #[test]
    fn what_is_not_quite_in_its_encoding_is_read_as_far_as_it_makes_sense() {
        for (bytes, by, expected) in [
            (&b"aGVs\r\nbG8="[..], Transfer::Base64, "hello"),
            (b"aGVs*bG8=", Transfer::Base64, "hello"),
            (b"aGVsbG8", Transfer::Base64, "hello"),
            (b"aGVsbG8=\r\n--\r\nA list of words\r\nhttp://x.org\r\n", Transfer::Base64, "hello"),
            (b"", Transfer::Base64, ""),
            (b"a=C3=A9 =\r\nb", Transfer::QuotedPrintable, "aé b"),
            (b"1 = 2 =zz =", Transfer::QuotedPrintable, "1 = 2 =zz "),
            (b"a == b", Transfer::QuotedPrintable, "a == b"),
            (b"\xff", Transfer::QuotedPrintable, "\u{fffd}"),
        ] {
            assert_eq!(decoded(bytes, by), expected, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn charsets_are_read_by_their_labels() {
        for (bytes, label, expected, known) in [
            (&b"\xe9"[..], Some("iso-8859-1"), "é", true),
            (b"\x93\xfa\x96{", Some("Shift_JIS"), "日本", true),
            (b"\x1b$BF|K\\\x1b(B", Some("iso-2022-jp"), "日本", true),
            (b"\xc3\xa9", Some("us-ascii"), "é", true),
            (b"\xc3\xa9", None, "é", true),
            (b"\xe9", None, "é", true),
            (b"\xef\xbb\xbfa", Some("utf-8"), "a", true),
            (b"+AGE-", Some("utf-7"), "+AGE-", false),
            (b"\xe9", Some("no-such"), "é", false),
            (b"\xff", Some("utf-8"), "\u{fffd}", true),
        ] {
            assert_eq!(charset(bytes, label), (expected.to_owned(), known), "{label:?}");
        }
    }
}
