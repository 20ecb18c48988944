//! What holds for every table, whatever events made it: seeded chance in place of examples.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests stop where something is wrong")]

use accounts::{Access, Table};
use schemas::event::{AccountChange, AccountEvent, AddressSettings, ForwardKind, ForwardTarget};

const ROUNDS: u64 = 300;
const EVENTS: u64 = 60;

/// xorshift64*: chance that is the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % limit
    }

    fn one_of(&mut self, choices: &[&str]) -> String {
        choices[self.below(choices.len())].to_owned()
    }
}

const ACCOUNTS: [&str; 4] = ["root", "ann", "bob", "eve"];
const DOMAINS: [&str; 3] = ["d.org", "e.org", "F.org."];
const ADDRESSES: [&str; 9] = [
    "a@d.org",
    "A+t@d.org",
    "b@e.org",
    "c@f.org",
    "*@d.org",
    "inbox-0123456789abcdef@d.org",
    "x@public.org",
    "\"q r\"@e.org",
    "no address",
];

fn any_event(chance: &mut Chance, number: u64) -> AccountEvent {
    let account = chance.one_of(&ACCOUNTS);
    let domain = chance.one_of(&DOMAINS);
    let address = chance.one_of(&ADDRESSES);
    let owner = chance.one_of(&ACCOUNTS);
    let private = chance.below(2) == 0;
    // A forward's id says whose it is, so that it can be told where it shows.
    let settings = |owner: &str| AddressSettings {
        forwards: vec![ForwardTarget::new(format!("of {owner}"), ForwardKind::Slack, Vec::new())],
        ..AddressSettings::default()
    };
    let change = match chance.below(10) {
        0 => AccountChange::AccountCreated { account, email: String::new(), admin: owner == "root" },
        1 => AccountChange::AccountRemoved { account },
        2 => AccountChange::DomainAdded { domain, owner, private },
        3 => AccountChange::DomainChanged { domain, private, enable_websocket: false },
        4 => AccountChange::DomainRemoved { domain },
        5 | 6 => AccountChange::AddressReserved { settings: settings(&owner), address, owner },
        7 => AccountChange::AddressReleased { address, owner },
        8 => AccountChange::CatchAllSet { settings: settings("a catch-all"), domain, owner, inbox: address },
        _ => AccountChange::CatchAllRemoved { domain },
    };
    let by = chance.one_of(&["root", "ann", "bob", "eve", ""]);
    AccountEvent { event_id: format!("{number}"), at: 0, by: (!by.is_empty()).then_some(by), change }
}

fn for_any_table(mut check: impl FnMut(&Table, &[AccountEvent])) {
    for seed in 1..=ROUNDS {
        let mut chance = Chance(seed);
        let events: Vec<AccountEvent> = (0..EVENTS).map(|number| any_event(&mut chance, number)).collect();
        let mut table = Table::default();
        for (offset, event) in (0..).zip(&events) {
            table.fold(offset, event);
        }
        check(&table, &events);
    }
}

#[test]
fn events_that_are_folded_again_change_nothing() {
    for_any_table(|table, events| {
        let mut again = table.clone();
        for (offset, event) in (0..).zip(events) {
            again.fold(offset, event);
        }
        assert_eq!(&again, table);
    });
}

#[test]
fn every_inbox_that_mail_goes_to_can_be_named_by_its_readers() {
    for_any_table(|table, _| {
        for address in ADDRESSES {
            let route = table.resolve(address);
            assert_eq!(table.inbox_of(&route.inbox).as_ref(), Ok(&route.inbox), "{address}");
        }
    });
}

#[test]
fn nobody_is_told_of_mail_that_another_account_owns() {
    for_any_table(|table, _| {
        for address in ADDRESSES {
            let route = table.resolve(address);
            for account in ACCOUNTS {
                let of_it = route.forwards.contains(&format!("of {account}"));
                assert!(!of_it || table.access(account, &route.inbox) == Access::Own, "{account} {address} {route:?}");
            }
        }
    });
}

#[test]
fn an_inbox_has_one_owner_at_most() {
    for_any_table(|table, _| {
        for address in ADDRESSES {
            let inbox = table.resolve(address).inbox;
            let owners = ACCOUNTS.iter().filter(|account| table.access(account, &inbox) == Access::Own).count();
            assert!(owners <= 1, "{inbox}");
        }
    });
}

#[test]
fn a_table_that_was_kept_and_read_again_is_the_same() {
    for_any_table(|table, _| {
        let kept = serde_json::to_vec(table).unwrap();
        assert_eq!(&serde_json::from_slice::<Table>(&kept).unwrap(), table);
    });
}
