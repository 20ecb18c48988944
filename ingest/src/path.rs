//! Paths by the grammar of RFC 5321 4.1.2 with the additions of RFC 6531 3.3. What is no path is refused, never mended:
//! an address goes on as it was sent, or not at all.

use std::net::{Ipv4Addr, Ipv6Addr};

/// RFC 5321 4.5.3.1.1.
pub const LOCAL_PART_BYTES: usize = 64;
/// RFC 5321 4.5.3.1.2.
pub const DOMAIN_BYTES: usize = 255;
/// With the brackets; RFC 5321 4.5.3.1.3.
pub const PATH_BYTES: usize = 256;
/// RFC 1035 2.3.4.
const LABEL_BYTES: usize = 63;

/// A path without its brackets and without a source route, which is to be ignored (RFC 5321 4.1.1.3, appendix C).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    /// Empty for the null sender, `postmaster` in any case of letters for the one local part that needs no domain.
    pub mailbox: &'a str,
    /// What follows the `@`; empty where there is none.
    pub domain: &'a str,
}

impl Path<'_> {
    /// Whether the peer needs SMTPUTF8 to say it.
    pub const fn is_international(&self) -> bool {
        !self.mailbox.is_ascii()
    }
}

/// The text does not begin with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPath;

/// The reverse-path at the start of the text, and what follows it.
pub fn reverse(text: &str) -> Result<(Path<'_>, &str), NoPath> {
    if let Some(rest) = text.strip_prefix("<>") {
        return Ok((Path { mailbox: "", domain: "" }, rest));
    }
    path(text)
}

/// The forward-path at the start of the text, and what follows it.
pub fn forward(text: &str) -> Result<(Path<'_>, &str), NoPath> {
    const POSTMASTER: &str = "<postmaster>";
    if let Some((head, rest)) = text.split_at_checked(POSTMASTER.len())
        && head.eq_ignore_ascii_case(POSTMASTER)
    {
        let mailbox = head.get(1..head.len() - 1).ok_or(NoPath)?;
        return Ok((Path { mailbox, domain: "" }, rest));
    }
    path(text)
}

/// `Path = "<" [ A-d-l ":" ] Mailbox ">"`
fn path(text: &str) -> Result<(Path<'_>, &str), NoPath> {
    let inside = text.strip_prefix('<').ok_or(NoPath)?;
    let routed = if inside.starts_with('@') { skip_route(inside)? } else { inside };
    let after_local = local_part(routed)?;
    let local_bytes = routed.len() - after_local.len();
    let domain_on = after_local.strip_prefix('@').ok_or(NoPath)?;
    let after_domain = domain(domain_on)?;
    let domain_bytes = domain_on.len() - after_domain.len();
    let rest = after_domain.strip_prefix('>').ok_or(NoPath)?;
    let whole_bytes = text.len() - rest.len();
    if local_bytes > LOCAL_PART_BYTES || domain_bytes > DOMAIN_BYTES || whole_bytes > PATH_BYTES {
        return Err(NoPath);
    }
    let mailbox = routed.get(..local_bytes + 1 + domain_bytes).ok_or(NoPath)?;
    // ASCII controls can't have come through the grammar; these are U+0080 to U+009F and the separators.
    if mailbox.chars().any(|letter| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}')) {
        return Err(NoPath);
    }
    Ok((Path { mailbox, domain: domain_on.get(..domain_bytes).ok_or(NoPath)? }, rest))
}

/// `A-d-l = At-domain *( "," At-domain )`, and the colon.
fn skip_route(text: &str) -> Result<&str, NoPath> {
    let mut rest = text;
    loop {
        rest = domain(rest.strip_prefix('@').ok_or(NoPath)?)?;
        if let Some(behind) = rest.strip_prefix(':') {
            return Ok(behind);
        }
        rest = rest.strip_prefix(',').ok_or(NoPath)?;
    }
}

/// `Local-part = Dot-string / Quoted-string`; returns what follows it.
fn local_part(text: &str) -> Result<&str, NoPath> {
    if let Some(quoted) = text.strip_prefix('"') {
        return quoted_string(quoted);
    }
    let end = text.bytes().position(|byte| !is_atext(byte) && byte != b'.').unwrap_or(text.len());
    let (dot_string, rest) = text.split_at_checked(end).ok_or(NoPath)?;
    if dot_string.split('.').any(str::is_empty) { Err(NoPath) } else { Ok(rest) }
}

/// What follows a quoted string whose opening quote was taken. Angle brackets are refused although the grammar would
/// let them stand in quotes: programs behind us look for the path's end by them.
fn quoted_string(text: &str) -> Result<&str, NoPath> {
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        let content = match byte {
            b'"' => return text.get(at + 1..).ok_or(NoPath),
            // RFC 5321 4.1.2: a quoted pair is of printable ASCII.
            b'\\' => bytes.next().map(|(_, paired)| paired).filter(u8::is_ascii).ok_or(NoPath)?,
            other => other,
        };
        if matches!(content, b'<' | b'>' | 0..=31 | 127) {
            return Err(NoPath);
        }
    }
    Err(NoPath)
}

/// `Domain / address-literal`; returns what follows it.
fn domain(text: &str) -> Result<&str, NoPath> {
    if let Some(literal) = text.strip_prefix('[') {
        let (inside, rest) = literal.split_once(']').ok_or(NoPath)?;
        return if is_address(inside) { Ok(rest) } else { Err(NoPath) };
    }
    let end = text.bytes().position(|byte| !is_of_label(byte) && byte != b'.').unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end).ok_or(NoPath)?;
    if name.split('.').all(is_label) { Ok(rest) } else { Err(NoPath) }
}

