//! What the values of header fields say: texts with their encoded words (RFC 2047), mailboxes, dates, media types.
//! mail-parser does the reading; here its input is made safe, and its output bounded.

use std::borrow::Cow;

use mail_parser::parsers::MessageStream;
use mail_parser::{Address as Parsed, HeaderValue};
use schemas::event::Address;

use super::limits::{MAX_NAME_BYTES, MAX_PARAMETERS, cut};
use super::{decode, words};

/// A media type or disposition with its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Typed {
    /// Lower case: `text/plain`, `attachment`.
    pub(crate) value: String,
    parameters: Vec<(String, String)>,
    /// It had more parameters than are read.
    pub(crate) over: bool,
}

impl Typed {
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The value as text: unfolded, encoded words decoded. Bytes that are neither ASCII nor UTF-8, which no header may
/// have, are read in the charset that the message's text is in.
pub(crate) fn text(value: &[u8], charset: Option<&str>) -> String {
    if let Some(plain) = plain_line(value) {
        return plain.to_owned();
    }
    let line = terminated(value, charset);
    let line = words::joined(&line);
    match MessageStream::new(&line).parse_unstructured() {
        HeaderValue::Text(text) => text.into_owned(),
        _ => String::new(),
    }
}

/// The mailboxes of an address field, groups flattened.
pub(crate) fn addresses(value: &[u8], charset: Option<&str>, into: &mut Vec<Address>) {
    let line = terminated(value, charset);
    let line = words::joined(&line);
    let add = |addr: &mail_parser::Addr<'_>, into: &mut Vec<Address>| {
        let address = addr.address.as_deref().unwrap_or_default().trim().to_owned();
        let name = addr.name.as_deref().unwrap_or_default().trim().to_owned();
        if !address.is_empty() || !name.is_empty() {
            into.push(Address { address, name });
        }
    };
    match MessageStream::new(&line).parse_address() {
        HeaderValue::Address(Parsed::List(list)) => list.iter().for_each(|addr| add(addr, into)),
        HeaderValue::Address(Parsed::Group(groups)) => {
            groups.iter().flat_map(|group| &group.addresses).for_each(|addr| add(addr, into));
        }
        _ => (),
    }
}

/// The time that a date field names, in milliseconds since 1970.
pub(crate) fn date(value: &[u8]) -> Option<i64> {
    let line = terminated(value, None);
    match MessageStream::new(&line).parse_date() {
        HeaderValue::DateTime(date) if date.is_valid() => date.to_timestamp().checked_mul(1000),
        _ => None,
    }
}

/// The value of Content-Type or Content-Disposition.
pub(crate) fn typed(value: &[u8]) -> Typed {
    // RFC 2231 continuations cost their number squared.
    let (within, over) = match memchr::memchr_iter(b';', value).nth(MAX_PARAMETERS) {
        Some(end) => (value.get(..end).unwrap_or_default(), true),
        None => (value, false),
    };
    let line = terminated(within, None);
    let HeaderValue::ContentType(parsed) = MessageStream::new(&line).parse_content_type() else {
        return Typed { over, ..Typed::default() };
    };
    let mut value = parsed.c_type.trim().to_ascii_lowercase();
    if let Some(subtype) = &parsed.c_subtype {
        value.push('/');
        value.push_str(&subtype.trim().to_ascii_lowercase());
    }
    let parameters = parsed
        .attributes
        .unwrap_or_default()
        .into_iter()
        .map(|attribute| (attribute.name.to_ascii_lowercase(), attribute.value.into_owned()))
        .collect();
    Typed { value: cut(value, MAX_NAME_BYTES).0, parameters, over }
}

