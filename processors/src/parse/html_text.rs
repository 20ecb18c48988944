//! HTML read as text: blocks become lines, and links become footnotes.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::html::{Token, Tokens, attribute, entities};
use super::limits::{MAX_LINK_BYTES, MAX_LINKS};

/// What a document says. With `footnotes`, `[1]` stands behind a link's text, and `[1] URL` at the end.
pub(crate) fn to_text(html: &str, footnotes: bool) -> String {
    let mut page = Page { text: String::with_capacity(html.len() / 2), blank: false, keep_blanks: 0 };
    let mut notes = Notes::default();
    let mut open_link: Option<usize> = None;
    for token in Tokens::of(html) {
        match token {
            Token::Text(text) => page.add(&entities(text)),
            Token::Tag { name, is_end, attributes } => {
                if name.eq_ignore_ascii_case("a") {
                    if let Some(number) = open_link.take() {
                        page.mark(number);
                    }
                    if footnotes && !is_end {
                        open_link = attribute(attributes, "href").and_then(|url| notes.number(&url));
                    }
                }
                page.tag(name, is_end);
            }
        }
    }
    if let Some(number) = open_link {
        page.mark(number);
    }
    page.finish(&notes)
}

/// The links of a document, each under its number.
#[derive(Default)]
struct Notes {
    urls: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Notes {
    fn number(&mut self, url: &str) -> Option<usize> {
        let url = url.trim();
        if let Some(number) = self.numbers.get(url) {
            return Some(*number);
        }
        let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase())?;
        let leads_somewhere = matches!(scheme.as_str(), "http" | "https" | "mailto") && !url.contains(char::is_control);
        if !leads_somewhere || url.len() > MAX_LINK_BYTES || self.urls.len() >= MAX_LINKS {
            return None;
        }
        self.urls.push(url.to_owned());
        self.numbers.insert(url.to_owned(), self.urls.len());
        Some(self.urls.len())
    }
}

struct Page {
    text: String,
    /// A blank stands between what is there and what comes.
    blank: bool,
    /// How many elements are open in which blanks count.
    keep_blanks: usize,
}

impl Page {
    fn add(&mut self, text: &str) {
        if self.keep_blanks > 0 {
            self.text.push_str(text);
            return;
        }
        let is_blank = |character: char| character.is_ascii_whitespace() || character == '\u{a0}';
        for word in text.split_inclusive(is_blank) {
            let bare = word.trim_end_matches(is_blank);
            if !bare.is_empty() {
                if self.blank && !self.text.is_empty() && !self.text.ends_with('\n') {
                    self.text.push(' ');
                }
                self.text.push_str(bare);
                self.blank = false;
            }
            self.blank = self.blank || bare.len() < word.len();
        }
    }

    fn mark(&mut self, number: usize) {
        let _ = write!(self.text, " [{number}]");
    }

    fn tag(&mut self, name: &str, is_end: bool) {
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "br" => {
                self.text.push('\n');
                self.blank = false;
            }
            "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "ul" | "ol" | "table" | "blockquote" | "dl" | "hr" => {
                self.lines(2);
            }
            "pre" => {
                self.lines(2);
                self.keep_blanks = if is_end { self.keep_blanks.saturating_sub(1) } else { self.keep_blanks + 1 };
            }
            "li" if !is_end => {
                self.lines(1);
                self.text.push_str("* ");
            }
            "div" | "tr" | "li" | "dt" | "dd" | "section" | "article" | "header" | "footer" | "main" | "nav"
            | "form" | "fieldset" | "address" | "center" | "caption" | "body" => self.lines(1),
            "td" | "th" => self.blank = true,
            _ => (),
        }
    }

    /// At least so many line ends stand before what comes.
    fn lines(&mut self, count: usize) {
        self.blank = false;
        if self.text.is_empty() {
            return;
        }
        let there = self.text.bytes().rev().take(count).take_while(|byte| *byte == b'\n').count();
        for _ in there..count {
            self.text.push('\n');
        }
    }

    fn finish(mut self, notes: &Notes) -> String {
        let end = self.text.trim_end().len();
        self.text.truncate(end);
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        for (index, url) in notes.urls.iter().enumerate() {
            if index == 0 && !self.text.is_empty() {
                self.text.push('\n');
            }
            let _ = writeln!(self.text, "[{}] {url}", index + 1);
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_become_lines_and_blanks_one() {
        for (html, text) in [
            ("<p>One  \n two</p><p>three</p>", "One two\n\nthree\n"),
            ("a<br>b<br/><br/>c", "a\nb\n\nc\n"),
            ("<div>a</div><div>b</div>", "a\nb\n"),
            ("<ul><li>a<li>b</ul>c", "* a\n* b\n\nc\n"),
            ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc\n"),
            ("<pre>a\n  b</pre>", "a\n  b\n"),
            ("<head><title>t</title><style>s</style></head>x &amp; y&nbsp;z", "x & y z\n"),
            ("Hello <b>wor</b>ld", "Hello world\n"),
            ("", ""),
        ] {
            assert_eq!(to_text(html, true), text, "{html}");
        }
    }

    #[test]
    fn links_become_footnotes_each_once() {
        let html = "<p>Go <a href=\"https://x.org/?a=1&amp;b=2\">here</a> or <a href='https://y.org'>there</a>, \
                    <a href=\"https://x.org/?a=1&amp;b=2\">here</a> <a href=\"#top\">up</a> <a href=\"javascript:x\">no</a>";
        let text = "Go here [1] or there [2], here [1] up no\n\n[1] https://x.org/?a=1&b=2\n[2] https://y.org\n";
        assert_eq!(to_text(html, true), text);
        assert_eq!(to_text(html, false), "Go here or there, here up no\n");
    }
}
