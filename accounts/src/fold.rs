//! The rules of who wins. An event is what somebody asked for; whether it holds is decided here, from the events
//! before it alone, so every node and every replay decides alike. The loser's event is ignored, whole.
//!
//! - The server itself (`by` is null) and administrators may do everything that makes sense.
//! - Others change what is theirs: their keys, their addresses, their domains and those domains' catch-alls.
//! - The earlier one wins: an account, key, domain or address that is taken stays with whoever has it.
//! - The last administrator stays.
//! - A removed account's addresses and domains stay closed under its name, until an administrator releases them:
//!   its mail must not become public by the way.

use schemas::event::{AccountChange, AccountEvent, AddressSettings};
use sha2::{Digest, Sha256};

use crate::address::{hex, normalise, normalise_domain, split_domain, without_tag};
use crate::table::{Access, Account, CatchAll, Domain, Key, MAX_SCORE_THOUSANDTHS, Reserved, SwitchedOff, Table};

/// What starts the local part of an alternate address.
const ALTERNATE_PREFIX: &str = "inbox-";
const ALTERNATE_DIGITS: usize = 16;
/// Keys that an account may have at a time.
pub const MAX_KEYS: usize = 100;
/// Forwards that an address or a catch-all may have.
pub const MAX_FORWARDS: usize = 20;

impl Table {
    /// Takes up the event at this offset. Events before the table's offset are ignored: it has them.
    pub fn fold(&mut self, offset: u64, event: &AccountEvent) {
        if offset < self.offset {
            return;
        }
        self.offset = offset + 1;
        let by = By { account: event.by.as_deref(), all: self.may_do_everything(event.by.as_deref()) };
        // `None`: the event has lost. There is nobody to be told here; who asked looks whether it won.
        let _ = self.change(event, &by);
    }

    fn may_do_everything(&self, by: Option<&str>) -> bool {
        by.is_none_or(|id| self.account(id).is_some_and(|account| account.admin))
    }

    fn change(&mut self, event: &AccountEvent, by: &By<'_>) -> Option<()> {
        match &event.change {
            AccountChange::AccountCreated { account, email, admin } => {
                self.create_account(event, by, account, email, *admin)
            }
            AccountChange::AccountRemoved { account } => self.remove_account(by, account),
            AccountChange::KeyCreated { account, name, key_sha256 } => self.create_key(by, account, name, key_sha256),
            AccountChange::KeyRevoked { account, key_sha256 } => self.revoke_key(by, account, key_sha256),
            AccountChange::DomainAdded { domain, owner, private } => {
                self.add_domain(event, by, domain, owner, *private)
            }
            AccountChange::DomainChanged { domain, private, enable_websocket } => {
                let known = self.domains.get_mut(&normalise_domain(domain).ok()?)?;
                by.must_be(&known.owner)?;
                known.private = *private;
                known.enable_websocket = *enable_websocket;
                known.updated_at = event.at;
                Some(())
            }
            AccountChange::DomainRemoved { domain } => {
                let domain = normalise_domain(domain).ok()?;
                by.must_be(&self.domains.get(&domain)?.owner)?;
                self.domains.remove(&domain);
                self.drop_catch_all(&domain);
                Some(())
            }
            AccountChange::AddressReserved { address, owner, settings } => {
                self.reserve(event, by, address, owner, settings)
            }
            AccountChange::AddressChanged { address, settings } => {
                let mut reserved = self.addresses.get(&normalise(address).ok()?)?.clone();
                by.must_be(&reserved.owner)?;
                reserved.settings = within_limits(settings)?;
                reserved.updated_at = event.at;
                self.put_reserved(reserved);
                Some(())
            }
            AccountChange::AddressReleased { address, owner } => self.release(by, address, owner),
            AccountChange::CatchAllSet { domain, owner, inbox, settings } => {
                self.set_catch_all(event, by, domain, owner, inbox, settings)
            }
            AccountChange::CatchAllRemoved { domain } => {
                let domain = normalise_domain(domain).ok()?;
                by.must_be(&self.catch_alls.get(&domain)?.owner)?;
                self.drop_catch_all(&domain);
                Some(())
            }
            AccountChange::ForwardSwitched { forward, owner, on, cause } => {
                self.switch_forward(event, by, forward, owner, *on, cause)
            }
            AccountChange::SpamFolderSet { account, over_thousandths } => {
                self.set_spam_folder(by, account, *over_thousandths)
            }
        }
    }

