//! In how many messages of each kind a token stood. Integers only and nothing forgotten, so that what was learned can
//! be taken away exactly, in any order; a model that scores is made of them ([`Counts::to_event`]).
//!
//! A token is counted under the first [`KEY_BITS`] bits of its hash. So there are never more than 2^22 of them, whatever
//! people correct, and a token that nobody has seen meets a known one's counts once in dozens of times at most.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use schemas::event::SpamModel;
use sha2::{Digest, Sha256};

use super::form;
use super::starter;
use super::tokens::MAX_TOKENS;

/// Bits of a token's hash that it is counted under.
pub const KEY_BITS: u32 = 22;
/// How many messages of the training a person's correction counts for, and how many of its tokens that the starter does
/// not know. Measured on streams in which each error is corrected (docs/decisions/0024).
pub const CORRECTION_WEIGHT: u32 = 16;
/// A token that the starter knows counts for more: so many times the root of the messages that it stood in. A word of
/// hundreds of messages would not be moved by sixteen.
const KNOWN_WEIGHT: u32 = 2;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Spam,
    Ham,
}

/// How many messages of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) spam: u32,
    pub(crate) ham: u32,
}

impl Tally {
    fn of(&mut self, kind: Kind) -> &mut u32 {
        match kind {
            Kind::Spam => &mut self.spam,
            Kind::Ham => &mut self.ham,
        }
    }

    pub(crate) fn total(self) -> u32 {
        self.spam.saturating_add(self.ham)
    }
}

/// Counts of tokens and of messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub(crate) messages: Tally,
    pub(crate) tokens: HashMap<u32, Tally>,
}

impl Counts {
    /// What a fresh installation begins with.
    pub fn starter() -> Arc<Self> {
        starter::counts()
    }

    /// Counts a message of the training: its tokens as `hashes_to_train` gives them, of which [`MAX_TOKENS`] are taken.
    pub fn train(&mut self, hashes: &[u64], kind: Kind) {
        self.add(hashes, kind, 1, |_| 1);
    }

    /// Counts a message that a person corrected: its tokens as `hashes_of` gives them.
    pub fn learn(&mut self, hashes: &[u64], kind: Kind) {
        let starter = Self::starter();
        self.add(hashes, kind, CORRECTION_WEIGHT, |key| starter.weight_of(key));
    }

    /// Takes a correction back. It must have been learned: then nothing is left of it.
    pub fn unlearn(&mut self, hashes: &[u64], kind: Kind) {
        let starter = Self::starter();
        *self.messages.of(kind) = self.messages.of(kind).saturating_sub(CORRECTION_WEIGHT);
        for hash in bounded(hashes) {
            let key = key(*hash);
            let Entry::Occupied(mut entry) = self.tokens.entry(key) else { continue };
            let count = entry.get_mut().of(kind);
            *count = count.saturating_sub(starter.weight_of(key));
            if entry.get().total() == 0 {
                entry.remove();
            }
        }
    }

    /// The model that scores by these counts. The version is made of the content: same counts, same version and bytes.
    pub fn to_event(&self, name: &str, sequence: i64, trained_at: i64) -> SpamModel {
        let counts = form::encode(self);
        SpamModel {
            name: name.to_owned(),
            version: version_of(self.messages, &counts),
            sequence,
            trained_at,
            spam_messages: self.messages.spam.into(),
            ham_messages: self.messages.ham.into(),
            counts,
        }
    }

    pub fn spam_messages(&self) -> u32 {
        self.messages.spam
    }

    pub fn ham_messages(&self) -> u32 {
        self.messages.ham
    }

    /// How many tokens are counted.
    pub fn tokens(&self) -> usize {
        self.tokens.len()
    }

    fn add(&mut self, hashes: &[u64], kind: Kind, messages: u32, weight_of: impl Fn(u32) -> u32) {
        *self.messages.of(kind) = self.messages.of(kind).saturating_add(messages);
        for hash in bounded(hashes) {
            let key = key(*hash);
            let count = self.tokens.entry(key).or_default().of(kind);
            *count = count.saturating_add(weight_of(key));
        }
    }