/// RFC 5321 4.1.3; of the tags, only `IPv6` was ever registered.
pub fn is_address(text: &str) -> bool {
    match text.split_at_checked(5) {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6:") => address.parse::<Ipv6Addr>().is_ok(),
        _ => text.parse::<Ipv4Addr>().is_ok(),
    }
}

fn is_label(label: &str) -> bool {
    // The limit of a label is one of its ASCII form, which is longer than this for every other.
    let fits = !label.is_ascii() || label.len() <= LABEL_BYTES;
    fits && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
}

const fn is_of_label(byte: u8) -> bool {
    // The underscore is not of the grammar, but of many a host's name, as of containers.
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || !byte.is_ascii()
}

const fn is_atext(byte: u8) -> bool {
    // RFC 5322 3.2.3, and RFC 6531 3.3 for what is not ASCII.
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'/'
                | b'='
                | b'?'
                | b'^'
                | b'_'
                | b'`'
                | b'{'
                | b'|'
                | b'}'
                | b'~'
        )
        || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(text: &str) -> Option<&str> {
        forward(text).ok().filter(|(_, rest)| rest.is_empty()).map(|(path, _)| path.mailbox)
    }

    #[test]
    fn an_address_goes_on_as_it_was_sent() {
        for address in [
            "a@b",
            "First.Last+tag@Example.COM",
            "a!b%c@d.example",
            "u%ext@local",
            "\"quoted local\"@example.com",
            "\"a\\\"b\\\\c\"@example.com",
            "\"\"@example.com",
            "\"a@b\"@c",
            "a@[192.0.2.1]",
            "a@[IPv6:2001:db8::1]",
            "a@[ipv6:::1]",
            "a@xn--bcher-kva.example",
            "a@my_host",
            "用户@例子.广告",
            "a{b}|c~@d",
        ] {
            assert_eq!(mailbox(&format!("<{address}>")), Some(address));
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in [
            "",
            "<",
            "<>",
            "a@b",
            "<a@b",
            "a@b>",
            "<a>",
            "<@b>",
            "<a@>",
            "<a@b.>",
            "<a@.b>",
            "<a@b..c>",
            "<a@-b>",
            "<a@b->",
            "<.a@b>",
            "<a.@b>",
            "<a..b@c>",
            "<a b@c>",
            "<a@b c>",
            "<a\0@b>",
            "<a\x7f@b>",
            "<a\t@b>",
            "<\"a\rb\"@c>",
            "<\"a\nb\"@c>",
            "<\"a\0\"@c>",
            "<\"a<b\"@c>",
            "<\"a\\>b\"@c>",
            "<\"a@b>",
            "<\"a\"b@c>",
            "<a<@b>",
            "<<a@b>>",
            "<a@b<>",
            "<a(c)@b>",
            "<a@b@c>",
            "<a,b@c>",
            "<a@[1.2.3]>",
            "<a@[IPv6:zz]>",
            "<a@[x:y]>",
            "<a@[192.0.2.1>",
            "<@a:>",
            "<@a b@c>",
            "<@a,b:c@d>",
            "<a\u{85}b@c>",
            "<a\u{2028}b@c>",
            "<\"a\u{9b}\"@c>",
            "<\"a\\é\"@c>",
            "<postmaster@>",
            "< a@b>",
            "<a@b >",
        ] {
            assert_eq!(mailbox(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_source_route_is_left_out() {
        assert_eq!(mailbox("<@a:b@c>"), Some("b@c"));
        assert_eq!(mailbox("<@a.example,@[192.0.2.1]:\"x y\"@c>"), Some("\"x y\"@c"));
    }

    #[test]
    fn only_a_sender_may_be_null_and_only_postmaster_needs_no_domain() {
        assert_eq!(reverse("<> SIZE=1"), Ok((Path { mailbox: "", domain: "" }, " SIZE=1")));
        assert_eq!(mailbox("<PostMaster>"), Some("PostMaster"));
        assert_eq!(reverse("<postmaster>"), Err(NoPath));
    }

    #[test]
    fn each_length_is_accepted_at_its_limit_and_refused_one_past_it() {
        let local = |bytes| format!("<{}@b>", "a".repeat(bytes));
        assert!(mailbox(&local(LOCAL_PART_BYTES)).is_some());
        assert!(mailbox(&local(LOCAL_PART_BYTES + 1)).is_none());
        let quoted = |bytes: usize| format!("<\"{}\"@b>", "a".repeat(bytes - 2));
        assert!(mailbox(&quoted(LOCAL_PART_BYTES)).is_some());
        assert!(mailbox(&quoted(LOCAL_PART_BYTES + 1)).is_none());
        let label = |bytes| format!("<a@{}>", "b".repeat(bytes));
        assert!(mailbox(&label(LABEL_BYTES)).is_some());
        assert!(mailbox(&label(LABEL_BYTES + 1)).is_none());
        let path = |bytes: usize| format!("<a@{}{}>", "b.".repeat((bytes - 5) / 2), "b".repeat(1 + (bytes - 5) % 2));
        assert_eq!(path(PATH_BYTES).len(), PATH_BYTES);
        assert!(mailbox(&path(PATH_BYTES)).is_some());
        assert!(mailbox(&path(PATH_BYTES + 1)).is_none());
        assert!(domain(&"b.".repeat(DOMAIN_BYTES)).is_err(), "a label is empty");
    }

    #[test]
    fn text_beyond_ascii_is_known_as_such() {
        assert!(forward("<é@b>").unwrap().0.is_international());
        assert!(forward("<a@é>").unwrap().0.is_international());
        assert!(!forward("<a@b>").unwrap().0.is_international());
    }
}
