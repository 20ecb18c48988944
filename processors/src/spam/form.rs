//! Counts in the form that `spam.models` carries: a byte for the form, then of every token, in rising order of the
//! keys, how far its key lies behind the last one, spam and ham, each in as few bytes as it needs (LEB128).
//!
//! A token is in it when it was seen in [`MIN_MESSAGES`] messages. Of more than [`MAX_MODEL_TOKENS`] the most frequent
//! are, and of equally frequent ones those with the lower key: a pure function of the counts.

use super::counts::{Counts, KEY_BITS, Tally};

/// Messages that a token must have stood in.
pub const MIN_MESSAGES: u32 = 2;
/// Tokens that a model may know.
pub const MAX_MODEL_TOKENS: usize = 1 << 18;
/// The first byte. Form 1 was never written by a program.
const FORM: u8 = 2;

/// A model on `spam.models` can't be used. The one before it stays in force.
#[derive(Debug, thiserror::Error)]
pub enum InvalidModel {
    #[error("its counts are in form {0:?}, and this program reads form {FORM}")]
    Form(Option<u8>),
    #[error("its counts end in the middle, or don't rise")]
    Counts,
    #[error("it knows more than the {MAX_MODEL_TOKENS} tokens that a model may know")]
    Tokens,
}

/// The counts that score.
pub(crate) fn encode(counts: &Counts) -> Vec<u8> {
    let mut kept: Vec<(u32, Tally)> = counts
        .tokens
        .iter()
        .filter(|(_, tally)| tally.total() >= MIN_MESSAGES)
        .map(|(key, tally)| (*key, *tally))
        .collect();
    if kept.len() > MAX_MODEL_TOKENS {
        kept.sort_unstable_by_key(|(key, tally)| (std::cmp::Reverse(tally.total()), *key));
        kept.truncate(MAX_MODEL_TOKENS);
    }
    written(kept)
}

/// All counts.
pub(crate) fn encode_all(counts: &Counts) -> Vec<u8> {
    written(counts.tokens.iter().map(|(key, tally)| (*key, *tally)).collect())
}

fn written(mut tokens: Vec<(u32, Tally)>) -> Vec<u8> {
    tokens.sort_unstable_by_key(|(key, _)| *key);
    let mut bytes = Vec::with_capacity(1 + tokens.len() * 5);
    bytes.push(FORM);
    let mut next = 0;
    for (key, tally) in tokens {
        for number in [key - next, tally.spam, tally.ham] {
            push_number(&mut bytes, number);
        }
        next = key + 1;
    }
    bytes
}

/// The tokens in rising order of their keys; not more than a model may know.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<(u32, Tally)>, InvalidModel> {
    read(bytes, MAX_MODEL_TOKENS)
}

/// The same, without that limit: there are never more than there are keys.
pub(crate) fn decode_all(bytes: &[u8]) -> Result<Vec<(u32, Tally)>, InvalidModel> {
    read(bytes, 1 << KEY_BITS)
}

fn read(bytes: &[u8], most: usize) -> Result<Vec<(u32, Tally)>, InvalidModel> {
    let (form, mut rest) = bytes.split_first().ok_or(InvalidModel::Form(None))?;
    if *form != FORM {
        return Err(InvalidModel::Form(Some(*form)));
    }
    let mut tokens = Vec::new();
    let mut next: u32 = 0;
    while !rest.is_empty() {
        if tokens.len() == most {
            return Err(InvalidModel::Tokens);
        }
        let mut number = || take_number(&mut rest).ok_or(InvalidModel::Counts);
        let key = next.checked_add(number()?).filter(|key| key >> KEY_BITS == 0).ok_or(InvalidModel::Counts)?;
        tokens.push((key, Tally { spam: number()?, ham: number()? }));
        next = key + 1;
    }
    Ok(tokens)
}

fn push_number(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push((number as u8) | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_number(rest: &mut &[u8]) -> Option<u32> {
    let mut number: u64 = 0;
    for shift in [0, 7, 14, 21, 28] {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return u32::try_from(number).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(tokens: impl IntoIterator<Item = (u32, u32, u32)>) -> Counts {
        let tokens = tokens.into_iter().map(|(key, spam, ham)| (key, Tally { spam, ham }));
        Counts { tokens: tokens.collect(), ..Counts::default() }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let last = (1 << KEY_BITS) - 1;
        let written = counts([(0, 2, 0), (1, 1, 1), (5, 127, 128), (70_000, u32::MAX, 0), (last, 0, u32::MAX)]);
        let read = decode(&encode(&written)).unwrap();
        assert_eq!(counts(read.iter().map(|(key, tally)| (*key, tally.spam, tally.ham))), written);
        assert!(read.is_sorted_by(|one, next| one.0 < next.0));
    }

    #[test]
    fn tokens_of_one_message_are_left_out() {
        assert_eq!(decode(&encode(&counts([(1, 1, 0), (2, 0, 1), (3, 1, 1)]))).unwrap().len(), 1);
    }

    #[test]
    fn of_too_many_tokens_the_most_frequent_are_kept() {
        let most = MAX_MODEL_TOKENS as u32;
        let mut many = counts((0..most + 2).map(|key| (key, 2, 0)));
        many.tokens.insert(most + 1, Tally { spam: 0, ham: 9 });
        let kept = decode(&encode(&many)).unwrap();
        assert_eq!(kept.len(), MAX_MODEL_TOKENS);
        assert_eq!(kept.last().unwrap().0, most + 1);
        assert_eq!(kept[kept.len() - 2].0, most - 2);
    }

    #[test]
    fn one_token_more_than_a_model_may_know_is_refused() {
        let token = [0, 2, 0];
        let full: Vec<u8> = [FORM].into_iter().chain(token.repeat(MAX_MODEL_TOKENS)).collect();
        assert_eq!(decode(&full).unwrap().len(), MAX_MODEL_TOKENS);
        let over: Vec<u8> = full.into_iter().chain(token).collect();
        assert!(matches!(decode(&over), Err(InvalidModel::Tokens)));
    }

    #[test]
    fn bytes_that_are_no_counts_are_refused() {
        assert!(matches!(decode(&[]), Err(InvalidModel::Form(None))));
        assert!(matches!(decode(&[1, 0, 2, 0]), Err(InvalidModel::Form(Some(1)))));
        for broken in [
            &[FORM, 1][..],
            &[FORM, 1, 2],
            &[FORM, 0x80],
            &[FORM, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1],
            &[FORM, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1],
            &[FORM, 0x80, 0x80, 0x80, 2, 1, 1],
        ] {
            assert!(matches!(decode(broken), Err(InvalidModel::Counts)), "{broken:?}");
        }
    }
}
