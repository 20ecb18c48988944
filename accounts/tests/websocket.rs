//! Who is told of an entry by websocket.

use accounts::{Table, Told};
use schemas::event::{AccountChange, AccountEvent, AddressSettings};

fn settings(on: bool) -> AddressSettings {
    AddressSettings { enable_websocket: on, ..AddressSettings::default() }
}

fn account(id: &str) -> AccountChange {
    AccountChange::AccountCreated { account: id.into(), email: String::new(), admin: false }
}

fn reserved(address: &str, owner: &str, on: bool) -> AccountChange {
    AccountChange::AddressReserved { address: address.into(), owner: owner.into(), settings: settings(on) }
}

fn catch_all(domain: &str, owner: &str, inbox: &str, on: bool) -> AccountChange {
    let (domain, owner, inbox) = (domain.into(), owner.into(), inbox.into());
    AccountChange::CatchAllSet { domain, owner, inbox, settings: settings(on) }
}

fn domain(name: &str, owner: &str, on: bool) -> [AccountChange; 2] {
    let added = AccountChange::DomainAdded { domain: name.into(), owner: owner.into(), private: true };
    [added, AccountChange::DomainChanged { domain: name.into(), private: true, enable_websocket: on }]
}

fn table(changes: impl IntoIterator<Item = AccountChange>) -> Table {
    let mut table = Table::default();
    for change in ["ann", "bob"].map(account).into_iter().chain(changes) {
        let event = AccountEvent { event_id: table.offset().to_string(), at: 0, by: None, change };
        table.fold(table.offset(), &event);
    }
    table
}

/// As if mail for this address had been routed a moment ago.
fn told(table: &Table, sent_to: &str) -> Option<Told> {
    let route = table.resolve(sent_to);
    table.told_by_websocket(&route.inbox, &route.original_inbox)
}

fn to(owner: &str, addresses: &[&str], domains: &[&str]) -> Option<Told> {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Some(Told { owner: owner.to_owned(), addresses: texts(addresses), domains: texts(domains) })
}

#[test]
fn a_reserved_address_is_told_where_it_says_so() {
    let table = table([reserved("a@x.org", "ann", true), reserved("b@x.org", "ann", false)]);
    assert_eq!(told(&table, "A+tag@x.org"), to("ann", &["a@x.org"], &[]));
    assert_eq!(told(&table, "b@x.org"), None);
    assert_eq!(told(&table, "public@x.org"), None);
}

#[test]
fn what_a_catch_all_takes_is_told_under_its_inbox_and_under_the_address_that_it_was_sent_to() {
    let table = table([catch_all("x.org", "ann", "all@x.org", true)]);
    assert_eq!(told(&table, "other+tag@x.org"), to("ann", &["all@x.org", "other@x.org"], &["x.org"]));
}

#[test]
fn a_reserved_address_in_a_catch_all_domain_is_told_to_both_when_either_says_so() {
    for (address_on, catch_all_on) in [(true, false), (false, true), (true, true)] {
        let changes = [catch_all("x.org", "ann", "all@x.org", catch_all_on), reserved("a@x.org", "ann", address_on)];
        let both = to("ann", &["a@x.org", "all@x.org"], &["x.org"]);
        assert_eq!(told(&table(changes), "a@x.org"), both);
    }
}

#[test]
fn a_domain_tells_of_every_address_in_it() {
    let table = table(domain("x.org", "ann", true).into_iter().chain([reserved("a@x.org", "ann", false)]));
    assert_eq!(told(&table, "a@x.org"), to("ann", &["a@x.org"], &["x.org"]));
    assert_eq!(told(&table, "other@x.org"), to("ann", &["other@x.org"], &["x.org"]));
}

#[test]
fn nobody_is_told_of_what_is_saved_for_another() {
    let changes = domain("x.org", "bob", true).into_iter();
    let changes = changes.chain([catch_all("x.org", "bob", "all@x.org", true), reserved("a@x.org", "ann", false)]);
    let mut changes: Vec<AccountChange> = changes.collect();
    assert_eq!(told(&table(changes.clone()), "a@x.org"), None, "the switches are another's");
    changes.push(AccountChange::AddressChanged { address: "a@x.org".into(), settings: settings(true) });
    assert_eq!(told(&table(changes), "a@x.org"), to("ann", &["a@x.org"], &[]));
}

#[test]
fn a_removed_account_is_told_nothing() {
    let removed = AccountChange::AccountRemoved { account: "ann".into() };
    assert_eq!(told(&table([reserved("a@x.org", "ann", true), removed]), "a@x.org"), None);
}
