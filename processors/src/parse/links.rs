//! The links of a message: `http` and `https` addresses that stand in its text, and in its HTML as text or as `href`
//! of `a` and `area`. Images and style sheets (`src`) are no links: nobody is meant to follow them.

use std::collections::HashSet;

use memchr::memmem;

use super::html::{Token, Tokens, attribute, entities};
use super::limits::{MAX_LINK_BYTES, MAX_LINKS};

/// Links in the order in which they stand, each once.
#[derive(Debug, Default)]
pub(crate) struct Links {
    found: Vec<String>,
    known: HashSet<String>,
    /// There are more than are kept.
    pub(crate) over: bool,
}

impl Links {
    pub(crate) fn into_list(self) -> Vec<String> {
        self.found
    }

    pub(crate) fn add_text(&mut self, text: &str) {
        let mut from = 0;
        while let Some(at) = memmem::find(text.as_bytes().get(from..).unwrap_or_default(), b"://") {
            let colon = from + at;
            from = colon + 3;
            let before = text.get(..colon).unwrap_or_default();
            let Some(start) = scheme_start(before) else { continue };
            let rest = text.get(start..).unwrap_or_default();
            let end = rest.find(ends_link).unwrap_or(rest.len());
            if end > MAX_LINK_BYTES {
                from = start + end;
                continue;
            }
            let link = without_punctuation(rest.get(..end).unwrap_or_default());
            from = from.max(start + link.len());
            self.add(link);
            if self.over {
                return;
            }
        }
    }

    pub(crate) fn add_html(&mut self, html: &str) {
        for token in Tokens::of(html) {
            match token {
                Token::Text(text) => self.add_text(&entities(text)),
                Token::Tag { name, is_end: false, attributes }
                    if name.eq_ignore_ascii_case("a") || name.eq_ignore_ascii_case("area") =>
                {
                    if let Some(url) = attribute(attributes, "href") {
                        let url: String = url.chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).collect();
                        self.add(url.trim());
                    }
                }
                Token::Tag { .. } => (),
            }
            if self.over {
                return;
            }
        }
    }

    fn add(&mut self, link: &str) {
        let lower = link.as_bytes().get(..8).unwrap_or(link.as_bytes()).to_ascii_lowercase();
        let has_scheme = lower.starts_with(b"http://") || lower.starts_with(b"https://");
        let host_at = if lower.starts_with(b"https") { 8 } else { 7 };
        let is_whole = link.len() > host_at && link.len() <= MAX_LINK_BYTES && !link.contains(char::is_control);
        if !has_scheme || !is_whole || self.known.contains(link) {
            return;
        }
        if self.found.len() >= MAX_LINKS {
            self.over = true;
            return;
        }
        self.known.insert(link.to_owned());
        self.found.push(link.to_owned());
    }
}

/// Where the scheme begins that ends before a colon.
fn scheme_start(before: &str) -> Option<usize> {
    ["https", "http"].iter().find_map(|scheme| {
        let start = before.len().checked_sub(scheme.len())?;
        before.get(start..).filter(|found| found.eq_ignore_ascii_case(scheme)).map(|_| start)
    })
}

fn ends_link(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || matches!(character, '<' | '>' | '"' | '`' | '|' | '\\' | '^' | '{' | '}')
}

/// Without what belongs to the sentence around it: punctuation, and brackets that were opened before the link.
fn without_punctuation(link: &str) -> &str {
    let count = |bracket: char| link.matches(bracket).count();
    let mut surplus_round = count(')').saturating_sub(count('('));
    let mut surplus_square = count(']').saturating_sub(count('['));
    link.trim_end_matches(|character| match character {
        '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' => true,
        ')' => take_one(&mut surplus_round),
        ']' => take_one(&mut surplus_square),
        _ => false,
    })
}

fn take_one(count: &mut usize) -> bool {
    let is_there = *count > 0;
    *count = count.saturating_sub(1);
    is_there
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_text(text: &str) -> Vec<String> {
        let mut links = Links::default();
        links.add_text(text);
        links.into_list()
    }

    #[test]
    fn links_in_a_text_end_where_the_sentence_goes_on() {
        for (text, expected) in [
            ("see https://x.org/a?b=c#d, please", vec!["https://x.org/a?b=c#d"]),
            ("(http://x.org/a_(b))", vec!["http://x.org/a_(b)"]),
            ("<HTTPS://X.org/>.", vec!["HTTPS://X.org/"]),
            ("https://x.org https://x.org http://y.org!", vec!["https://x.org", "http://y.org"]),
            ("ftp://x.org xhttp:// http://", vec![]),
            ("[link](https://x.org/é)", vec!["https://x.org/é"]),
            ("https://x.org/?u=http://y.org", vec!["https://x.org/?u=http://y.org"]),
        ] {
            assert_eq!(of_text(text), expected, "{text}");
        }
    }

    #[test]
    fn links_in_html_stand_in_href_or_in_the_text() {
        let mut links = Links::default();
        links.add_html(
            "<link href=\"https://css.example/\"><img src=\"https://img.example/\"><a href=' https://a.example/?x&amp;y '>t</a>\
             <area href=https://b.example/>https://c.example/&amp; <script>https://d.example/</script><a href='mailto:x@y'>m</a>",
        );
        assert_eq!(links.into_list(), ["https://a.example/?x&y", "https://b.example/", "https://c.example/&"]);
    }

    #[test]
    fn two_hundred_links_are_kept_and_not_one_more() {
        let text = |count: usize| (0..count).map(|n| format!("http://x.org/{n} ")).collect::<String>();
        let mut links = Links::default();
        links.add_text(&text(MAX_LINKS));
        assert!(!links.over);
        links.add_text(&text(MAX_LINKS + 1));
        assert!(links.over);
        assert_eq!(links.into_list().len(), MAX_LINKS);
    }

    #[test]
    fn a_link_of_two_kilobytes_is_kept_and_a_longer_one_is_not() {
        let longest = format!("http://x.org/{}", "a".repeat(MAX_LINK_BYTES - 13));
        assert_eq!(of_text(&longest), std::slice::from_ref(&longest));
        assert!(of_text(&format!("{longest}a")).is_empty());
    }
}