/// A file name: never a path, nothing that hides or turns what stands beside it.
pub(crate) fn file_name(name: &str) -> String {
    // Some senders use encoded words here, against RFC 2047 5.
    let decoded: Cow<'_, str> = if name.contains("=?") { text(name.as_bytes(), None).into() } else { name.into() };
    let last = decoded.rsplit(['/', '\\']).next().unwrap_or_default();
    let hidden = |character: char| {
        character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let clean: String = last.chars().filter(|character| !hidden(*character)).collect();
    let clean = clean.trim();
    if clean.bytes().all(|byte| byte == b'.') { String::new() } else { cut(clean.to_owned(), MAX_NAME_BYTES).0 }
}

/// An id without its angle brackets.
pub(crate) fn id(value: &[u8]) -> String {
    let text = text(value, None);
    let bare = text.trim().trim_start_matches('<').trim_end_matches('>').trim();
    cut(bare.to_owned(), MAX_NAME_BYTES).0
}

/// A value that needs no work: one line of ASCII without encoded words.
fn plain_line(value: &[u8]) -> Option<&str> {
    let line = value.trim_ascii();
    let plain =
        line.is_ascii() && memchr::memchr2(b'\n', b'\r', line).is_none() && memchr::memmem::find(line, b"=?").is_none();
    if plain { std::str::from_utf8(line).ok() } else { None }
}

/// UTF-8 with a line end behind it, as the parser wants it.
fn terminated<'v>(value: &'v [u8], charset: Option<&str>) -> Cow<'v, [u8]> {
    let readable: Cow<'_, [u8]> = match std::str::from_utf8(value) {
        Ok(_) => value.into(),
        Err(_) => decode::charset(value, charset).0.into_bytes().into(),
    };
    if readable.ends_with(b"\n") {
        return readable;
    }
    let mut line = readable.into_owned();
    line.push(b'\n');
    line.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words_are_decoded_and_folds_taken_out() {
        for (value, expected) in [
            (&b" plain  text \r\n"[..], "plain  text"),
            (b" two\r\n lines\r\n", "two lines"),
            (b"=?utf-8?q?gr=C3=BC=C3=9Fe?=", "grüße"),
            (b" =?iso-8859-1?Q?=E9?=\r\n =?utf-8?B?w6k=?=\r\n", "éé"),
            (b" \xe9t\xe9", "été"),
            (b" =?utf-8?q?broken", "=?utf-8?q?broken"),
            (b" =?nothing?q?a=20b?=", "a b"),
            (b"", ""),
        ] {
            assert_eq!(text(value, None), expected, "{}", String::from_utf8_lossy(value));
        }
    }

    #[test]
    fn bytes_that_no_header_may_have_are_read_in_the_charset_of_the_text() {
        assert_eq!(text(b" \xbb\xc6\xc9\xbd", Some("gb2312")), "黄山");
        assert_eq!(text(b" \xc3\xa9", Some("gb2312")), "é");
    }

    #[test]
    fn groups_are_flattened_and_names_kept() {
        let mut found = Vec::new();
        addresses(b" Team: Ann <a@x.org>, b@x.org;, \"C, D\" <c@x.org>\r\n", None, &mut found);
        let pairs: Vec<_> = found.iter().map(|one| (one.name.as_str(), one.address.as_str())).collect();
        assert_eq!(pairs, [("Ann", "a@x.org"), ("", "b@x.org"), ("C, D", "c@x.org")]);
    }

    #[test]
    fn a_date_is_milliseconds_and_nonsense_is_none() {
        assert_eq!(date(b" Mon, 05 Jul 2020 22:25:41 +0200"), Some(1_593_980_741_000));
        for value in [&b""[..], b"yesterday", b"99 Foo 99999 99:99:99 +9999"] {
            assert_eq!(date(value), None, "{}", String::from_utf8_lossy(value));
        }
    }

    #[test]
    fn a_hundred_parameters_are_read_and_not_one_more() {
        let parameters = |count: usize| (0..count).map(|n| format!("; p{n}=v")).collect::<String>();
        let at_limit = typed(format!("text/plain{}", parameters(MAX_PARAMETERS)).as_bytes());
        assert_eq!((at_limit.parameter("p99"), at_limit.over), (Some("v"), false));
        let over = typed(format!("text/plain{}", parameters(MAX_PARAMETERS + 1)).as_bytes());
        assert_eq!((over.parameter("p99"), over.parameter("p100"), over.over), (Some("v"), None, true));
        assert_eq!(over.value, "text/plain");
    }

    #[test]
    fn a_file_name_is_never_a_path() {
        for (sent, kept) in [
            ("../../etc/passwd", "passwd"),
            ("..\\..\\boot.ini", "boot.ini"),
            ("a\0b.txt", "ab.txt"),
            ("..", ""),
            ("/", ""),
            ("gpj.\u{202e}exe", "gpj.exe"),
            ("=?utf-8?q?=C3=A9.txt?=", "é.txt"),
            ("a\r\nb", "ab"),
        ] {
            assert_eq!(file_name(sent), kept, "{sent:?}");
        }
        assert_eq!(file_name(&"a".repeat(MAX_NAME_BYTES)).len(), MAX_NAME_BYTES);
        assert_eq!(file_name(&"a".repeat(MAX_NAME_BYTES + 1)).len(), MAX_NAME_BYTES);
    }
}
