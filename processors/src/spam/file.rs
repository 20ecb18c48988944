//! Counts as a file: `postlog spam train` writes it, and the starter is one. A line for people and programs that look
//! what it is, messages of each kind, the counts in the form of the topic but with the tokens of one message too, and
//! the first bytes of its SHA-256, so that half a file is not taken for a whole one. No time and no text stands in it:
//! the same training makes the same bytes.

use sha2::{Digest, Sha256};

use super::counts::{Counts, Tally};
use super::form::{self, InvalidModel};

const HEAD: &[u8] = b"postlog spam model 1\n";
const CHECK_BYTES: usize = 8;
/// Bytes of the largest model file: every token counted, in as many bytes as it may take.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// A file is no model.
#[derive(Debug, thiserror::Error)]
pub enum InvalidFile {
    #[error("it is no model of this program: it does not begin with \"postlog spam model 1\"")]
    Head,
    #[error("it is cut off or damaged")]
    Damaged,
    #[error(transparent)]
    Counts(#[from] InvalidModel),
}

impl Counts {
    pub fn to_file(&self) -> Vec<u8> {
        let mut bytes = HEAD.to_vec();
        bytes.extend_from_slice(&self.messages.spam.to_be_bytes());
        bytes.extend_from_slice(&self.messages.ham.to_be_bytes());
        bytes.extend_from_slice(&form::encode_all(self));
        let check = check(&bytes);
        bytes.extend_from_slice(&check);
        bytes
    }

    pub fn from_file(bytes: &[u8]) -> Result<Self, InvalidFile> {
        if !bytes.starts_with(HEAD) {
            return Err(InvalidFile::Head);
        }
        let (content, found) = bytes.split_last_chunk::<CHECK_BYTES>().ok_or(InvalidFile::Damaged)?;
        if check(content) != *found {
            return Err(InvalidFile::Damaged);
        }
        let content = content.get(HEAD.len()..).ok_or(InvalidFile::Damaged)?;
        let (spam, rest) = content.split_first_chunk::<4>().ok_or(InvalidFile::Damaged)?;
        let (ham, counts) = rest.split_first_chunk::<4>().ok_or(InvalidFile::Damaged)?;
        Ok(Self {
            messages: Tally { spam: u32::from_be_bytes(*spam), ham: u32::from_be_bytes(*ham) },
            tokens: form::decode_all(counts)?.into_iter().collect(),
        })
    }
}

fn check(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let digest = Sha256::digest(bytes);
    let mut check = [0; CHECK_BYTES];
    check.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    check
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    fn counts() -> Counts {
        let mut counts = Counts::default();
        counts.train(&[1 << 50, 2 << 50], Kind::Spam);
        counts.train(&[2 << 50, 3 << 50], Kind::Ham);
        counts
    }

    #[test]
    fn a_file_holds_what_was_counted_the_tokens_of_one_message_too() {
        assert_eq!(Counts::from_file(&counts().to_file()).unwrap(), counts());
        assert_eq!(counts().to_file(), counts().to_file());
    }

    #[test]
    fn a_file_that_is_cut_off_damaged_or_another_is_refused() {
        let whole = counts().to_file();
        for length in 0..whole.len() {
            assert!(Counts::from_file(&whole[..length]).is_err(), "{length}");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert!(Counts::from_file(&damaged).is_err(), "{at}");
        }
        assert!(matches!(Counts::from_file(b"Subject: x\n\n"), Err(InvalidFile::Head)));
    }
}
