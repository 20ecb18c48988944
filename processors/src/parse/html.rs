//! HTML as tags and text, just well enough to find links and to read it as text. Nothing is made safe here: that is
//! for whoever shows it. One pass; what is not closed swallows the rest, as it does in a browser.

use std::borrow::Cow;

use mail_parser::decoders::html::add_html_token;
use memchr::{memchr, memmem};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    Text(&'a str),
    Tag { name: &'a str, is_end: bool, attributes: &'a str },
}

/// The tokens of a document. Comments, scripts, styles and titles are left out.
pub(crate) struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    pub(crate) fn of(html: &'a str) -> Self {
        Self { rest: html }
    }

    /// Takes so many bytes off the front.
    fn take(&mut self, bytes: usize) -> &'a str {
        match self.rest.split_at_checked(bytes) {
            Some((taken, rest)) => {
                self.rest = rest;
                taken
            }
            None => std::mem::take(&mut self.rest),
        }
    }

    fn skip_through(&mut self, end: &str) {
        let bytes = memmem::find(self.rest.as_bytes(), end.as_bytes()).map_or(self.rest.len(), |at| at + end.len());
        self.take(bytes);
    }

    /// Skips what stands in an element whose content is no text.
    fn skip_content(&mut self, name: &str) {
        let mut from = 0;
        while let Some(at) = memmem::find(self.rest.as_bytes().get(from..).unwrap_or_default(), b"</") {
            let start = from + at + 2;
            let found = self.rest.as_bytes().get(start..start + name.len());
            if found.is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes())) {
                self.take(start - 2);
                return;
            }
            from = start;
        }
        self.rest = "";
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let bytes = self.rest.as_bytes();
            let first = bytes.first()?;
            if *first != b'<' {
                let end = memchr(b'<', bytes).unwrap_or(bytes.len());
                return Some(Token::Text(self.take(end)));
            }
            match bytes.get(1) {
                Some(b'!') if bytes.starts_with(b"<!--") => self.skip_through("-->"),
                Some(b'!' | b'?') => self.skip_through(">"),
                Some(b'/') if bytes.get(2).is_some_and(u8::is_ascii_alphabetic) => {
                    self.take(2);
                    return Some(self.tag(true));
                }
                Some(letter) if letter.is_ascii_alphabetic() => {
                    self.take(1);
                    return Some(self.tag(false));
                }
                _ => return Some(Token::Text(self.take(1))),
            }
        }
    }
}

impl<'a> Tokens<'a> {
    /// The tag whose name is at the front.
    fn tag(&mut self, is_end: bool) -> Token<'a> {
        let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-');
        let name_end = self.rest.bytes().position(|byte| !in_name(&byte)).unwrap_or(self.rest.len());
        let name = self.take(name_end);
        let inside = self.take(tag_end(self.rest.as_bytes()));
        let attributes = inside.strip_suffix('>').unwrap_or(inside);
        if !is_end && ["script", "style", "title"].iter().any(|raw| name.eq_ignore_ascii_case(raw)) {
            self.skip_content(name);
        }
        Token::Tag { name, is_end, attributes }
    }
}

/// Behind the `>` that ends a tag; one in a quoted value does not.
fn tag_end(bytes: &[u8]) -> usize {
    let mut at = 0;
    let mut after_equals = false;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'>' => return at + 1,
            b'"' | b'\'' if after_equals => {
                let Some(closing) = memchr(*byte, bytes.get(at + 1..).unwrap_or_default()) else { return bytes.len() };
                at += closing + 1;
                after_equals = false;
            }
            b'=' => after_equals = true,
            byte if byte.is_ascii_whitespace() => (),
            _ => after_equals = false,
        }
        at += 1;
    }
    bytes.len()
}

/// The value of an attribute, entities decoded. The name is given in lower case.
pub(crate) fn attribute<'a>(attributes: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let named = Attributes::of(attributes).find(|(found, _)| found.eq_ignore_ascii_case(name));
    named.and_then(|(_, value)| value).map(entities)
}

/// The attributes of a tag: their names as written, and their values, entities not decoded.
pub(crate) struct Attributes<'a> {
    rest: &'a str,
}

impl<'a> Attributes<'a> {
    pub(crate) fn of(attributes: &'a str) -> Self {
        Self { rest: attributes }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, Option<&'a str>);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if rest.is_empty() {
            return None;
        }
        // A name is never empty here, so every turn takes something off.
        let name_end = rest.char_indices().skip(1).find(|(_, c)| c.is_ascii_whitespace() || matches!(c, '=' | '/'));
        let (name, after) = rest.split_at_checked(name_end.map_or(rest.len(), |(at, _)| at))?;
        let Some(value) = after.trim_ascii_start().strip_prefix('=') else {
            self.rest = after;
            return Some((name, None));
        };
        let value = value.trim_ascii_start();
        let (value, after_value) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let inside = value.get(1..).unwrap_or_default();
                inside.split_once(quote).unwrap_or((inside, ""))
            }
            _ => value.split_at_checked(value.find(|c: char| c.is_ascii_whitespace()).unwrap_or(value.len()))?,
        };
        self.rest = after_value;
        Some((name, Some(value)))
    }
}

