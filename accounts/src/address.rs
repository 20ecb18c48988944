//! What an address is, and its one spelling. Everything that names an inbox goes through [`normalise`], so that two
//! spellings of one address never become two inboxes.
//!
//! The spelling: lower case throughout; the quotes of a local part go where the part needs none; the dot behind a
//! domain goes. Nothing is trimmed: a blank at either end is no address. Domains in Unicode and in their `xn--` form
//! stay as they are sent, and are two domains: the tables that make them one belong to a resolver, not here.
//! Dots may stand anywhere in a local part, since real addresses have them at the end and two in a row.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// RFC 5321 4.5.3.1.3: a path is at most 256 octets, its two brackets included.
pub const MAX_ADDRESS_BYTES: usize = 254;
/// RFC 1035 2.3.4, written as text without the dot of the root.
pub const MAX_DOMAIN_BYTES: usize = 253;
/// RFC 1035 2.3.4.
pub const MAX_LABEL_BYTES: usize = 63;

/// The domain of an address that was sent without one, such as `<postmaster>` (RFC 5321 4.5.1).
pub const DEFAULT_DOMAIN: &str = "localhost";

/// The text is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    #[error("it has no @")]
    NoAt,
    #[error("it is longer than {MAX_ADDRESS_BYTES} bytes")]
    TooLong,
    #[error("there is nothing before the @, or something that an address can't have there")]
    Local,
    #[error("what follows the @ is no domain")]
    Domain,
}

/// The one spelling of an address.
pub fn normalise(text: &str) -> Result<String, InvalidAddress> {
    // An address that is far too long is not worth lower-casing.
    if text.len() > MAX_ADDRESS_BYTES + 2 {
        return Err(InvalidAddress::TooLong);
    }
    let lower = text.to_lowercase();
    let (local, domain) = split_domain(&lower).ok_or(InvalidAddress::NoAt)?;
    let local = local_part(local).ok_or(InvalidAddress::Local)?;
    let domain = domain_part(domain).ok_or(InvalidAddress::Domain)?;
    let address = format!("{local}@{domain}");
    if address.len() > MAX_ADDRESS_BYTES { Err(InvalidAddress::TooLong) } else { Ok(address) }
}

/// The one spelling of a domain.
pub fn normalise_domain(text: &str) -> Result<String, InvalidAddress> {
    if text.len() > MAX_DOMAIN_BYTES + 2 {
        return Err(InvalidAddress::Domain);
    }
    let lower = text.to_lowercase();
    domain_part(&lower).map(str::to_owned).ok_or(InvalidAddress::Domain)
}

/// An address's local part and its domain.
pub fn split_domain(address: &str) -> Option<(&str, &str)> {
    address.rsplit_once('@')
}

/// The address without its plus tag; `None` when it has none. What needs quotes has no tag.
pub(crate) fn without_tag(address: &str) -> Option<String> {
    let (local, domain) = split_domain(address)?;
    let (base, _tag) = local.split_once('+')?;
    if base.is_empty() || local.starts_with('"') { None } else { Some(format!("{base}@{domain}")) }
}

/// The spelling of whatever a door accepted as a recipient: total, so that no accepted mail is without an inbox.
/// [`normalise`] takes every result and leaves it as it is.
pub(crate) fn recipient(text: &str) -> String {
    let bare = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(text);
    if let Ok(address) = normalise(bare) {
        return address;
    }
    // RFC 5321 4.1.1.3: a source route is ignored.
    if let Some(Ok(address)) =
        bare.starts_with('@').then(|| bare.rsplit_once(':')).flatten().map(|(_, to)| normalise(to))
    {
        return address;
    }
    if let Ok(address) = normalise(&format!("{bare}@{DEFAULT_DOMAIN}")) {
        return address;
    }
    odd(bare)
}

