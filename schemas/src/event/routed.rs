//! `mail.routed`: the inboxes that a message is in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::MessageId;

/// All the entries of one message. A later record replaces the earlier one whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MailRouted {
    pub message_id: MessageId,
    /// The offset of the message on `mail.raw`, in the same partition.
    pub raw_offset: i64,
    /// Milliseconds since 1970, as on `mail.raw`.
    pub arrived_at: i64,
    pub entries: Vec<RoutedEntry>,
    /// The folder that entries start in, but for those in `spam`.
    pub folder: Folder,
    /// The first score.
    pub score: f64,
    /// The position of `accounts` at which this was decided: the offset of the next event.
    pub accounts_offset: i64,
    /// The replay that made it, if one did.
    pub replay: Option<String>,
}

/// A message in an inbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutedEntry {
    /// The index of the first recipient that led here: the entry's id is the message id, `-`, and this.
    pub index: i32,
    pub inbox: String,
    /// The address as it was sent, lower case.
    pub original_inbox: String,
    /// Every recipient that led here, as it was sent.
    pub recipients: Vec<String>,
    /// The forwards that apply, each once.
    pub forwards: Vec<String>,
    /// It starts in the folder `spam`, as its owner has set for mail over a score.
    pub starts_in_spam: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Folder {
    #[default]
    Inbox,
    All,
    Spam,
    Trash,
    Sent,
    Drafts,
}

impl Folder {
    pub const ALL: [Self; 6] = [Self::Inbox, Self::All, Self::Spam, Self::Trash, Self::Sent, Self::Drafts];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::All => "all",
            Self::Spam => "spam",
            Self::Trash => "trash",
            Self::Sent => "sent",
            Self::Drafts => "drafts",
        }
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Folder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|folder| folder.name() == text).ok_or_else(|| {
            format!("there is no folder {text:?}; the folders are {}", Self::ALL.map(Self::name).join(", "))
        })
    }
}
