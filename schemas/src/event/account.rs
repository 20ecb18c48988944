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
    /// URL or address, sealed with the installation's key.
    #[serde(with = "crate::octets")]
    pub sealed_target: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ForwardKind {
    Webhook,
    Slack,
    Mail,
    /// A kind that this program doesn't know, since a newer one wrote it: nothing is sent.
    Unknown,
}
