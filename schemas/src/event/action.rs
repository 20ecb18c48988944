//! `mail.actions`: what people did to an entry. Resulting values, never toggles, so that a repeat changes nothing.

use serde::{Deserialize, Serialize};

use super::Folder;
use crate::MessageId;

/// What somebody did to an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailAction {
    pub message_id: MessageId,
    /// Which entry of the message.
    pub index: i32,
    /// Milliseconds since 1970.
    pub at: i64,
    /// The account that did it.
    pub by: String,
    pub change: ActionChange,
}

/// In Avro a union of records, one a variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActionChange {
    Read {
        read: bool,
    },
    /// By whom it is kept; null is not starred.
    Starred {
        saved_by: Option<String>,
    },
    Labelled {
        label: String,
        present: bool,
    },
    Moved {
        folder: Folder,
    },
    Deleted {
        deleted: bool,
    },
}
