//! Forwards by their id, and who is told by websocket.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests stop where something is wrong")]

use accounts::Table;
use schemas::event::{AccountChange, AccountEvent, AddressSettings, ForwardKind, ForwardTarget};

const FORWARDS: [&str; 6] = ["f0", "f1", "f2", "f3", "f4", "f5"];

fn settings(forwards: &[&str]) -> AddressSettings {
    let target = |id: &&str| ForwardTarget::new((*id).to_owned(), ForwardKind::Webhook, Vec::new());
    AddressSettings { forwards: forwards.iter().map(target).collect(), ..AddressSettings::default() }
}

fn told(on: bool) -> AddressSettings {
    AddressSettings { enable_websocket: on, ..AddressSettings::default() }
}

fn fold(table: &mut Table, change: AccountChange) {
    let event = AccountEvent { event_id: table.offset().to_string(), at: 0, by: None, change };
    table.fold(table.offset(), &event);
}

fn account(id: &str) -> AccountChange {
    AccountChange::AccountCreated { account: id.into(), email: String::new(), admin: id == "root" }
}

fn reserved(address: &str, owner: &str, settings: AddressSettings) -> AccountChange {
    AccountChange::AddressReserved { address: address.into(), owner: owner.into(), settings }
}

fn catch_all(domain: &str, owner: &str, inbox: &str, settings: AddressSettings) -> AccountChange {
    AccountChange::CatchAllSet { domain: domain.into(), owner: owner.into(), inbox: inbox.into(), settings }
}

fn domain(name: &str, owner: &str, enable_websocket: bool) -> [AccountChange; 2] {
    let added = AccountChange::DomainAdded { domain: name.into(), owner: owner.into(), private: false };
    [added, AccountChange::DomainChanged { domain: name.into(), private: false, enable_websocket }]
}

fn switched(forward: &str, on: bool) -> AccountChange {
    AccountChange::ForwardSwitched { forward: forward.into(), owner: "ann".into(), on, cause: String::new() }
}

fn table(changes: impl IntoIterator<Item = AccountChange>) -> Table {
    let mut table = Table::default();
    for change in ["root", "ann", "bob"].map(account).into_iter().chain(changes) {
        fold(&mut table, change);
    }
    table
}

/// xorshift64*: chance that is the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % limit
    }

    fn forwards(&mut self) -> AddressSettings {
        let named: Vec<&str> = FORWARDS.into_iter().filter(|_| self.below(3) == 0).collect();
        settings(&named)
    }

    fn change(&mut self) -> AccountChange {
        let address = ["a@d.org", "b@d.org", "c@e.org"][self.below(3)];
        let name = ["d.org", "e.org"][self.below(2)];
        match self.below(9) {
            0 | 1 => reserved(address, "ann", self.forwards()),
            2 | 3 => AccountChange::AddressChanged { address: address.into(), settings: self.forwards() },
            4 => AccountChange::AddressReleased { address: address.into(), owner: "ann".into() },
            5 => catch_all(name, "ann", address, self.forwards()),
            6 => AccountChange::CatchAllRemoved { domain: name.into() },
            7 if self.below(2) == 0 => {
                AccountChange::DomainAdded { domain: name.into(), owner: "ann".into(), private: false }
            }
            7 => AccountChange::DomainRemoved { domain: name.into() },
            _ => switched(FORWARDS[self.below(FORWARDS.len())], self.below(3) == 0),
        }
    }
}

#[test]
fn a_forward_is_what_the_first_rule_that_names_it_says_whatever_happened_before() {
    for seed in 1..=200 {
        let mut chance = Chance(seed);
        let mut table = table([]);
        for _ in 0..80 {
            fold(&mut table, chance.change());
            for id in FORWARDS {
                assert_eq!(table.forward(id), table.forwards().find(|forward| forward.target.id == id), "seed {seed}");
            }
        }
    }
}

