//! One type for the value of each topic, and [`Event`], which is any of them.

mod account;
mod action;
mod correction;
mod dead;
mod forward;
mod model;
mod parsed;
mod raw;
mod released;
mod routed;
mod scored;

pub use account::{
    AccountChange, AccountEvent, AddressSettings, ForwardKind, ForwardPayload, ForwardTarget, SealedSecret,
};
pub use action::{ActionChange, MailAction};
pub use correction::{CorrectionScope, SpamCorrection, SpamVerdict};
pub use dead::DeadLetter;
pub use forward::{AttemptOutcome, ForwardAttempt, ForwardDue};
pub use model::SpamModel;
pub use parsed::{Address, Attachment, HeaderField, MailParsed};
pub use raw::{Door, MailRaw, Peer, Tls};
pub use released::ReleasedSchema;
pub use routed::{Folder, MailRouted, RoutedEntry};
pub use scored::{MailScored, TokenWeight};

use crate::Topic;

/// The value of a record of any topic.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Raw(MailRaw),
    Parsed(MailParsed),
    Scored(MailScored),
    Routed(MailRouted),
    Action(MailAction),
    Correction(SpamCorrection),
    Model(SpamModel),
    Account(AccountEvent),
    Due(ForwardDue),
    Attempt(ForwardAttempt),
    Dead(DeadLetter),
    Schema(ReleasedSchema),
}

impl Event {
    pub const fn topic(&self) -> Topic {
        match self {
            Self::Raw(_) => Topic::MailRaw,
            Self::Parsed(_) => Topic::MailParsed,
            Self::Scored(_) => Topic::MailScored,
            Self::Routed(_) => Topic::MailRouted,
            Self::Action(_) => Topic::MailActions,
            Self::Correction(_) => Topic::SpamCorrections,
            Self::Model(_) => Topic::SpamModels,
            Self::Account(_) => Topic::Accounts,
            Self::Due(_) => Topic::ForwardDue,
            Self::Attempt(_) => Topic::ForwardAttempts,
            Self::Dead(_) => Topic::DeadLetters,
            Self::Schema(_) => Topic::Schemas,
        }
    }
}
