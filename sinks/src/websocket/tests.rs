//! What the hub promises to those who listen.

use std::collections::BTreeSet;
use std::sync::Arc;

use accounts::Told;
use bytes::Bytes;
use schemas::{Position, Topic};

use super::{Hub, Limits, Listener, Rendered, Seat, Taken};

const ANN: &str = "ann@x.org";

fn listener(account: &str, address: &str) -> Listener {
    let addresses = BTreeSet::from([address.to_owned()]);
    Listener { account: account.to_owned(), addresses, domains: BTreeSet::new() }
}

fn told(owner: &str, address: &str) -> Told {
    Told {
        owner: owner.to_owned(),
        addresses: BTreeSet::from([address.to_owned()]),
        domains: BTreeSet::from(["x.org".to_owned()]),
    }
}

fn at(offset: u64) -> Vec<Position> {
    vec![Position::new(Topic::MailRouted, 0, offset)]
}

fn hub(limits: Limits) -> Arc<Hub> {
    let hub = Hub::new(limits);
    hub.begin(at(0));
    hub
}

fn frame(text: &str) -> Rendered {
    Rendered::Frame(Bytes::from(text.to_owned()))
}

fn publish(hub: &Hub, offset: u64, texts: &[&str]) {
    let entries: Vec<_> = texts.iter().map(|text| (told("ann", ANN), frame(text))).collect();
    assert!(hub.publish(Position::new(Topic::MailRouted, 0, offset), &entries));
}

fn sit(hub: &Arc<Hub>) -> Seat {
    hub.sit(listener("ann", ANN), None).unwrap().0
}

/// What can be had without waiting.
fn ready(seat: &mut Seat) -> Option<Taken> {
    futures::FutureExt::now_or_never(seat.next())
}

fn taken(text: &str, offset: u64) -> Option<Taken> {
    Some(Taken::Frame { body: Bytes::from(text.to_owned()), at: at(offset) })
}

#[test]
fn everybody_who_listens_gets_each_frame_once_and_in_order() {
    let hub = hub(Limits::default());
    let mut seats: Vec<Seat> = (0..2000).map(|_| sit(&hub)).collect();
    publish(&hub, 0, &["a"]);
    publish(&hub, 1, &["b"]);
    for seat in &mut seats {
        assert_eq!(ready(seat), taken("a", 1));
        assert_eq!(ready(seat), taken("b", 2));
        assert_eq!(ready(seat), None);
    }
}

#[test]
fn one_account_hears_nothing_of_another_and_of_names_that_it_did_not_ask_for() {
    let hub = hub(Limits::default());
    let (mut bob, _past) = hub.sit(listener("bob", ANN), None).unwrap();
    let (mut other, _past) = hub.sit(listener("ann", "other@x.org"), None).unwrap();
    let of_domain = Listener { domains: BTreeSet::from(["x.org".to_owned()]), ..listener("ann", "other@x.org") };
    let (mut domain, _past) = hub.sit(of_domain, None).unwrap();
    publish(&hub, 0, &["a"]);
    assert_eq!(ready(&mut bob), None);
    assert_eq!(ready(&mut other), None);
    assert_eq!(ready(&mut domain), taken("a", 1));
}

#[test]
fn a_frame_that_nobody_wanted_is_asked_for_again_when_somebody_has_come_meanwhile() {
    let hub = hub(Limits::default());
    let entries = [(told("ann", ANN), Rendered::Not)];
    let mut seat = sit(&hub);
    assert!(!hub.publish(at(0)[0], &entries));
    assert_eq!(hub.positions(), at(0));
    publish(&hub, 0, &["a"]);
    assert_eq!(ready(&mut seat), taken("a", 1));
}

#[test]
fn a_full_queue_is_closed_with_the_place_behind_what_was_taken() {
    let hub = hub(Limits { queue_bytes: 1000, ..Limits::default() });
    let mut seat = sit(&hub);
    publish(&hub, 0, &["a"]);
    assert_eq!(ready(&mut seat), taken("a", 1));
    // 256 bytes and one each: three fit, and a fourth does not.
    (1..4).for_each(|offset| publish(&hub, offset, &["b"]));
    assert!(hub.wants(&told("ann", ANN)));
    publish(&hub, 4, &["b"]);
    assert_eq!(ready(&mut seat), Some(Taken::Overflow { at: at(1) }));
}

#[test]
fn a_queue_that_is_just_full_is_read_to_its_end() {
    let hub = hub(Limits { queue_bytes: 771, ..Limits::default() });
    let mut seat = sit(&hub);
    (0..3).for_each(|offset| publish(&hub, offset, &["b"]));
    for offset in 1..4 {
        assert_eq!(ready(&mut seat), taken("b", offset));
    }
    assert_eq!(ready(&mut seat), None);
}