#[test]
fn a_forward_that_two_rules_name_stays_until_both_are_gone() {
    let mut table = table([
        reserved("a@d.org", "ann", settings(&["f0"])),
        catch_all("d.org", "ann", "all@d.org", settings(&["f0"])),
        AccountChange::AddressReleased { address: "a@d.org".into(), owner: "ann".into() },
    ]);
    assert_eq!(table.forward("f0").unwrap().rule, "all@d.org");
    fold(&mut table, AccountChange::CatchAllRemoved { domain: "d.org".into() });
    assert!(table.forward("f0").is_none());
}

#[test]
fn a_forward_stays_off_while_a_rule_names_it_and_is_on_when_it_comes_again() {
    let mut table = table([reserved("a@d.org", "ann", settings(&["f0"])), switched("f0", false)]);
    let change = |forwards: &[&str]| AccountChange::AddressChanged {
        address: "a@d.org".into(),
        settings: AddressSettings { info: "changed".into(), ..settings(forwards) },
    };
    fold(&mut table, change(&["f1", "f0"]));
    assert!(table.forward("f0").unwrap().off.is_some());
    fold(&mut table, change(&["f1"]));
    fold(&mut table, change(&["f1", "f0"]));
    assert!(table.forward("f0").unwrap().off.is_none());
}

fn is_told(table: &Table, inbox: &str, original_inbox: &str) -> bool {
    table.told_by_websocket(inbox, original_inbox).is_some()
}

#[test]
fn a_websocket_is_told_where_the_address_the_catch_all_or_the_domain_says_so() {
    for on in 0..8 {
        let [own, caught, whole] = [on & 1 != 0, on & 2 != 0, on & 4 != 0];
        let rules = [reserved("a@d.org", "ann", told(own)), catch_all("d.org", "ann", "all@d.org", told(caught))];
        let table = table(domain("d.org", "ann", whole).into_iter().chain(rules));
        assert_eq!(is_told(&table, "a@d.org", "a+tag@d.org"), own || caught || whole, "{on}");
        assert_eq!(is_told(&table, "all@d.org", "other@d.org"), caught || whole, "{on}");
        let alternate = format!("{}@elsewhere.org", table.reserved("a@d.org").unwrap().alternate);
        assert_eq!(is_told(&table, "a@d.org", &alternate), own || caught || whole, "{on}");
    }
}

#[test]
fn the_reserved_inbox_of_a_catch_all_says_for_what_is_caught_that_it_is_told() {
    let table = table([
        reserved("all@e.org", "ann", told(true)),
        catch_all("d.org", "ann", "all@e.org", told(false)),
        reserved("quiet@e.org", "ann", told(false)),
    ]);
    assert!(is_told(&table, "all@e.org", "any@d.org"));
    assert!(is_told(&table, "all@e.org", "all@e.org"));
    assert!(!is_told(&table, "quiet@e.org", "quiet@e.org"));
}

#[test]
fn nobodys_rules_tell_of_another_accounts_mail() {
    let mut changes = vec![reserved("b@d.org", "bob", told(false))];
    changes.extend(domain("d.org", "ann", true));
    changes.push(catch_all("d.org", "ann", "all@d.org", told(true)));
    let table = table(changes);
    assert!(!is_told(&table, "b@d.org", "b@d.org"));
    assert!(is_told(&table, "all@d.org", "x@d.org"));
}

#[test]
fn mail_that_nobody_has_reserved_is_told_as_its_domain_says() {
    let table = table(domain("d.org", "ann", true).into_iter().chain(domain("e.org", "ann", false)));
    assert!(is_told(&table, "any@d.org", "any+tag@d.org"));
    assert!(!is_told(&table, "any@e.org", "any@e.org"));
    assert!(!is_told(&table, "any@public.org", "any@public.org"));
    assert!(!is_told(&table, "no address", "no address"));
}

#[test]
fn a_removed_account_is_told_nothing() {
    let mut table = table([reserved("a@d.org", "ann", told(true))]);
    assert!(is_told(&table, "a@d.org", "a@d.org"));
    fold(&mut table, AccountChange::AccountRemoved { account: "ann".into() });
    assert!(!is_told(&table, "a@d.org", "a@d.org"));
}