    fn create_account(&mut self, event: &AccountEvent, by: &By<'_>, id: &str, email: &str, admin: bool) -> Option<()> {
        by.must_be_all()?;
        if id.is_empty() || self.accounts.contains_key(id) {
            return None;
        }
        let account = Account {
            id: id.to_owned(),
            email: email.to_owned(),
            admin,
            keys: Vec::new(),
            created_at: event.at,
            spam_over_thousandths: None,
        };
        self.accounts.insert(id.to_owned(), account);
        Some(())
    }

    fn remove_account(&mut self, by: &By<'_>, id: &str) -> Option<()> {
        by.must_be_all()?;
        let account = self.accounts.get(id)?;
        let other_admins = self.accounts.values().filter(|other| other.admin && other.id != id).count();
        if account.admin && other_admins == 0 {
            return None;
        }
        self.accounts.remove(id);
        self.keys.retain(|_, account| account != id);
        Some(())
    }

    fn create_key(&mut self, by: &By<'_>, id: &str, name: &str, key_sha256: &str) -> Option<()> {
        by.must_be(id)?;
        let is_hash =
            key_sha256.len() == 64 && key_sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hash || self.keys.contains_key(key_sha256) {
            return None;
        }
        let account = self.accounts.get_mut(id).filter(|account| account.keys.len() < MAX_KEYS)?;
        account.keys.push(Key { name: name.to_owned(), sha256: key_sha256.to_owned() });
        self.keys.insert(key_sha256.to_owned(), id.to_owned());
        Some(())
    }

    fn revoke_key(&mut self, by: &By<'_>, id: &str, key_sha256: &str) -> Option<()> {
        by.must_be(id)?;
        if self.keys.get(key_sha256)? != id {
            return None;
        }
        self.keys.remove(key_sha256);
        self.accounts.get_mut(id)?.keys.retain(|key| key.sha256 != key_sha256);
        Some(())
    }

    fn add_domain(
        &mut self,
        event: &AccountEvent,
        by: &By<'_>,
        domain: &str,
        owner: &str,
        private: bool,
    ) -> Option<()> {
        by.must_be_all()?;
        self.account(owner)?;
        let domain = normalise_domain(domain).ok()?;
        if self.domains.contains_key(&domain) {
            return None;
        }
        let added = Domain {
            domain: domain.clone(),
            owner: owner.to_owned(),
            private,
            enable_websocket: false,
            created_at: event.at,
            updated_at: event.at,
        };
        self.domains.insert(domain, added);
        Some(())
    }

    fn reserve(
        &mut self,
        event: &AccountEvent,
        by: &By<'_>,
        address: &str,
        owner: &str,
        settings: &AddressSettings,
    ) -> Option<()> {
        by.must_be(owner)?;
        self.account(owner)?;
        let address = normalise(address).ok()?;
        let (local, _) = split_domain(&address)?;
        // An alternate's name could be taken to catch the mail of whoever has the alternate.
        let base = without_tag(&address);
        let base_local = base.as_deref().and_then(split_domain).map_or(local, |(base_local, _)| base_local);
        if self.addresses.contains_key(&address) || is_alternate(base_local) {
            return None;
        }
        // Nor may a tag be reserved under an address that is somebody else's.
        let open_to = |inbox: &str| by.all || self.access(owner, inbox) != Access::Other;
        if !open_to(&address) || !base.as_deref().is_none_or(open_to) {
            return None;
        }
        let alternate = self.free_alternate(&address, &event.event_id);
        let reserved = Reserved {
            address: address.clone(),
            owner: owner.to_owned(),
            settings: within_limits(settings)?,
            event_id: event.event_id.clone(),
            alternate: alternate.clone(),
            created_at: event.at,
            updated_at: event.at,
        };
        self.alternates.insert(alternate, address);
        self.put_reserved(reserved);
        Some(())
    }