    /// What a correction counts for this token, asked of the starter: the same before and behind every correction, so
    /// that what was added can be taken away.
    fn weight_of(&self, key: u32) -> u32 {
        let known = self.tokens.get(&key).map_or(0, |tally| tally.total());
        CORRECTION_WEIGHT + KNOWN_WEIGHT * known.isqrt()
    }
}

/// What a token is counted under.
pub(crate) fn key(hash: u64) -> u32 {
    (hash >> (u64::BITS - KEY_BITS)) as u32
}

fn bounded(hashes: &[u64]) -> &[u64] {
    hashes.get(..MAX_TOKENS).unwrap_or(hashes)
}

fn version_of(messages: Tally, counts: &[u8]) -> String {
    let mut digest = Sha256::new();
    digest.update(messages.spam.to_be_bytes());
    digest.update(messages.ham.to_be_bytes());
    digest.update(counts);
    digest.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes that are counted under keys of their own.
    fn hashes(range: std::ops::Range<u64>) -> Vec<u64> {
        range.map(|number| number << (u64::BITS - KEY_BITS)).collect()
    }

    #[test]
    fn a_correction_counts_for_more_where_the_starter_knows_a_token() {
        let starter = Counts::starter();
        let (common, tally) = starter.tokens.iter().max_by_key(|(_, tally)| tally.total()).unwrap();
        let unknown = (0..).find(|key| !starter.tokens.contains_key(key)).unwrap();
        let hash = |key: u32| u64::from(key) << (u64::BITS - KEY_BITS);
        let mut counts = Counts::default();
        counts.learn(&[hash(*common), hash(unknown)], Kind::Spam);
        let expected = CORRECTION_WEIGHT + 2 * f64::from(tally.total()).sqrt().floor() as u32;
        assert_eq!((counts.tokens[common].spam, counts.tokens[&unknown].spam), (expected, CORRECTION_WEIGHT));
        assert!(expected > 100 && counts.spam_messages() == CORRECTION_WEIGHT);
        counts.unlearn(&[hash(*common), hash(unknown)], Kind::Spam);
        assert_eq!(counts, Counts::default());
    }

    #[test]
    fn what_was_learned_is_taken_back_exactly_whatever_came_between() {
        let mut first = Counts::default();
        first.train(&hashes(0..50), Kind::Spam);
        first.train(&hashes(20..80), Kind::Ham);
        let mut counts = first.clone();
        counts.learn(&hashes(10..30), Kind::Ham);
        counts.learn(&hashes(70..90), Kind::Spam);
        counts.unlearn(&hashes(10..30), Kind::Ham);
        assert_ne!(counts, first);
        counts.unlearn(&hashes(70..90), Kind::Spam);
        assert_eq!(counts, first);
        assert_eq!(counts.to_event("default", 1, 0), first.to_event("default", 1, 0));
    }

    #[test]
    fn a_correction_of_a_million_tokens_is_counted_to_the_limit() {
        let mut counts = Counts::default();
        counts.learn(&hashes(0..1_000_000), Kind::Spam);
        assert_eq!(counts.tokens(), MAX_TOKENS);
        counts.unlearn(&hashes(0..1_000_000), Kind::Spam);
        assert_eq!(counts, Counts::default());
    }

    #[test]
    fn the_same_counts_make_the_same_model_in_whatever_order_they_came() {
        let (mut one, mut other) = (Counts::default(), Counts::default());
        one.train(&hashes(0..3000), Kind::Spam);
        one.train(&hashes(1000..4000), Kind::Ham);
        other.train(&hashes(1000..4000), Kind::Ham);
        other.train(&hashes(0..3000), Kind::Spam);
        assert_eq!(one.to_event("default", 1, 5), other.to_event("default", 1, 5));
        other.train(&hashes(0..1), Kind::Ham);
        assert_ne!(one.to_event("default", 1, 5).version, other.to_event("default", 1, 5).version);
    }
}
