//! `mail.scored`: how much a message looks like spam.

use serde::{Deserialize, Serialize};

use crate::MessageId;

/// How much a message looks like spam; the first score and every later one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MailScored {
    pub message_id: MessageId,
    /// The offset of the message on `mail.raw`, in the same partition.
    pub raw_offset: i64,
    /// 0.0 (ham) to 1.0 (spam); 0.5 when nothing is known.
    pub score: f64,
    pub log_odds: f64,
    pub model: String,
    pub model_version: String,
    /// Grows with every model; 0 means that there was none.
    pub model_sequence: i64,
    /// The tokens that weighed most, heaviest first.
    pub tokens: Vec<TokenWeight>,
    /// The replay that made it, if one did.
    pub replay: Option<String>,
}

/// What a token added to the log-odds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenWeight {
    pub token: String,
    pub weight: f64,
}