    /// The event names the owner, so that it can't release what somebody else has reserved since.
    fn release(&mut self, by: &By<'_>, address: &str, owner: &str) -> Option<()> {
        let address = normalise(address).ok()?;
        let reserved = self.addresses.get(&address).filter(|reserved| reserved.owner == owner)?;
        by.must_be(&reserved.owner)?;
        let alternate = reserved.alternate.clone();
        self.alternates.remove(&alternate);
        self.drop_reserved(&address);
        Some(())
    }

    /// A catch-all belongs to the owner of its domain; where no domain has been added, to whom the event names.
    fn set_catch_all(
        &mut self,
        event: &AccountEvent,
        by: &By<'_>,
        domain: &str,
        owner: &str,
        inbox: &str,
        settings: &AddressSettings,
    ) -> Option<()> {
        let domain = normalise_domain(domain).ok()?;
        let owner = match self.domain(&domain) {
            Some(known) => known.owner.clone(),
            None => {
                by.must_be_all()?;
                owner.to_owned()
            }
        };
        by.must_be(&owner)?;
        self.account(&owner)?;
        let inbox = self.inbox_of(inbox).ok()?;
        if self.access(&owner, &inbox) == Access::Other {
            return None;
        }
        let created_at = self.catch_alls.get(&domain).map_or(event.at, |before| before.created_at);
        let set = CatchAll {
            domain,
            owner,
            inbox,
            settings: within_limits(settings)?,
            event_id: event.event_id.clone(),
            created_at,
            updated_at: event.at,
        };
        self.put_catch_all(set);
        Some(())
    }

    /// Only the owner's own rules name it: its id is made from the owner, too.
    fn switch_forward(
        &mut self,
        event: &AccountEvent,
        by: &By<'_>,
        forward: &str,
        owner: &str,
        on: bool,
        cause: &str,
    ) -> Option<()> {
        by.must_be(owner)?;
        self.forward(forward).filter(|known| known.owner == owner)?;
        if on {
            self.switched_off.remove(forward)?;
        } else {
            self.switched_off.insert(forward.to_owned(), SwitchedOff { cause: cause.to_owned(), at: event.at });
        }
        Some(())
    }

    fn set_spam_folder(&mut self, by: &By<'_>, id: &str, over_thousandths: Option<i32>) -> Option<()> {
        by.must_be(id)?;
        let over = over_thousandths.map(|over| u16::try_from(over).ok().filter(|over| *over <= MAX_SCORE_THOUSANDTHS));
        let over = match over {
            Some(sound) => Some(sound?),
            None => None,
        };
        self.accounts.get_mut(id)?.spam_over_thousandths = over;
        Some(())
    }

    /// Derived from the address and its reservation: it can't be guessed from the address, and is the same everywhere.
    fn free_alternate(&self, address: &str, event_id: &str) -> String {
        let mut attempt: u32 = 0;
        loop {
            let text = format!("{address}\n{event_id}\n{attempt}");
            let digest = hex(&Sha256::digest(text.as_bytes()));
            let alternate = format!("{ALTERNATE_PREFIX}{}", digest.get(..ALTERNATE_DIGITS).unwrap_or_default());
            if !self.alternates.contains_key(&alternate) {
                return alternate;
            }
            attempt += 1;
        }
    }
}

/// Who asked for the event.
struct By<'a> {
    account: Option<&'a str>,
    /// The server itself, or an administrator.
    all: bool,
}

impl By<'_> {
    fn must_be(&self, owner: &str) -> Option<()> {
        (self.all || self.account == Some(owner)).then_some(())
    }

    fn must_be_all(&self) -> Option<()> {
        self.all.then_some(())
    }
}

fn is_alternate(local: &str) -> bool {
    local
        .strip_prefix(ALTERNATE_PREFIX)
        .is_some_and(|digits| digits.len() == ALTERNATE_DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn within_limits(settings: &AddressSettings) -> Option<AddressSettings> {
    (settings.forwards.len() <= MAX_FORWARDS).then(|| settings.clone())
}

#[cfg(test)]
mod tests;
