//! Where mail goes: an inbox and the forwards for every recipient that a door accepted. Total, and a function of the
//! table alone.
//!
//! - A reserved address is an inbox; its own spelling wins, then its alternate (`inbox-<hash>`, at any domain), then
//!   the address without its plus tag.
//! - What is not reserved goes to the catch-all of its domain, if there is one, and else to itself without its tag.
//! - The forwards of the address, of the inbox that it is saved to and of the catch-all all apply, each once, as far
//!   as they belong to the account that the mail is saved for: nobody's rules see another account's mail.

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
}

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
        let address = recipient(sent_to);
        let mut forwards = Vec::new();
        if let Some(reserved) = self.reservation_for(&address) {
            self.add_forwards(&mut forwards, reserved);
            if let Some(catch_all) = self.catch_all_over(&reserved.address).filter(|all| all.owner == reserved.owner) {
                self.add_targets(&mut forwards, &catch_all.owner, &catch_all.settings.forwards);
            }
            return Route { inbox: reserved.address.clone(), original_inbox: address, forwards };
        }
        if let Some(catch_all) = self.catch_all_over(&address) {
            let inbox = self.inbox_of_catch_all(catch_all);
            if let Some(reserved) = self.reserved(&inbox) {
                self.add_forwards(&mut forwards, reserved);
            }
            self.add_targets(&mut forwards, &catch_all.owner, &catch_all.settings.forwards);
            return Route { inbox, original_inbox: address, forwards };
        }
        let inbox = without_tag(&address).unwrap_or_else(|| address.clone());
        Route { inbox, original_inbox: address, forwards }
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

    fn add_forwards(&self, forwards: &mut Vec<String>, reserved: &Reserved) {
        self.add_targets(forwards, &reserved.owner, &reserved.settings.forwards);
    }

    /// A removed account is told nothing more.
    fn add_targets(&self, forwards: &mut Vec<String>, owner: &str, targets: &[ForwardTarget]) {
        if self.account(owner).is_none() {
            return;
        }
        for target in targets {
            if !forwards.contains(&target.id) {
                forwards.push(target.id.clone());
            }
        }
    }
}
