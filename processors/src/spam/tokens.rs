//! A message as its tokens: words of text and of HTML as they are written, and of subject and sender with a prefix.
//! Each counts once. Tokens are known by a hash, so that a model holds no text of anybody's mail.

use std::collections::HashSet;

use schemas::event::MailParsed;
use sha2::{Digest, Sha256};

/// Tokens of one message that are looked at.
pub const MAX_TOKENS: usize = 4096;
/// Bytes of the shortest and of the longest word that is a token.
const WORD_BYTES: std::ops::RangeInclusive<usize> = 2..=40;

/// The tokens of a message, each once, in the order in which they stand.
pub fn of(parsed: &MailParsed) -> Vec<String> {
    let mut tokens = Tokens::default();
    tokens.add("subject:", &parsed.subject);
    for from in &parsed.from {
        tokens.add("from:", &from.name);
        tokens.add("from:", &from.address);
    }
    for header in &parsed.headers {
        tokens.push(format!("header:{}", header.name.to_ascii_lowercase()));
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

/// What a model knows a token by: the first 64 bits of its SHA-256.
pub fn hash(token: &str) -> u64 {
    let digest = Sha256::digest(token.as_bytes());
    digest.iter().take(8).fold(0, |hash, byte| (hash << 8) | u64::from(*byte))
}

#[derive(Default)]
struct Tokens {
    list: Vec<String>,
    known: HashSet<u64>,
}

impl Tokens {
    fn add(&mut self, prefix: &str, text: &str) {
        let is_part = |character: char| character.is_alphanumeric() || matches!(character, '$' | '\'' | '-' | '.');
        for word in text.split(|character| !is_part(character)) {
            if self.list.len() >= MAX_TOKENS {
                return;
            }
            let word = word.trim_matches(['\'', '-', '.']);
            if WORD_BYTES.contains(&word.len()) {
                self.push(format!("{prefix}{word}"));
            }
        }
    }

    fn push(&mut self, token: String) {
        if self.list.len() < MAX_TOKENS && self.known.insert(hash(&token)) {
            self.list.push(token);
        }
    }
}
