//! The table itself, and what can be asked of it.

use std::collections::{BTreeMap, HashMap};

use schemas::event::AddressSettings;
use serde::{Deserialize, Serialize};

/// Accounts and what they own, as the events up to `offset` say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The offset of the next event on `accounts`.
    pub(crate) offset: u64,
    pub(crate) accounts: BTreeMap<String, Account>,
    /// The account behind the SHA-256 of a key.
    pub(crate) keys: HashMap<String, String>,
    pub(crate) domains: BTreeMap<String, Domain>,
    pub(crate) addresses: BTreeMap<String, Reserved>,
    pub(crate) catch_alls: BTreeMap<String, CatchAll>,
    /// The reserved address behind the local part of an alternate address (`inbox-<hash>`).
    pub(crate) alternates: HashMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub id: String,
    pub email: String,
    pub admin: bool,
    pub keys: Vec<Key>,
    pub created_at: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    pub name: String,
    pub sha256: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    pub domain: String,
    pub owner: String,
    pub private: bool,
    pub enable_websocket: bool,
    pub created_at: i64,
    pub updated_at: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserved {
    pub address: String,
    pub owner: String,
    pub settings: AddressSettings,
    /// The event that reserved it: whoever asked for that event has won.
    pub event_id: String,
    /// The local part of its alternate address, `inbox-<hash>`.
    pub alternate: String,
    pub created_at: i64,
    pub updated_at: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatchAll {
    pub domain: String,
    pub owner: String,
    pub inbox: String,
    pub settings: AddressSettings,
    pub event_id: String,
    pub created_at: i64,
    pub updated_at: i64,
}

/// What an account may do with an inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It owns the address, or its domain.
    Own,
    /// Nobody owns it: everybody with a key may read it and remove single mails.
    Public,
    /// It belongs to somebody else.
    Other,
}
