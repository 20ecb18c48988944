//! `accounts`: who owns what. Every change is an event, and the earlier one wins.

use serde::{Deserialize, Serialize};

/// A change to an account or to what it owns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountEvent {
    /// Drawn by whoever asked for the change, so that it can see whether its own event won.
    pub event_id: String,
    /// Milliseconds since 1970.
    pub at: i64,
    /// The account that asked for it; null for the server itself.
    pub by: Option<String>,
    pub change: AccountChange,
}

/// In Avro a union of records, one a variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountChange {
    AccountCreated {
        account: String,
        email: String,
        admin: bool,
    },
    AccountRemoved {
        account: String,
    },
    /// A key is known by the SHA-256 of its text, in hexadecimal.
    KeyCreated {
        account: String,
        name: String,
        key_sha256: String,
    },
    KeyRevoked {
        account: String,
        key_sha256: String,
    },
    DomainAdded {
        domain: String,
        owner: String,
        private: bool,
    },
    DomainChanged {
        domain: String,
        private: bool,
        enable_websocket: bool,
    },
    DomainRemoved {
        domain: String,
    },
    AddressReserved {
        address: String,
        owner: String,
        settings: AddressSettings,
    },
    /// The settings as they are from now on; what has not changed is repeated.
    AddressChanged {
        address: String,
        settings: AddressSettings,
    },
    AddressReleased {
        address: String,
        owner: String,
    },
    /// The catch-all of a domain: `*@domain`, saved to `inbox`.
    CatchAllSet {
        domain: String,
        owner: String,
        inbox: String,
        settings: AddressSettings,
    },
    CatchAllRemoved {
        domain: String,
    },
    /// A forward is switched off, by its owner or because its receiver said so (`cause`), or on again. What is due
    /// meanwhile waits.
    ForwardSwitched {
        forward: String,
        owner: String,
        on: bool,
        cause: String,
    },
    /// Mail whose first score is over so many thousandths starts in the account's folder `spam`; `None` switches that off.
    SpamFolderSet {
        account: String,
        over_thousandths: Option<i32>,
    },
}

/// What an address or a catch-all is set to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressSettings {
    pub info: String,
    pub enable_websocket: bool,
    pub slack_to_from: bool,
    pub forwards: Vec<ForwardTarget>,
}

/// Where mail is told or sent on to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardTarget {
    /// The same for the same kind, account and target, however many rules name it.
    pub id: String,
    pub kind: ForwardKind,
    /// The URL, sealed with the installation's key; for mail the address as it is.
    #[serde(with = "crate::octets")]
    pub sealed_target: Vec<u8>,
    /// What a webhook is sent.
    pub payload: ForwardPayload,
    /// Whether a delivery waits until the one before it has ended.
    pub ordered: bool,
    /// What a webhook's calls are signed with, each sealed: the newest first, the one before it while it still counts.
    pub sealed_secrets: Vec<SealedSecret>,
}

impl ForwardTarget {
    /// A target with nothing else set.
    pub const fn new(id: String, kind: ForwardKind, sealed_target: Vec<u8>) -> Self {
        Self { id, kind, sealed_target, payload: ForwardPayload::Full, ordered: false, sealed_secrets: Vec::new() }
    }

    /// The address that mail is copied to; `None` for the other kinds.
    pub fn address(&self) -> Option<&str> {
        if self.kind == ForwardKind::Mail { std::str::from_utf8(&self.sealed_target).ok() } else { None }
    }
}

/// A secret, sealed with the installation's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSecret {
    #[serde(with = "crate::octets")]
    pub sealed: Vec<u8>,
}

/// What a webhook is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ForwardPayload {
    /// The message as JSON, with text, HTML, headers and raw bytes.
    #[default]
    Full,
    /// The message as JSON as lists show it.
    Thin,
    /// The bytes as they arrived.
    Raw,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ForwardKind {
    Webhook,
    Slack,
    Mail,
    /// A kind that this program doesn't know, since a newer one wrote it: nothing is sent.
    Unknown,
}
