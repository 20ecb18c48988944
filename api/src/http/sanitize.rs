//! HTML from mail made harmless: a fragment that runs nothing, loads nothing and leads nowhere.
//!
//! Two steps. [`plain`] writes the document again with the few tags and attributes that are kept, so that what the
//! parser behind it can be made to do is bounded: hostile HTML makes HTML5 parsers work with the square of attributes
//! and depth, and copy open formatting elements into every paragraph. Then ammonia, which alone is trusted, cleans it.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::Builder;
use memchr::memchr;

/// Bytes of HTML that are shown.
pub const MAX_HTML_BYTES: usize = 8 * 1024 * 1024;
/// Nodes that the parser may have to make of the tags.
pub const MAX_NODES: usize = 200_000;
/// Elements inside one another.
pub const MAX_DEPTH: usize = 200;
/// Bytes of an attribute's value.
const MAX_VALUE_BYTES: usize = 1024;

/// Elements that HTML5 opens again in every paragraph until they are closed (HTML 13.2.4.3), three of a kind at most
/// where they have no attributes: they are kept without.
const FORMATTING: [&str; 10] = ["b", "code", "em", "i", "s", "small", "strike", "strong", "tt", "u"];
const OTHERS: [&str; 50] = [
    "abbr",
    "article",
    "aside",
    "bdi",
    "bdo",
    "blockquote",
    "br",
    "caption",
    "center",
    "cite",
    "col",
    "colgroup",
    "dd",
    "del",
    "details",
    "dfn",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "ins",
    "kbd",
    "li",
    "mark",
    "ol",
    "p",
    "pre",
    "q",
    "samp",
    "span",
    "sub",
    "summary",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
];
const LIST: &str = "ul";
/// What may stand in a paragraph.
const INLINE: [&str; 17] = [
    "abbr", "bdi", "bdo", "br", "cite", "del", "dfn", "ins", "kbd", "mark", "q", "samp", "span", "sub", "summary",
    "sup", "col",
];
const VOID: [&str; 3] = ["br", "col", "hr"];
const ATTRIBUTES: [&str; 13] = [
    "align",
    "border",
    "cellpadding",
    "cellspacing",
    "colspan",
    "dir",
    "lang",
    "rowspan",
    "span",
    "start",
    "title",
    "valign",
    "width",
];
/// Their content is no text.
const HIDDEN: [&str; 10] =
    ["script", "style", "title", "textarea", "xmp", "noscript", "noembed", "noframes", "iframe", "template"];

static HARMLESS: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::empty();
    builder
        .tags(FORMATTING.into_iter().chain(OTHERS).chain([LIST]).collect())
        .clean_content_tags(HIDDEN.into())
        .generic_attributes(ATTRIBUTES.into())
        .tag_attributes(HashMap::new())
        .url_schemes(HashSet::new())
        .link_rel(None)
        .strip_comments(true);
    builder
});
static KEPT: LazyLock<HashSet<&str>> = LazyLock::new(|| FORMATTING.into_iter().chain(OTHERS).chain([LIST]).collect());

/// The harmless part of a document.
pub fn fragment(html: &str) -> String {
    HARMLESS.clean(&plain(html)).to_string()
}

/// The document with kept tags only, and of those no more than the limits allow. Its text stays whole.
fn plain(html: &str) -> String {
    let html = html.get(..html.floor_char_boundary(MAX_HTML_BYTES)).unwrap_or_default();
    let mut writer = Writer { out: String::with_capacity(html.len() / 2), ..Writer::default() };
    let mut rest = html;
    while !rest.is_empty() {
        let text_end = memchr(b'<', rest.as_bytes()).unwrap_or(rest.len());
        let (text, after) = rest.split_at(text_end);
        writer.out.push_str(text);
        rest = match after.as_bytes() {
            [] => "",
            [b'<', b'!', b'-', b'-', ..] => behind(after, "-->"),
            [b'<', b'!' | b'?', ..] => behind(after, ">"),
            [b'<', b'/', letter, ..] if letter.is_ascii_alphabetic() => {
                let tag = Tag::read(after.get(2..).unwrap_or_default());
                writer.close(&tag.name);
                tag.rest
            }
            [b'<', letter, ..] if letter.is_ascii_alphabetic() => {
                let tag = Tag::read(after.get(1..).unwrap_or_default());
                writer.open(&tag);
                if HIDDEN.contains(&tag.name.as_str()) { behind_content(tag.rest, &tag.name) } else { tag.rest }
            }
            _ => {
                writer.out.push_str("&lt;");
                after.get(1..).unwrap_or_default()
            }
        };
    }
    writer.out
}

/// Writes tags that are nested as they should be, whatever was sent.
#[derive(Default)]
struct Writer {
    out: String,
    /// The elements that are open.
    open: Vec<&'static str>,
    /// How many of them are formatting.
    formatting: usize,
    nodes: usize,
}

impl Writer {
    fn open(&mut self, tag: &Tag<'_>) {
        let Some(name) = KEPT.get(tag.name.as_str()).copied() else { return };
        // The parser may open the formatting elements again around what follows.
        let nodes = 1 + self.formatting;
        if self.nodes + nodes > MAX_NODES {
            return;
        }
        while let Some(closed) = self.closed_by(name) {
            self.close_down_to(closed);
        }
        let is_void = VOID.contains(&name);
        let is_formatting = FORMATTING.contains(&name);
        if !is_void && self.open.len() >= MAX_DEPTH {
            return;
        }
        self.nodes += nodes;
        self.out.push('<');
        self.out.push_str(name);
        if !is_formatting {
            tag.attributes.iter().for_each(|(attribute, value)| self.attribute(attribute, value));
        }
        self.out.push('>');
        if !is_void {
            self.open.push(name);
            self.formatting += usize::from(is_formatting);
        }
    }

