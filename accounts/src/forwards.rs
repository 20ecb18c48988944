//! Forwards by their id, whatever rules name them: every change of a rule goes through here, so that finding a forward
//! takes the same time however many there are.

use std::collections::{BTreeSet, HashMap};

use schemas::event::{AddressSettings, ForwardTarget};
use serde::{Deserialize, Serialize};

use crate::table::{CatchAll, Forward, Reserved, Table};

/// The rules that name a forward, by the forward's id; none is without a rule.
pub(crate) type Rules = HashMap<String, BTreeSet<Rule>>;

/// What names forwards. Addresses come first, each kind in order of its names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Rule {
    Address(String),
    /// By its domain.
    CatchAll(String),
}

impl Table {
    /// The forward with this id, as the first rule that names it says.
    pub fn forward(&self, id: &str) -> Option<Forward<'_>> {
        let (owner, rule, settings) = match self.rules.get(id)?.first()? {
            Rule::Address(address) => described_address(self.addresses.get(address)?),
            Rule::CatchAll(domain) => described_catch_all(self.catch_alls.get(domain)?),
        };
        let target = settings.forwards.iter().find(|target| target.id == id)?;
        Some(Forward { owner, rule, settings, target, off: self.switched_off.get(id) })
    }

    /// Every forward of every rule, addresses first.
    pub fn forwards(&self) -> impl Iterator<Item = Forward<'_>> {
        let reserved = self.addresses.values().map(described_address);
        let caught = self.catch_alls.values().map(described_catch_all);
        reserved.chain(caught).flat_map(move |(owner, rule, settings)| {
            settings.forwards.iter().map(move |target| {
                let off = self.switched_off.get(&target.id);
                Forward { owner, rule, settings, target, off }
            })
        })
    }

    pub(crate) fn put_reserved(&mut self, reserved: Reserved) {
        let rule = Rule::Address(reserved.address.clone());
        let after = ids(&reserved.settings);
        let before = self.addresses.insert(reserved.address.clone(), reserved);
        self.named(&rule, before.map(|one| ids(&one.settings)), after);
    }

    pub(crate) fn drop_reserved(&mut self, address: &str) {
        let before = self.addresses.remove(address);
        self.named(&Rule::Address(address.to_owned()), before.map(|one| ids(&one.settings)), BTreeSet::new());
    }

    pub(crate) fn put_catch_all(&mut self, catch_all: CatchAll) {
        let rule = Rule::CatchAll(catch_all.domain.clone());
        let after = ids(&catch_all.settings);
        let before = self.catch_alls.insert(catch_all.domain.clone(), catch_all);
        self.named(&rule, before.map(|one| ids(&one.settings)), after);
    }

    pub(crate) fn drop_catch_all(&mut self, domain: &str) {
        let before = self.catch_alls.remove(domain);
        self.named(&Rule::CatchAll(domain.to_owned()), before.map(|one| ids(&one.settings)), BTreeSet::new());
    }

    /// A rule that named the forwards `before` names those `after` from now on.
    fn named(&mut self, rule: &Rule, before: Option<BTreeSet<String>>, after: BTreeSet<String>) {
        for id in before.unwrap_or_default().difference(&after) {
            let Some(rules) = self.rules.get_mut(id) else { continue };
            rules.remove(rule);
            if rules.is_empty() {
                self.rules.remove(id);
                self.switched_off.remove(id);
            }
        }
        for id in after {
            self.rules.entry(id).or_default().insert(rule.clone());
        }
    }
}

fn ids(settings: &AddressSettings) -> BTreeSet<String> {
    settings.forwards.iter().map(|target: &ForwardTarget| target.id.clone()).collect()
}

fn described_address(one: &Reserved) -> (&str, &str, &AddressSettings) {
    (&one.owner, &one.address, &one.settings)
}

fn described_catch_all(one: &CatchAll) -> (&str, &str, &AddressSettings) {
    (&one.owner, &one.inbox, &one.settings)
}