/// An address for what is none: the text as a quoted local part, marked by its hash when it had to be changed.
fn odd(text: &str) -> String {
    let lower = text.to_lowercase();
    let (local, domain) = match split_domain(&lower) {
        Some((local, domain)) => match domain_part(domain) {
            Some(domain) => (local, domain),
            None => (lower.as_str(), DEFAULT_DOMAIN),
        },
        None => (lower.as_str(), DEFAULT_DOMAIN),
    };
    const HASH_DIGITS: usize = 16;
    // Two quotes, the @, and the mark with its hyphen.
    let room = MAX_ADDRESS_BYTES.saturating_sub(domain.len() + 4 + HASH_DIGITS);
    let mut readable = String::new();
    for character in local.chars() {
        let character = if may_be_quoted(character) && !matches!(character, '"' | '\\') { character } else { '?' };
        if readable.len() + character.len_utf8() > room {
            break;
        }
        readable.push(character);
    }
    let digest = hex(&Sha256::digest(text.as_bytes()));
    let mark = digest.get(..HASH_DIGITS).unwrap_or_default();
    let address = format!("\"{readable}-{mark}\"@{domain}");
    // One spelling: without quotes where none are needed.
    normalise(&address).unwrap_or_else(|_| format!("{mark}@{DEFAULT_DOMAIN}"))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A local part in its one spelling.
fn local_part(local: &str) -> Option<String> {
    let Some(quoted) = local.strip_prefix('"') else {
        let plain = !local.is_empty() && local.chars().all(may_be_plain);
        return plain.then(|| local.to_owned());
    };
    let content = unquoted(quoted.strip_suffix('"')?)?;
    if !content.is_empty() && content.chars().all(may_be_plain) {
        return Some(content);
    }
    let mut spelled = String::with_capacity(content.len() + 2);
    spelled.push('"');
    for character in content.chars() {
        if matches!(character, '"' | '\\') {
            spelled.push('\\');
        }
        spelled.push(character);
    }
    spelled.push('"');
    Some(spelled)
}

/// What stands between the quotes (RFC 5321 4.1.2, `Quoted-string`).
fn unquoted(text: &str) -> Option<String> {
    let mut content = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let meant = match character {
            '\\' => characters.next()?,
            '"' => return None,
            other => other,
        };
        if !may_be_quoted(meant) {
            return None;
        }
        content.push(meant);
    }
    Some(content)
}

/// RFC 5321 4.1.2 with RFC 6531 3.3: a domain, or an address literal.
fn domain_part(domain: &str) -> Option<&str> {
    if let Some(literal) = domain.strip_prefix('[') {
        let inside = literal.strip_suffix(']')?;
        let sound = !inside.is_empty()
            && inside.len() <= MAX_DOMAIN_BYTES
            && inside.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'-' | b'%'));
        return sound.then_some(domain);
    }
    let name = domain.strip_suffix('.').unwrap_or(domain);
    let sound = name.len() <= MAX_DOMAIN_BYTES
        && name
            .split('.')
            .all(|label| !label.is_empty() && label.len() <= MAX_LABEL_BYTES && label.chars().all(may_be_in_label));
    sound.then_some(name)
}

/// RFC 5322 3.2.3 `atext` with RFC 6532, and dots.
fn may_be_plain(character: char) -> bool {
    match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' => true,
        character if character.is_ascii() => "!#$%&'*+-/=?^_`{|}~".contains(character),
        character => is_visible(character),
    }
}

fn may_be_quoted(character: char) -> bool {
    if character.is_ascii() { character == ' ' || character.is_ascii_graphic() } else { is_visible(character) }
}

fn may_be_in_label(character: char) -> bool {
    match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => true,
        character if character.is_ascii() => false,
        // Other ways to write a dot would split the name for one reader and not for another.
        '\u{3002}' | '\u{ff0e}' | '\u{ff61}' => false,
        character => is_visible(character),
    }
}