    /// Where the element is open that this one closes by itself (HTML 13.1.2.4), formatting inside it with it.
    fn closed_by(&self, name: &str) -> Option<usize> {
        let at = self.open.iter().rposition(|open| !FORMATTING.contains(open))?;
        let closes = match *self.open.get(at)? {
            "p" => !FORMATTING.contains(&name) && !INLINE.contains(&name),
            "li" => name == "li",
            "dt" | "dd" => matches!(name, "dt" | "dd"),
            "td" | "th" => matches!(name, "td" | "th" | "tr" | "tbody" | "tfoot"),
            "tr" => matches!(name, "tr" | "tbody" | "tfoot"),
            "thead" | "tbody" => matches!(name, "tbody" | "tfoot"),
            _ => false,
        };
        closes.then_some(at)
    }

    /// What is not open closes nothing, nor does what stands in a cell close what is around the table.
    fn close(&mut self, name: &str) {
        let Some(name) = KEPT.get(name).copied() else { return };
        let reaches_out = matches!(name, "table" | "caption" | "thead" | "tbody" | "tfoot" | "tr" | "td" | "th");
        for (at, open) in self.open.iter().enumerate().rev() {
            if *open == name {
                self.close_down_to(at);
                return;
            }
            if !reaches_out && matches!(*open, "td" | "th" | "caption") {
                return;
            }
        }
    }

    fn close_down_to(&mut self, at: usize) {
        while self.open.len() > at {
            let Some(name) = self.open.pop() else { return };
            self.formatting -= usize::from(FORMATTING.contains(&name));
            self.out.push_str("</");
            self.out.push_str(name);
            self.out.push('>');
        }
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        for character in value.chars() {
            match character {
                '"' => self.out.push_str("&quot;"),
                '<' => self.out.push_str("&lt;"),
                other => self.out.push(other),
            }
        }
        self.out.push('"');
    }
}

/// A tag's name in lower case, its attributes as far as they are kept, each once, and what follows the tag.
struct Tag<'a> {
    name: String,
    attributes: Vec<(&'static str, &'a str)>,
    rest: &'a str,
}

impl<'a> Tag<'a> {
    /// The tag whose name begins the text. HTML 13.2.5.32 to 13.2.5.40, in short.
    fn read(text: &'a str) -> Self {
        let name_end = text.find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>')).unwrap_or(text.len());
        let (name, mut rest) = text.split_at(name_end);
        let name = if name.len() > 10 { String::new() } else { name.to_ascii_lowercase() };
        let mut attributes: Vec<(&'static str, &str)> = Vec::new();
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
            if rest.is_empty() {
                return Self { name, attributes, rest };
            }
            if let Some(behind) = rest.strip_prefix('>') {
                return Self { name, attributes, rest: behind };
            }
            let (found, value, behind) = attribute(rest);
            let kept = ATTRIBUTES.into_iter().find(|kept| kept.eq_ignore_ascii_case(found));
            if let Some(kept) = kept
                && value.len() <= MAX_VALUE_BYTES
                && !attributes.iter().any(|(known, _)| *known == kept)
            {
                attributes.push((kept, value));
            }
            rest = behind;
        }
    }
}

/// The attribute at the front: its name, its value, and what follows. It takes one character at least.
fn attribute(text: &str) -> (&str, &str, &str) {
    let ends_name = |(at, c): &(usize, char)| *at > 0 && (c.is_ascii_whitespace() || matches!(c, '=' | '/' | '>'));
    let name_end = text.char_indices().find(ends_name).map_or(text.len(), |(at, _)| at);
    let (name, after) = text.split_at(name_end);
    let Some(value) = after.trim_ascii_start().strip_prefix('=') else { return (name, "", after) };
    let value = value.trim_ascii_start();
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let inside = value.get(1..).unwrap_or_default();
            let (value, behind) = inside.split_once(quote).unwrap_or((inside, ""));
            (name, value, behind)
        }
        _ => {
            let end = value.find(|c: char| c.is_ascii_whitespace() || c == '>').unwrap_or(value.len());
            let (value, behind) = value.split_at(end);
            (name, value, behind)
        }
    }
}

fn behind<'a>(text: &'a str, end: &str) -> &'a str {
    text.find(end).and_then(|at| text.get(at + end.len()..)).unwrap_or_default()
}

/// What follows an element whose content is no text; its end tag closes nothing any more.
fn behind_content<'a>(text: &'a str, name: &str) -> &'a str {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(at) = memchr(b'<', bytes.get(from..).unwrap_or_default()) {
        let start = from + at;
        let ends = bytes.get(start + 1) == Some(&b'/')
            && bytes.get(start + 2..start + 2 + name.len()).is_some_and(|n| n.eq_ignore_ascii_case(name.as_bytes()));
        if ends {
            return text.get(start..).unwrap_or_default();
        }
        from = start + 1;
    }
    ""
}

#[cfg(test)]
mod tests;
