//! A message as its tokens: words of text and of HTML as they are written, and of subject and sender with a prefix.
//! Each counts once. Tokens are known by a hash, so that a model holds no text of anybody's mail.

use std::collections::HashSet;

use schemas::event::MailParsed;

use super::hash;

/// Tokens of one message that are looked at.
pub const MAX_TOKENS: usize = 4096;
/// Bytes of the shortest and of the longest word that is a token.
const WORD_BYTES: std::ops::RangeInclusive<usize> = 2..=40;

/// A token, and what it is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) hash: u64,
    prefix: &'a str,
    word: String,
}

impl Token<'_> {
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.prefix, self.word)
    }
}

/// What a message is made of, for the classifier: the hashes of its tokens, at most [`MAX_TOKENS`], in rising order,
/// each once. The same message has the same hashes for ever.
pub fn hashes_of(parsed: &MailParsed) -> Vec<u64> {
    let mut hashes: Vec<u64> = of(parsed).iter().map(|token| token.hash).collect();
    hashes.sort_unstable();
    hashes
}

/// The tokens of a message, each once, in the order in which they stand.
pub(crate) fn of(parsed: &MailParsed) -> Vec<Token<'_>> {
    let mut tokens = Tokens::default();
    tokens.add("subject:", &parsed.subject);
    for from in &parsed.from {
        tokens.add("from:", &from.name);
        tokens.add("from:", &from.address);
    }
    for header in &parsed.headers {
        tokens.push("header:", &header.name.to_ascii_lowercase());
    }
    for link in &parsed.links {
        tokens.add("link:", link);
    }
    tokens.add("", parsed.text.as_deref().unwrap_or_default());
    if let Some(html) = &parsed.html {
        tokens.add("", &crate::parse::html_as_text(html));
    }
    tokens.list
}

#[derive(Default)]
struct Tokens<'a> {
    list: Vec<Token<'a>>,
    known: HashSet<u64>,
}

impl<'a> Tokens<'a> {
    fn add(&mut self, prefix: &'a str, text: &str) {
        let is_part = |character: char| character.is_alphanumeric() || matches!(character, '$' | '\'' | '-' | '.');
        for word in text.split(|character| !is_part(character)) {
            if self.list.len() >= MAX_TOKENS {
                return;
            }
            let word = word.trim_matches(['\'', '-', '.']);
            if WORD_BYTES.contains(&word.len()) {
                self.push(prefix, word);
            }
        }
    }

    fn push(&mut self, prefix: &'a str, word: &str) {
        let hash = hash::of(&[prefix, word]);
        if self.list.len() < MAX_TOKENS && self.known.insert(hash) {
            self.list.push(Token { hash, prefix, word: word.to_owned() });
        }
    }
}
