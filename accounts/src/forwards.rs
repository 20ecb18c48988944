//! Forwards by their id, whatever rules name them.

use schemas::event::{AddressSettings, ForwardTarget};

use crate::table::{Forward, Table};

impl Table {
    /// The forward with this id, if a rule names it.
    pub fn forward(&self, id: &str) -> Option<Forward<'_>> {
        self.forwards().find(|forward| forward.target.id == id)
    }

    /// Every forward of every rule, addresses first.
    pub fn forwards(&self) -> impl Iterator<Item = Forward<'_>> {
        let reserved = self.addresses.values().map(|one| (&*one.owner, &*one.address, &one.settings));
        let caught = self.catch_alls.values().map(|one| (&*one.owner, &*one.inbox, &one.settings));
        reserved.chain(caught).flat_map(move |(owner, rule, settings)| {
            settings.forwards.iter().map(move |target| self.described(owner, rule, settings, target))
        })
    }

    fn described<'a>(
        &'a self,
        owner: &'a str,
        rule: &'a str,
        settings: &'a AddressSettings,
        target: &'a ForwardTarget,
    ) -> Forward<'a> {
        Forward { owner, rule, settings, target, off: self.switched_off.get(&target.id) }
    }
}