/// The longest name of an entity, with its `&` and `;`.
const MAX_ENTITY_BYTES: usize = 40;

/// The text with its entities decoded.
pub(crate) fn entities(text: &str) -> Cow<'_, str> {
    if memchr(b'&', text.as_bytes()).is_none() {
        return text.into();
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, entity) = rest.split_at(at);
        decoded.push_str(before);
        let window = entity.as_bytes().get(..MAX_ENTITY_BYTES).unwrap_or(entity.as_bytes());
        let name = memchr(b';', window).and_then(|end| entity.split_at_checked(end + 1));
        let is_name =
            |name: &str| name.bytes().skip(1).all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'#' | b';'));
        match name.filter(|(name, _)| is_name(name)) {
            Some((name, after)) => {
                add_html_token(&mut decoded, name.as_bytes(), false);
                rest = after;
            }
            None => {
                decoded.push('&');
                rest = entity.get(1..).unwrap_or_default();
            }
        }
    }
    decoded.push_str(rest);
    decoded.into()
}

/// A document that shows a text: one `div`, line ends as `<br />`.
pub(crate) fn from_text(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 128);
    html.push_str("<!DOCTYPE html><html><head><meta charset=\"utf-8\" /></head><body>");
    add_text(&mut html, text);
    html.push_str("</body></html>");
    html
}

/// A text as a `div` of a document.
pub(crate) fn add_text(html: &mut String, text: &str) {
    html.push_str("<div>");
    for character in text.trim_end_matches('\n').chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\n' => html.push_str("<br />\n"),
            other => html.push(other),
        }
    }
    html.push_str("</div>");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(html: &str) -> Vec<String> {
        Tokens::of(html)
            .map(|token| match token {
                Token::Text(text) => text.to_owned(),
                Token::Tag { name, is_end, attributes } => {
                    format!("{}{name}|{attributes}", if is_end { "/" } else { "" })
                }
            })
            .collect()
    }

    #[test]
    fn tags_end_where_they_end_in_a_browser() {
        for (html, tokens) in [
            ("a<b>c</b>", vec!["a", "b|", "c", "/b|"]),
            ("<a href=\"x>y\">z", vec!["a| href=\"x>y\"", "z"]),
            ("<a title='don\"t'>z", vec!["a| title='don\"t'", "z"]),
            ("<p don't>z", vec!["p| don't", "z"]),
            ("1 < 2", vec!["1 ", "<", " 2"]),
            ("<!-- <a> -->x<!-- open <a>", vec!["x"]),
            ("<!doctype html>x", vec!["x"]),
            ("<style>a<b</STYLE>x", vec!["style|", "/STYLE|", "x"]),
            ("<script>never closed <a>", vec!["script|"]),
            ("<a href=\"open >z", vec!["a| href=\"open >z"]),
            ("<", vec!["<"]),
            ("</", vec!["<", "/"]),
            ("<br/>é", vec!["br|/", "é"]),
        ] {
            assert_eq!(spelled(html), tokens, "{html}");
        }
    }

    #[test]
    fn attributes_are_found_however_they_are_written() {
        for (attributes, value) in [
            (" href=\"a&amp;b\"", Some("a&b")),
            (" class=x HREF = 'y z' ", Some("y z")),
            (" href=plain>", Some("plain>")),
            (" nohref data-href=\"n\"", None),
            (" href", None),
            (" =\"x\" href=y", Some("y")),
            (" a=\"1\"href=2/", Some("2/")),
            (" \"x\"=1 href=\"open", Some("open")),
        ] {
            assert_eq!(attribute(attributes, "href").as_deref(), value, "{attributes}");
        }
    }

    #[test]
    fn entities_are_decoded_and_what_is_none_stays() {
        assert_eq!(entities("a &lt;&#65;&#x42;&eacute; & &nosuch; &&amp;"), "a <ABé & &nosuch; &&");
        assert_eq!(entities("&#xFFFFFF;&#99999999999;"), "\u{fffd}&#99999999999;");
    }

    #[test]
    fn a_text_becomes_a_document_that_shows_it() {
        assert!(from_text("a<b>\nc\n").ends_with("<body><div>a&lt;b&gt;<br />\nc</div></body></html>"));
    }
}