#[test]
fn one_frame_always_fits_however_large_it_is() {
    let hub = hub(Limits { queue_bytes: 1, ..Limits::default() });
    let mut seat = sit(&hub);
    let large = "x".repeat(1 << 20);
    publish(&hub, 0, &[&large]);
    assert_eq!(ready(&mut seat), taken(&large, 1));
}

#[test]
fn the_entries_of_one_record_are_never_torn_apart_by_an_overflow() {
    let hub = hub(Limits { queue_bytes: 1000, ..Limits::default() });
    let mut seat = sit(&hub);
    publish(&hub, 0, &["a0", "a1", "a2"]);
    assert_eq!(ready(&mut seat), taken("a0", 0));
    publish(&hub, 1, &["b0", "b1"]);
    assert_eq!(ready(&mut seat), taken("a1", 0));
    assert_eq!(ready(&mut seat), taken("a2", 1));
    assert_eq!(ready(&mut seat), Some(Taken::Overflow { at: at(1) }));
}

#[test]
fn above_the_memory_of_all_only_empty_queues_take_more() {
    let hub = hub(Limits { held_bytes: 10, ..Limits::default() });
    let (mut slow, mut fast) = (sit(&hub), sit(&hub));
    publish(&hub, 0, &["0123456789a"]);
    assert!(ready(&mut fast).is_some());
    publish(&hub, 1, &["b"]);
    assert_eq!(ready(&mut slow), Some(Taken::Overflow { at: at(0) }));
    assert_eq!(ready(&mut fast), taken("b", 2));
    publish(&hub, 2, &["c"]);
    assert_eq!(ready(&mut fast), taken("c", 3), "what was given up is not held any more");
}

#[test]
fn as_many_listen_as_may_and_a_place_that_is_given_up_is_free() {
    let hub = hub(Limits { listeners: 3, listeners_per_account: 2, ..Limits::default() });
    let (first, _second) = (sit(&hub), sit(&hub));
    assert!(hub.sit(listener("ann", ANN), None).is_err());
    let _bob = hub.sit(listener("bob", ANN), None).unwrap();
    assert!(hub.sit(listener("bob", ANN), None).is_err());
    drop(first);
    assert!(hub.sit(listener("ann", ANN), None).is_ok());
}

#[tokio::test]
async fn what_was_missed_comes_before_what_comes_and_nothing_twice() {
    let hub = hub(Limits::default());
    (0..3).for_each(|offset| publish(&hub, offset, &["before"]));
    let (mut seat, past) = hub.sit(listener("ann", ANN), Some(at(1))).unwrap();
    assert_eq!(past.attach(), at(3));
    publish(&hub, 3, &["live"]);
    assert!(past.push(vec![Bytes::from("1")], &at(2)).await);
    assert_eq!(ready(&mut seat), taken("1", 2));
    assert_eq!(ready(&mut seat), None, "what comes waits");
    assert!(past.push(vec![Bytes::from("2")], &at(3)).await);
    past.end(&at(3)).await;
    assert_eq!(ready(&mut seat), taken("2", 3));
    assert_eq!(ready(&mut seat), Some(Taken::CaughtUp { at: at(3) }));
    assert_eq!(ready(&mut seat), taken("live", 4));
}

#[test]
fn what_a_listener_has_had_before_is_not_told_again() {
    let hub = hub(Limits::default());
    let (mut seat, past) = hub.sit(listener("ann", ANN), Some(at(2))).unwrap();
    past.attach();
    futures::FutureExt::now_or_never(past.end(&at(2))).unwrap();
    assert_eq!(ready(&mut seat), Some(Taken::CaughtUp { at: at(2) }));
    (0..3).for_each(|offset| publish(&hub, offset, &["x"]));
    assert_eq!(ready(&mut seat), taken("x", 3));
    assert_eq!(ready(&mut seat), None);
}

#[tokio::test]
async fn room_for_what_was_missed_is_waited_for_and_not_when_nobody_listens_any_more() {
    let hub = hub(Limits { queue_bytes: 300, ..Limits::default() });
    let (mut seat, past) = hub.sit(listener("ann", ANN), Some(at(0))).unwrap();
    assert!(past.push(vec![Bytes::from("0")], &at(1)).await);
    let pushing = tokio::spawn(async move {
        let second = past.push(vec![Bytes::from("1")], &at(2)).await;
        (second, past.push(vec![Bytes::from("2")], &at(3)).await)
    });
    tokio::task::yield_now().await;
    assert!(!pushing.is_finished());
    assert_eq!(seat.next().await, taken("0", 1).unwrap());
    assert_eq!(seat.next().await, taken("1", 2).unwrap());
    drop(seat);
    assert!(pushing.await.unwrap().0);
}
