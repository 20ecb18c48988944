//! Names, keys, partitions and retention of every topic, in one place: topics are created from [`Topic::ALL`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A topic of the message log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Topic {
    #[serde(rename = "mail.raw")]
    MailRaw,
    #[serde(rename = "mail.parsed")]
    MailParsed,
    #[serde(rename = "mail.scored")]
    MailScored,
    #[serde(rename = "mail.routed")]
    MailRouted,
    #[serde(rename = "mail.actions")]
    MailActions,
    #[serde(rename = "spam.corrections")]
    SpamCorrections,
    #[serde(rename = "spam.models")]
    SpamModels,
    #[serde(rename = "accounts")]
    Accounts,
    #[serde(rename = "forward.due")]
    ForwardDue,
    #[serde(rename = "forward.attempts")]
    ForwardAttempts,
    #[serde(rename = "dead.letters")]
    DeadLetters,
    #[serde(rename = "schemas")]
    Schemas,
}

/// How many partitions a topic has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partitions {
    /// As many as the installation's `log.partitions`, fixed when the topics are created.
    Many,
    /// One: its events have a single order on every node.
    One,
}

/// What may be removed from a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// What is older than `mail.raw`'s first record: a fact is kept as long as the mail that caused it.
    AsRaw,
    /// What is older than the age and size set for `mail.raw`.
    RawRetention,
    /// What is older than the longest that the store keeps mail.
    AsStore,
    /// What is older than so many days.
    Days(u32),
    /// Everything.
    ForEver,
    /// The last record of each key.
    Compacted,
}

impl Topic {
    pub const ALL: [Self; 12] = [
        Self::MailRaw,
        Self::MailParsed,
        Self::MailScored,
        Self::MailRouted,
        Self::MailActions,
        Self::SpamCorrections,
        Self::SpamModels,
        Self::Accounts,
        Self::ForwardDue,
        Self::ForwardAttempts,
        Self::DeadLetters,
        Self::Schemas,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::MailRaw => "mail.raw",
            Self::MailParsed => "mail.parsed",
            Self::MailScored => "mail.scored",
            Self::MailRouted => "mail.routed",
            Self::MailActions => "mail.actions",
            Self::SpamCorrections => "spam.corrections",
            Self::SpamModels => "spam.models",
            Self::Accounts => "accounts",
            Self::ForwardDue => "forward.due",
            Self::ForwardAttempts => "forward.attempts",
            Self::DeadLetters => "dead.letters",
            Self::Schemas => "schemas",
        }
    }

    pub const fn partitions(self) -> Partitions {
        match self {
            Self::MailRaw
            | Self::MailParsed
            | Self::MailScored
            | Self::MailRouted
            | Self::MailActions
            | Self::ForwardDue
            | Self::ForwardAttempts => Partitions::Many,
            Self::SpamCorrections | Self::SpamModels | Self::Accounts | Self::DeadLetters | Self::Schemas => {
                Partitions::One
            }
        }
    }

    pub const fn kept(self) -> Kept {
        match self {
            Self::MailRaw => Kept::RawRetention,
            Self::MailParsed | Self::MailScored | Self::MailRouted => Kept::AsRaw,
            Self::MailActions => Kept::AsStore,
            Self::ForwardAttempts | Self::DeadLetters => Kept::Days(30),
            Self::Accounts => Kept::ForEver,
            Self::SpamCorrections | Self::SpamModels | Self::ForwardDue | Self::Schemas => Kept::Compacted,
        }
    }

    /// The registry's subject by the topic name strategy: `<topic>-value`.
    pub fn subject(self) -> String {
        format!("{}-value", self.name())
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text is not the name of a topic.
#[derive(Debug, thiserror::Error)]
#[error("there is no topic {0:?}; the topics are {list}", list = Topic::ALL.map(Topic::name).join(", "))]
pub struct UnknownTopic(pub String);

impl FromStr for Topic {
    type Err = UnknownTopic;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|topic| topic.name() == text).ok_or_else(|| UnknownTopic(text.to_owned()))
    }
}
