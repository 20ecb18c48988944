//! Encoded words that belong together. RFC 2047 5 wants each to hold whole characters; many senders cut anywhere, so
//! words of one charset and encoding that stand side by side are made one before they are decoded.

use std::borrow::Cow;

use memchr::memmem;

/// An encoded word: `=?charset?encoding?data?=`.
struct Word<'a> {
    charset: &'a [u8],
    encoding: u8,
    data: &'a [u8],
    bytes: usize,
}

/// The line with such words made one.
pub(crate) fn joined(line: &[u8]) -> Cow<'_, [u8]> {
    if memmem::find_iter(line, b"=?").nth(1).is_none() {
        return line.into();
    }
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line;
    let mut last: Option<Word<'_>> = None;
    while let Some(at) = memmem::find(rest, b"=?") {
        let (between, from) = rest.split_at(at);
        let Some(word) = word(from) else {
            out.extend_from_slice(rest.get(..at + 2).unwrap_or_default());
            rest = rest.get(at + 2..).unwrap_or_default();
            last = None;
            continue;
        };
        let goes_on = last.as_ref().is_some_and(|last| last.goes_on_in(&word)) && between.trim_ascii().is_empty();
        if goes_on {
            out.truncate(out.len().saturating_sub(2));
            out.extend_from_slice(word.data);
            out.extend_from_slice(b"?=");
        } else {
            out.extend_from_slice(between);
            out.extend_from_slice(from.get(..word.bytes).unwrap_or_default());
        }
        rest = from.get(word.bytes..).unwrap_or_default();
        last = Some(word);
    }
    out.extend_from_slice(rest);
    out.into()
}

impl Word<'_> {
    fn goes_on_in(&self, next: &Word<'_>) -> bool {
        // Padding ends what is written in base64.
        let is_open = self.encoding == b'q' || !self.data.ends_with(b"=");
        is_open && self.encoding == next.encoding && self.charset.eq_ignore_ascii_case(next.charset)
    }
}

/// The word at the start of `from`.
fn word(from: &[u8]) -> Option<Word<'_>> {
    let after = from.strip_prefix(b"=?")?;
    let charset_end = after.iter().position(|byte| *byte == b'?' || byte.is_ascii_whitespace())?;
    let (charset, after) = after.split_at_checked(charset_end)?;
    let [b'?', encoding, b'?', coded @ ..] = after else { return None };
    let data_end = coded.iter().position(|byte| *byte == b'?' || byte.is_ascii_whitespace())?;
    let (data, after) = coded.split_at_checked(data_end)?;
    if !after.starts_with(b"?=") {
        return None;
    }
    let encoding = encoding.to_ascii_lowercase();
    matches!(encoding, b'q' | b'b').then_some(Word { charset, encoding, data, bytes: charset_end + data_end + 7 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_belong_together_are_made_one() {
        for (line, expected) in [
            ("=?utf-8?Q?a=C3?= =?UTF-8?q?=BC?= b", "=?utf-8?Q?a=C3=BC?= b"),
            ("=?x?Q?a?=\r\n =?x?Q?b?= =?x?Q?c?=", "=?x?Q?abc?="),
            ("=?x?B?YQ?= =?x?B?Yg==?=", "=?x?B?YQYg==?="),
            ("=?x?B?YQ==?= =?x?B?Yg==?=", "=?x?B?YQ==?= =?x?B?Yg==?="),
            ("=?x?Q?a?= and =?x?Q?b?=", "=?x?Q?a?= and =?x?Q?b?="),
            ("=?x?Q?a?= =?y?Q?b?=", "=?x?Q?a?= =?y?Q?b?="),
            ("=?=? =?x?Q?a?=", "=?=? =?x?Q?a?="),
            ("=?x?Q?a b?= =?x?Q?c?=", "=?x?Q?a b?= =?x?Q?c?="),
            ("=?x?Q?a?= =?x?Z?c?= =?x?Q?d?=", "=?x?Q?a?= =?x?Z?c?= =?x?Q?d?="),
        ] {
            assert_eq!(String::from_utf8_lossy(&joined(line.as_bytes())), expected, "{line}");
        }
    }
}
