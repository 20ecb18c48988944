//! `spam.models`: trained models.

use serde::{Deserialize, Serialize};

/// A trained model, under its name as key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpamModel {
    pub name: String,
    pub version: String,
    /// Grows with every model of this name, from 1.
    pub sequence: i64,
    /// Milliseconds since 1970.
    pub trained_at: i64,
    pub spam_messages: i64,
    pub ham_messages: i64,
    /// Token counts, in the form that the scorer reads.
    #[serde(with = "crate::octets")]
    pub counts: Vec<u8>,
}
