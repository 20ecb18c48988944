//! The table itself, and what can be asked of it.

use std::collections::{BTreeMap, HashMap};

use schemas::event::{AddressSettings, ForwardKind, ForwardTarget};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::address::{hex, split_domain};
use crate::forwards::Rules;

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
    /// Forwards that are switched off. A forward that no rule names any more is forgotten, and on when it comes again.
    pub(crate) switched_off: BTreeMap<String, SwitchedOff>,
    /// The rules that name a forward, by its id.
    pub(crate) rules: Rules,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub id: String,
    pub email: String,
    pub admin: bool,
    pub keys: Vec<Key>,
    pub created_at: i64,
    /// Mail whose first score is over so many thousandths starts in the folder `spam`.
    #[serde(default)]
    pub spam_over_thousandths: Option<u16>,
}

/// The most that a score can be, in thousandths.
pub const MAX_SCORE_THOUSANDTHS: u16 = 1000;

impl Account {
    /// Whether mail of this score starts in the account's folder `spam`.
    pub fn takes_as_spam(&self, score: f64) -> bool {
        self.spam_over_thousandths.is_some_and(|over| score * f64::from(MAX_SCORE_THOUSANDTHS) > f64::from(over))
    }
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

/// Why a forward is off, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchedOff {
    /// Empty when its owner did it.
    pub cause: String,
    pub at: i64,
}

/// A forward, and the rule that names it; the first one, where several do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward<'a> {
    pub owner: &'a str,
    /// The address, or the inbox of the catch-all.
    pub rule: &'a str,
    pub settings: &'a AddressSettings,
    pub target: &'a ForwardTarget,
    pub off: Option<&'a SwitchedOff>,
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

impl Table {
    /// The offset of the next event on `accounts`: the table says what the events before it say.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub fn account(&self, id: &str) -> Option<&Account> {
        self.accounts.get(id)
    }

    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// The account that a key opens. The hash is looked up, so the time that it takes says nothing about any key.
    pub fn account_by_key(&self, key_text: &str) -> Option<&Account> {
        self.account_by_sha256(&key_sha256(key_text))
    }

    /// The account that a key opens, by the key's hash.
    pub fn account_by_sha256(&self, sha256: &str) -> Option<&Account> {
        self.keys.get(sha256).and_then(|account| self.account(account))
    }

    /// The reservation of an address in its one spelling.
    pub fn reserved(&self, address: &str) -> Option<&Reserved> {
        self.addresses.get(address)
    }

    /// What an account has reserved, in order of the addresses.
    pub fn reserved_of(&self, owner: &str) -> impl Iterator<Item = &Reserved> {
        self.addresses.values().filter(move |reserved| reserved.owner == owner)
    }

    pub fn domain(&self, domain: &str) -> Option<&Domain> {
        self.domains.get(domain)
    }

    pub fn domains(&self) -> impl Iterator<Item = &Domain> {
        self.domains.values()
    }

    pub fn catch_all(&self, domain: &str) -> Option<&CatchAll> {
        self.catch_alls.get(domain)
    }

    pub fn catch_alls(&self) -> impl Iterator<Item = &CatchAll> {
        self.catch_alls.values()
    }

    /// What forwards point to, as far as it is sealed with the installation's key.
    pub fn sealed(&self) -> impl Iterator<Item = &[u8]> {
        let reserved = self.addresses.values().map(|reserved| &reserved.settings);
        let settings = reserved.chain(self.catch_alls.values().map(|all| &all.settings));
        let is_sealed = |target: &&ForwardTarget| matches!(target.kind, ForwardKind::Webhook | ForwardKind::Slack);
        let targets = settings.flat_map(|settings| &settings.forwards).filter(is_sealed);
        targets.map(|target| target.sealed_target.as_slice())
    }

    /// What an account may do with an inbox, given in its one spelling ([`Table::inbox_of`]).
    ///
    /// Whoever reserved the address owns it; then the inbox of a domain's catch-all is the catch-all's owner's; then
    /// every address of a domain is the domain's owner's, and closed to others unless the domain is public.
    pub fn access(&self, account_id: &str, inbox: &str) -> Access {
        match self.closed_for(inbox) {
            Some((owner, _)) if owner == account_id => Access::Own,
            Some((_, true)) => Access::Other,
            Some((_, false)) | None => Access::Public,
        }
    }

    /// The account whose mail an inbox holds, given in its one spelling; `None` where nobody owns it, or the owner has
    /// been removed.
    pub fn owner_of(&self, inbox: &str) -> Option<&Account> {
        self.closed_for(inbox).and_then(|(owner, _)| self.account(owner))
    }

    /// Whose an inbox is, and whether others are kept out.
    fn closed_for(&self, inbox: &str) -> Option<(&str, bool)> {
        if let Some(reserved) = self.reserved(inbox) {
            return Some((&reserved.owner, true));
        }
        let (_, domain) = split_domain(inbox)?;
        if let Some(catch_all) = self.catch_all(domain).filter(|all| all.inbox == inbox || inbox.starts_with("*@")) {
            return Some((&catch_all.owner, true));
        }
        self.domain(domain).map(|known| (known.owner.as_str(), known.private))
    }
}

/// How a key is known to the table: the SHA-256 of its text, in hexadecimal.
pub fn key_sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}
