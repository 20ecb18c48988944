//! Tokens of the body: words of text and HTML, hosts and path words of links, and tags and attributes that not every
//! HTML mail has.

use schemas::event::MailParsed;

use super::{IN_TEXT, MAX_TOKENS, Tokens, WORD_BYTES, words};
use crate::parse::{self, HtmlName};

const ROOM_FOR_LINKS: usize = 512;
const ROOM_FOR_HTML: usize = 256;
/// Tags and attributes that nearly every HTML mail has: a dozen tokens would all say the one thing that it is HTML, which
/// spam of 2002 was and ham was not.
const COMMON_TAGS: [&str; 17] = [
    "html", "head", "body", "a", "p", "br", "div", "table", "tr", "td", "meta", "title", "b", "i", "font", "img",
    "center",
];
const COMMON_ATTRIBUTES: [&str; 22] = [
    "href",
    "src",
    "width",
    "height",
    "border",
    "align",
    "cellpadding",
    "cellspacing",
    "color",
    "size",
    "face",
    "bgcolor",
    "style",
    "class",
    "content",
    "http-equiv",
    "name",
    "valign",
    "alt",
    "charset",
    "type",
    "id",
];
/// Bytes of the longest name of a tag or an attribute.
const MAX_NAME_BYTES: usize = 40;

pub(super) fn add<'a>(tokens: &mut Tokens<'a>, parsed: &'a MailParsed) {
    tokens.open(ROOM_FOR_LINKS);
    parsed.links.iter().for_each(|link| add_link(tokens, link));
    if let Some(html) = &parsed.html {
        tokens.open(ROOM_FOR_HTML);
        add_names(tokens, html);
    }
    tokens.open(MAX_TOKENS);
    if let Some(text) = &parsed.text {
        tokens.add_words("", text, IN_TEXT);
    }
    if let Some(html) = &parsed.html
        && !tokens.is_full()
    {
        let text = parse::html_as_text(html);
        for word in words(&text, IN_TEXT) {
            tokens.push("", word.to_owned());
        }
    }
}

/// The host and every domain above it, and the words of the path.
fn add_link<'a>(tokens: &mut Tokens<'a>, link: &'a str) {
    let Some((_, rest)) = link.split_once("://") else { return };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let mut domain = host;
    while let Some((_, above)) = domain.split_once('.') {
        if WORD_BYTES.contains(&domain.len()) {
            tokens.push("link:", domain.to_ascii_lowercase());
        }
        domain = above;
    }
    tokens.add_words("path:", path, &[]);
}

fn add_names(tokens: &mut Tokens<'_>, html: &str) {
    parse::html_names(html, |found| {
        let (prefix, common, name) = match found {
            HtmlName::Tag(name) => ("tag:", COMMON_TAGS.as_slice(), name),
            HtmlName::Attribute(name) => ("attribute:", COMMON_ATTRIBUTES.as_slice(), name),
        };
        let is_common = || common.iter().any(|common| name.eq_ignore_ascii_case(common));
        if name.len() <= MAX_NAME_BYTES && !tokens.is_full() && !is_common() {
            tokens.push(prefix, name.to_ascii_lowercase());
        }
    });
}
