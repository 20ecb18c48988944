//! The two ids that everybody sees: a message, and a message in an inbox (an entry).

use std::fmt;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// A message: 26 characters of Crockford's base 32 in lower case (a ULID), so ids sort by arrival.
/// Drawn once, when the message arrives; every other id is derived from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct MessageId(String);

/// A message in an inbox: the message id, `-`, and the index of the first recipient that led there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId {
    pub message: MessageId,
    pub index: u32,
}

/// The text is not an id of this kind.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not an id")]
pub struct InvalidId(String);

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 26;

impl MessageId {
    /// The id of a message that arrived at `arrived_at_ms`, with 80 random bits.
    pub fn from_parts(arrived_at_ms: i64, random: [u8; 10]) -> Self {
        let mut bits: u128 = u128::from(arrived_at_ms.max(0).unsigned_abs() & 0xffff_ffff_ffff);
        for byte in random {
            bits = (bits << 8) | u128::from(byte);
        }
        let text = (0..LENGTH)
            .rev()
            .map(|digit| {
                let index = usize::try_from((bits >> (digit * 5)) & 31).unwrap_or(0);
                char::from(ALPHABET.get(index).copied().unwrap_or(b'0'))
            })
            .collect();
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for MessageId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = text.len() == LENGTH && text.bytes().all(|byte| ALPHABET.contains(&byte));
        if known { Ok(Self(text.to_owned())) } else { Err(InvalidId(text.chars().take(64).collect())) }
    }
}

/// What is read is checked, whoever wrote it.
impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.message, self.index)
    }
}

impl FromStr for EntryId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidId(text.chars().take(64).collect());
        let (message, index) = text.split_once('-').ok_or_else(invalid)?;
        let canonical = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
        if !canonical || (index.len() > 1 && index.starts_with('0')) {
            return Err(invalid());
        }
        Ok(Self { message: message.parse()?, index: index.parse().map_err(|_| invalid())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_arrival_and_read_back() {
        let early = MessageId::from_parts(1_700_000_000_000, [0xff; 10]);
        let late = MessageId::from_parts(1_700_000_000_001, [0; 10]);
        assert!(early < late);
        assert_eq!(early.as_str().parse::<MessageId>().unwrap(), early);
        let entry = EntryId { message: late, index: 12 };
        assert_eq!(entry.to_string().parse::<EntryId>().unwrap(), entry);
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let id = MessageId::from_parts(0, [0; 10]);
        for text in
            [String::new(), id.to_string(), format!("{id}-"), format!("{id}-01"), format!("{id}-x"), "../x-0".into()]
        {
            assert!(text.parse::<EntryId>().is_err(), "{text}");
        }
    }
}
