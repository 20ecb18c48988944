use schemas::event::{ForwardKind, ForwardTarget};

use super::*;
use crate::table::key_sha256;

fn table_after(changes: impl IntoIterator<Item = AccountChange>) -> Table {
    let first = AccountChange::AccountCreated { account: "ann".into(), email: String::new(), admin: true };
    let mut table = Table::default();
    for (offset, change) in (0..).zip(std::iter::once(first).chain(changes)) {
        table.fold(offset, &AccountEvent { event_id: offset.to_string(), at: 0, by: None, change });
    }
    table
}

#[test]
fn an_account_has_a_hundred_keys_and_not_one_more() {
    let key = |number: usize| AccountChange::KeyCreated {
        account: "ann".into(),
        name: String::new(),
        key_sha256: key_sha256(&number.to_string()),
    };
    let table = table_after((0..=MAX_KEYS).map(key));
    let opens = |number: usize| table.account_by_key(&number.to_string()).is_some();
    assert!(opens(MAX_KEYS - 1) && !opens(MAX_KEYS));
}

#[test]
fn an_address_has_twenty_forwards_and_not_one_more() {
    let reserve = |address: &str, count: usize| {
        let target = |number: usize| ForwardTarget::new(number.to_string(), ForwardKind::Mail, Vec::new());
        AccountChange::AddressReserved {
            address: address.into(),
            owner: "ann".into(),
            settings: AddressSettings { forwards: (0..count).map(target).collect(), ..AddressSettings::default() },
        }
    };
    let table = table_after([reserve("at@x.org", MAX_FORWARDS), reserve("over@x.org", MAX_FORWARDS + 1)]);
    assert!(table.reserved("at@x.org").is_some() && table.reserved("over@x.org").is_none());
}

#[test]
fn a_threshold_of_a_thousand_is_taken_and_one_more_or_less_than_none_is_not() {
    let set = |over: Option<i32>| AccountChange::SpamFolderSet { account: "ann".into(), over_thousandths: over };
    let over = |changes: Vec<AccountChange>| table_after(changes).account("ann").unwrap().spam_over_thousandths;
    assert_eq!(over(vec![set(Some(1000))]), Some(1000));
    assert_eq!(over(vec![set(Some(0))]), Some(0));
    assert_eq!(over(vec![set(Some(1001))]), None);
    assert_eq!(over(vec![set(Some(900)), set(Some(-1))]), Some(900));
    assert_eq!(over(vec![set(Some(900)), set(None)]), None);
    assert_eq!(over(Vec::new()), None, "off by default");
}

#[test]
fn mail_over_the_threshold_is_taken_as_spam_and_at_it_is_not() {
    let set = AccountChange::SpamFolderSet { account: "ann".into(), over_thousandths: Some(500) };
    let table = table_after([set]);
    let ann = table.account("ann").unwrap();
    assert!(ann.takes_as_spam(0.500_001) && !ann.takes_as_spam(0.5) && !ann.takes_as_spam(f64::NAN));
}

#[test]
fn an_event_behind_the_table_is_ignored_and_places_may_be_missing() {
    let mut table = table_after([]);
    let change = AccountChange::AccountCreated { account: "bob".into(), email: String::new(), admin: false };
    let event = AccountEvent { event_id: String::new(), at: 0, by: None, change };
    table.fold(0, &event);
    assert!(table.account("bob").is_none() && table.offset() == 1);
    table.fold(7, &event);
    assert!(table.account("bob").is_some() && table.offset() == 8);
}