/// Neither a blank, nor a control, nor a mark that turns or hides what stands beside it.
fn is_visible(character: char) -> bool {
    let hidden = matches!(character,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !character.is_control() && !character.is_whitespace() && !hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_address_becomes_one() {
        for (sent, spelled) in [
            ("Ann@Example.COM", "ann@example.com"),
            ("ann@example.com.", "ann@example.com"),
            ("\"ann\"@example.com", "ann@example.com"),
            ("\"a\\nn\"@example.com", "ann@example.com"),
            ("\"two words\"@x.org", "\"two words\"@x.org"),
            ("\"a@b\"@x.org", "\"a@b\"@x.org"),
            ("\"a\\\"b\"@x.org", "\"a\\\"b\"@x.org"),
            ("\"\"@x.org", "\"\"@x.org"),
            ("*@x.org", "*@x.org"),
            ("a..b.@x.org", "a..b.@x.org"),
            ("a+tag@x", "a+tag@x"),
            ("PELÉ@BÜCHER.example", "pelé@bücher.example"),
            ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
            ("a@[127.0.0.1]", "a@[127.0.0.1]"),
            ("a@[IPv6:::1]", "a@[ipv6:::1]"),
            ("user%other.org@x.org", "user%other.org@x.org"),
        ] {
            assert_eq!(normalise(sent).as_deref(), Ok(spelled), "{sent}");
            assert_eq!(normalise(spelled).as_deref(), Ok(spelled), "{spelled} again");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "@",
            "a",
            "a@",
            "@x.org",
            " a@x.org",
            "a@x.org ",
            "a b@x.org",
            "a@x..org",
            "a@.org",
            "a@x.org..",
            "<a@x.org>",
            "a@x.org\r\nBcc: b@x.org",
            "\"a\r\nb\"@x.org",
            "a\0@x.org",
            "a@x\u{3002}org",
            "a@[x",
            "a@[]",
            "a,b@x.org",
            "\"a@x.org",
            "a\"b@x.org",
            "\"a\"b\"@x.org",
            "a@b c",
            "a@x_y!",
            "a\u{202e}b@x.org",
            "a@x\u{200b}.org",
        ] {
            assert!(normalise(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_address_of_254_bytes_is_one_and_of_255_is_none() {
        let longest = format!("{}@example.com", "a".repeat(MAX_ADDRESS_BYTES - 12));
        assert_eq!(normalise(&longest).as_deref(), Ok(longest.as_str()));
        assert_eq!(normalise(&format!("a{longest}")), Err(InvalidAddress::TooLong));
    }

    #[test]
    fn a_label_of_63_bytes_is_one_and_of_64_is_none() {
        assert!(normalise_domain(&format!("{}.org", "a".repeat(MAX_LABEL_BYTES))).is_ok());
        assert!(normalise_domain(&format!("{}.org", "a".repeat(MAX_LABEL_BYTES + 1))).is_err());
    }

    #[test]
    fn a_domain_of_253_bytes_is_one_and_of_254_is_none() {
        let longest = format!("{}a", "abc.".repeat(63));
        assert_eq!(longest.len(), MAX_DOMAIN_BYTES);
        assert!(normalise_domain(&longest).is_ok());
        assert!(normalise_domain(&format!("{longest}b")).is_err());
    }

    #[test]
    fn the_tag_is_what_follows_the_first_plus() {
        for (address, base) in [
            ("a+b@x.org", Some("a@x.org")),
            ("a+b+c@x.org", Some("a@x.org")),
            ("a+@x.org", Some("a@x.org")),
            ("a@x.org", None),
            ("+b@x.org", None),
            ("\"a b+c\"@x.org", None),
        ] {
            assert_eq!(without_tag(address).as_deref(), base, "{address}");
        }
    }

    #[test]
    fn whatever_was_accepted_gets_an_address_that_stays() {
        let long = "a".repeat(1000);
        let long_domain = format!("a@{}", "b.".repeat(500));
        for text in [
            "postmaster",
            "<Ann@X.org>",
            "@a.org,@b.org:c@d.org",
            "",
            "@",
            "a b@x.org",
            "\0@x.org",
            "a@x y",
            "@@@",
            "a\r\nRCPT TO:<b@x.org>",
            "\"@x.org",
            "\"\"\"@x.org",
            "\u{202e}@x.org",
            &long,
            &long_domain,
            "undisclosed-recipients:;",
            "a@\u{3002}",
        ] {
            let address = recipient(text);
            assert_eq!(normalise(&address).as_deref(), Ok(address.as_str()), "{text:?}");
        }
        assert_eq!(recipient("Postmaster"), "postmaster@localhost");
        assert_eq!(recipient("<Ann@X.org>"), "ann@x.org");
        assert_eq!(recipient("@a.org,@b.org:c@d.org"), "c@d.org");
        assert_eq!(recipient("a b@x.org"), format!("\"a b-{}\"@x.org", mark("a b@x.org")));
        assert_ne!(recipient(&format!("{long}b")), recipient(&format!("{long}c")));
    }

    fn mark(text: &str) -> String {
        hex(&Sha256::digest(text.as_bytes()))[..16].to_owned()
    }
}
