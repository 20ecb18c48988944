//! Where mail goes: an inbox and the forwards for every recipient that a door accepted. Total, and a function of the
//! table alone.
//!
//! - A reserved address is an inbox; its own spelling wins, then its alternate (`inbox-<hash>`, at any domain), then
//!   the address without its plus tag.
//! - What is not reserved goes to the catch-all of its domain, if there is one, and else to itself without its tag.
//! - The forwards of the address, of the inbox that it is saved to and of the catch-all all apply, each once, as far
//!   as they belong to the account that the mail is saved for: nobody's rules see another account's mail.
//! - A forward to another address of the same account is a copy: the mail is in that inbox, too, with the forwards that
//!   apply there. Copies are followed, and no inbox gets two, so they can't go round.

use schemas::event::ForwardTarget;

use crate::address::{InvalidAddress, normalise, recipient, split_domain, without_tag};
use crate::table::{Access, CatchAll, Reserved, Table};

/// Where mail for one recipient goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The inbox that it is saved to.
    pub inbox: String,
    /// The address as it was sent, in lower case, with its plus tag.
    pub original_inbox: String,
    /// The ids of the forwards that apply, each once.
    pub forwards: Vec<String>,
    /// Other inboxes that it is saved to as well, each once.
    pub copies: Vec<Copied>,
}

/// An inbox that a forward leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    pub inbox: String,
    pub forwards: Vec<String>,
}

/// Inboxes that copies of one mail lead to from one recipient.
pub const MAX_COPIES: usize = 20;

impl Table {
    /// The inbox that an address names to its readers: lower case, without its plus tag, alternates followed.
    pub fn inbox_of(&self, text: &str) -> Result<String, InvalidAddress> {
        let address = normalise(text)?;
        Ok(match self.reservation_for(&address) {
            Some(reserved) => reserved.address.clone(),
            None => without_tag(&address).unwrap_or(address),
        })
    }

    /// Where mail goes that a door accepted for this recipient. It never fails.
    pub fn resolve(&self, sent_to: &str) -> Route {
        let original_inbox = recipient(sent_to);
        let first = self.landing(&original_inbox);
        let mut copies: Vec<Copied> = Vec::new();
        let mut ahead = first.copy_to;
        // The list grows while it is walked: where a copy lands may ask for further copies.
        let mut next = 0;
        while let Some(address) = ahead.get(next).filter(|_| copies.len() < MAX_COPIES) {
            let landing = self.landing(address);
            next += 1;
            if landing.inbox == first.inbox || copies.iter().any(|copied| copied.inbox == landing.inbox) {
                continue;
            }
            ahead.extend(landing.copy_to);
            copies.push(Copied { inbox: landing.inbox, forwards: landing.forwards });
        }
        Route { inbox: first.inbox, original_inbox, forwards: first.forwards, copies }
    }

    /// Where mail for an address in its one spelling is saved, and what applies there.
    fn landing(&self, address: &str) -> Landing {
        if let Some(reserved) = self.reservation_for(address) {
            let mut landing = Landing::at(reserved.address.clone());
            self.add_forwards(&mut landing, reserved);
            if let Some(catch_all) = self.catch_all_over(&reserved.address).filter(|all| all.owner == reserved.owner) {
                self.add_targets(&mut landing, &catch_all.owner, &catch_all.settings.forwards);
            }
            return landing;
        }
        if let Some(catch_all) = self.catch_all_over(address) {
            let mut landing = Landing::at(self.inbox_of_catch_all(catch_all));
            if let Some(reserved) = self.reserved(&landing.inbox) {
                self.add_forwards(&mut landing, reserved);
            }
            self.add_targets(&mut landing, &catch_all.owner, &catch_all.settings.forwards);
            return landing;
        }
        Landing::at(without_tag(address).unwrap_or_else(|| address.to_owned()))
    }

    /// The reservation that an address in its one spelling leads to.
    pub(crate) fn reservation_for(&self, address: &str) -> Option<&Reserved> {
        if let Some(reserved) = self.reserved(address) {
            return Some(reserved);
        }
        let base = without_tag(address);
        let base = base.as_deref().unwrap_or(address);
        let (local, _) = split_domain(base)?;
        match self.alternates.get(local) {
            Some(behind) => self.reserved(behind),
            None => self.reserved(base),
        }
    }

    pub(crate) fn catch_all_over(&self, address: &str) -> Option<&CatchAll> {
        split_domain(address).and_then(|(_, domain)| self.catch_all(domain))
    }

    /// The inbox of a catch-all. An inbox that has since become another account's would hand that account a whole
    /// domain's mail: then it is `*@domain`.
    fn inbox_of_catch_all(&self, catch_all: &CatchAll) -> String {
        match self.access(&catch_all.owner, &catch_all.inbox) {
            Access::Own | Access::Public => catch_all.inbox.clone(),
            Access::Other => format!("*@{}", catch_all.domain),
        }
    }

    fn add_forwards(&self, landing: &mut Landing, reserved: &Reserved) {
        self.add_targets(landing, &reserved.owner, &reserved.settings.forwards);
    }

    /// A removed account is told nothing more, and a copy goes to what is the account's own now.
    fn add_targets(&self, landing: &mut Landing, owner: &str, targets: &[ForwardTarget]) {
        if self.account(owner).is_none() {
            return;
        }
        for target in targets {
            if let Some(address) = target.address() {
                let is_own = self.inbox_of(address).is_ok_and(|inbox| self.access(owner, &inbox) == Access::Own);
                if is_own && !self.switched_off.contains_key(&target.id) {
                    landing.copy_to.push(address.to_owned());
                }
            } else if !landing.forwards.contains(&target.id) {
                landing.forwards.push(target.id.clone());
            }
        }
    }
}

/// One place where mail is saved.
struct Landing {
    inbox: String,
    forwards: Vec<String>,
    /// Addresses that get a copy.
    copy_to: Vec<String>,
}

impl Landing {
    const fn at(inbox: String) -> Self {
        Self { inbox, forwards: Vec::new(), copy_to: Vec::new() }
    }
}
