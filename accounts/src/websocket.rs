//! Who is told by websocket of a message in an inbox, and under which names they may have asked for it.

use std::collections::BTreeSet;

use crate::address::{split_domain, without_tag};
use crate::table::Table;

/// An entry that is told to websockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The account that it is saved for: nobody else hears of it.
    pub owner: String,
    /// Every address of the owner that names it: its inbox, the address as it was sent, the catch-all's inbox.
    pub addresses: BTreeSet<String>,
    /// The domains of the owner that it came to.
    pub domains: BTreeSet<String>,
}

impl Table {
    /// Whether an entry is told to websockets (the address that it is saved for, the catch-all or the domain says so),
    /// and to whom. As with forwards, only what belongs to the account that the mail is saved for counts; mail that
    /// nobody has reserved is the catch-all's owner's, or the domain's.
    pub fn told_by_websocket(&self, inbox: &str, original_inbox: &str) -> Option<Told> {
        let reserved = self.reserved(inbox);
        let leads_here = self.reservation_for(original_inbox).is_some_and(|one| one.address == inbox);
        let caught = self.catch_all_over(original_inbox).filter(|_| !leads_here);
        let (over, domain_of) = match caught {
            Some(catch_all) => (Some(catch_all), original_inbox),
            None => (reserved.and_then(|one| self.catch_all_over(&one.address)), inbox),
        };
        let domain = split_domain(domain_of).and_then(|(_, domain)| self.domain(domain));
        let rules = [
            reserved.map(|one| (one.owner.as_str(), one.settings.enable_websocket)),
            over.map(|one| (one.owner.as_str(), one.settings.enable_websocket)),
            domain.map(|one| (one.owner.as_str(), one.enable_websocket)),
        ];
        // What was caught is the catch-all's owner's, whoever has its inbox by now.
        let first = rules.iter().flatten().next().map(|(owner, _)| *owner);
        let owner = caught.map(|one| one.owner.as_str()).or(first)?;
        self.account(owner)?;
        if !rules.iter().flatten().any(|(whose, on)| *on && *whose == owner) {
            return None;
        }
        let mut addresses = BTreeSet::from([inbox.to_owned()]);
        if caught.is_some() {
            addresses.insert(without_tag(original_inbox).unwrap_or_else(|| original_inbox.to_owned()));
        }
        addresses.extend(over.filter(|one| one.owner == owner).map(|one| one.inbox.clone()));
        let domains = [inbox, domain_of].into_iter().filter_map(split_domain).map(|(_, domain)| domain);
        let domains = domains.filter(|domain| self.owns_domain(owner, domain)).map(str::to_owned);
        Some(Told { owner: owner.to_owned(), addresses, domains: domains.collect() })
    }

    /// Whether a domain, or its catch-all, belongs to the account.
    pub fn owns_domain(&self, account: &str, domain: &str) -> bool {
        self.domain(domain).is_some_and(|known| known.owner == account)
            || self.catch_all(domain).is_some_and(|catch_all| catch_all.owner == account)
    }
}
