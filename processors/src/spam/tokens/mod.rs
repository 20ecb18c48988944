//! A message as its tokens, each once. A token is a word with what it was: `subject:Buy`, `link:shop.example`,
//! `received:Postfix`; words of the text and of the HTML, read as text, have no prefix and keep their case. Models know
//! a token by its hash, so that they hold no text of anybody's mail.
//!
//! Some tokens only people teach: they say by which way and list a message came, which in a training tells where its
//! mail was gathered, and in corrections which senders somebody wants. They are no part of what a training counts.
//!
//! Every kind of token has a room of its own, so that a flood of one can't push out the others.

mod body;
mod header;

use std::borrow::Cow;
use std::collections::HashSet;

use schemas::event::MailParsed;

use super::hash;

/// Tokens of one message that are looked at.
pub const MAX_TOKENS: usize = 4096;
/// Words of one message that are looked at, those that repeat themselves counted.
const MAX_WORDS: usize = 64 * 1024;
/// Bytes of the shortest and of the longest word that is a token.
const WORD_BYTES: std::ops::RangeInclusive<usize> = 2..=40;

/// A token, and what it is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) hash: u64,
    prefix: &'static str,
    word: Cow<'a, str>,
    only_people_teach: bool,
}

impl Token<'_> {
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.prefix, self.word)
    }
}

/// What a message is made of, for the classifier: the hashes of its tokens, at most [`MAX_TOKENS`], in rising order,
/// each once.
pub fn hashes_of(parsed: &MailParsed) -> Vec<u64> {
    hashes(of(parsed).iter())
}

/// What a training counts of a message: all but the tokens that only people teach.
pub fn hashes_to_train(parsed: &MailParsed) -> Vec<u64> {
    hashes(of(parsed).iter().filter(|token| !token.only_people_teach))
}

pub(crate) fn hashes<'a>(tokens: impl Iterator<Item = &'a Token<'a>>) -> Vec<u64> {
    let mut hashes: Vec<u64> = tokens.map(|token| token.hash).collect();
    hashes.sort_unstable();
    hashes
}

/// The same tokens as people read them, in the order in which they stand.
pub fn tokens_of(parsed: &MailParsed) -> Vec<String> {
    of(parsed).iter().map(Token::text).collect()
}

/// The tokens of a message, in the order in which they stand.
pub(crate) fn of(parsed: &MailParsed) -> Vec<Token<'_>> {
    let mut tokens = Tokens::default();
    header::add(&mut tokens, parsed);
    body::add(&mut tokens, parsed);
    tokens.list
}

#[derive(Default)]
struct Tokens<'a> {
    list: Vec<Token<'a>>,
    known: HashSet<u64>,
    words: usize,
    /// How many tokens there may be when the present room is full.
    room: usize,
    only_people_teach: bool,
}

impl<'a> Tokens<'a> {
    /// What comes has room for so many tokens.
    fn open(&mut self, room: usize) {
        self.room = (self.list.len() + room).min(MAX_TOKENS);
    }

    /// Whether there is no use in looking any further.
    fn is_full(&self) -> bool {
        self.list.len() >= self.room || self.words >= MAX_WORDS
    }

    fn push(&mut self, prefix: &'static str, word: impl Into<Cow<'a, str>>) {
        if self.is_full() {
            return;
        }
        let word = word.into();
        self.words += 1;
        let hash = hash::of(&[prefix, &word]);
        if self.known.insert(hash) {
            let only_people_teach = self.only_people_teach;
            self.list.push(Token { hash, prefix, word, only_people_teach });
        }
    }

    /// The words of a text in which these characters are parts of words, and don't stand at their ends.
    fn add_words(&mut self, prefix: &'static str, text: &'a str, inner: &'static [char]) {
        for word in words(text, inner) {
            self.push(prefix, word);
            if self.is_full() {
                return;
            }
        }
    }
}

/// Characters that are inside words of a text, but not at their ends.
const IN_TEXT: &[char] = &['\'', '-'];

fn words<'a>(text: &'a str, inner: &'static [char]) -> impl Iterator<Item = &'a str> {
    let is_part =
        |character: char| character.is_alphanumeric() || matches!(character, '_' | '$') || inner.contains(&character);
    text.split(move |character| !is_part(character))
        .map(move |word| word.trim_matches(inner))
        .filter(|word| WORD_BYTES.contains(&word.len()))
}
