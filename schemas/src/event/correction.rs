//! `spam.corrections`: what people say of a message, as hashes of its tokens. The last record of a key counts, for ever.

use serde::{Deserialize, Serialize};

use crate::MessageId;

/// What a person says of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpamCorrection {
    pub message_id: MessageId,
    /// Whose word it is: the owner of the inbox, or the administrator where nobody owns it.
    pub account: String,
    /// Milliseconds since 1970.
    pub at: i64,
    /// The account that said it.
    pub by: String,
    pub verdict: SpamVerdict,
    pub scope: CorrectionScope,
    /// The hashes of the message's tokens. Avro has no unsigned numbers: each is the same 64 bits, signed.
    pub tokens: Vec<i64>,
}

impl SpamCorrection {
    /// The key of its record: one word a message and account.
    pub fn key(&self) -> String {
        format!("{}/{}", self.message_id, self.account)
    }

    pub fn hashes(&self) -> Vec<u64> {
        self.tokens.iter().map(|token| token.cast_unsigned()).collect()
    }
}

/// What a message is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SpamVerdict {
    /// Nothing any more: the correction before it counts no longer.
    TakenBack,
    Spam,
    Ham,
}

/// Whose mail is scored by a correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CorrectionScope {
    /// It counts in the model for all.
    Everybody,
    /// It counts in the model for all, and in the account's own.
    Account,
}
