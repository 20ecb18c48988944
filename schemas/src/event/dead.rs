//! `dead.letters`: what could not be processed.

use serde::{Deserialize, Serialize};

use super::HeaderField;

/// A record that could not be processed: where it stood, why, and the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// `topic/partition/offset` of the record.
    pub origin: String,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// The stage that could not process it.
    pub stage: String,
    pub cause: String,
    /// When the log took the record, in milliseconds since 1970.
    pub timestamp: i64,
    #[serde(with = "crate::octets::optional")]
    pub key: Option<Vec<u8>>,
    pub headers: Vec<HeaderField>,
    #[serde(with = "crate::octets")]
    pub value: Vec<u8>,
}
