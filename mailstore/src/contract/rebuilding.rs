//! A rebuild ends where the store was, also when the log does not hold everything any more.

use schemas::{Position, Topic};

use super::writing::{self, INBOXES};
use super::{Body, Chance, ModelLog, dump, ids, open};
use crate::{Retention, StoreError, Swept, Upkeep};

const ANN: &str = INBOXES[0];

pub async fn a_rebuild_of_the_whole_log_ends_in_the_same_dump(body: &dyn Body) {
    let (log, store) = open(body).await;
    for seed in 20..23 {
        writing::by_chance(&log, &mut Chance::seeded(seed), 40, 3);
        log.fold(&*store, &mut Chance::seeded(seed)).await;
        let before = dump(&*store).await;
        rebuild(&log, &*store, &mut Chance::seeded(seed + 100)).await;
        assert_eq!(dump(&*store).await, before, "seed {seed}");
    }
}

/// Retention, copying out and truncation first; then everything is carried over with flags and bytes.
pub async fn a_rebuild_of_a_shortened_log_loses_nothing(body: &dyn Body) {
    let (log, store) = open(body).await;
    for seed in 30..34 {
        let mut chance = Chance::seeded(seed);
        writing::by_chance(&log, &mut chance, 60, 3);
        log.fold(&*store, &mut chance).await;
        let raw_before = log.raw_halves();
        let retention = Retention {
            received_before_ms: Some(1_700_000_000_000 + (seed.cast_signed() - 30) * 3),
            raw_before: raw_before.clone(),
            ..Retention::default()
        };
        store.sweep(&retention).await.unwrap();
        log.truncate(&raw_before);
        let before = dump(&*store).await;
        rebuild(&log, &*store, &mut chance).await;
        assert_eq!(dump(&*store).await, before, "seed {seed}");
        assert!(before.iter().all(|line| !line.contains("\"sha256\":null")), "seed {seed}");
    }
}

/// What is carried over may come before the facts, after them, or in between.
pub async fn mail_may_be_carried_over_at_any_time(body: &dyn Body) {
    let (log, store) = open(body).await;
    writing::by_chance(&log, &mut Chance::seeded(40), 60, 2);
    log.fold(&*store, &mut Chance::seeded(41)).await;
    let raw_before = log.raw_halves();
    store.sweep(&Retention { raw_before: raw_before.clone(), ..Retention::default() }).await.unwrap();
    log.truncate(&raw_before);
    let before = dump(&*store).await;
    let next = store.rebuild().await.unwrap();
    log.fold(&*next, &mut Chance::seeded(42)).await;
    let carried = store.carry_over(&log.raw_starts()).await.unwrap();
    assert_eq!(store.carry_over(&log.raw_starts()).await.unwrap(), carried);
    let (current, rebuilt) = store.totals().await.unwrap();
    assert!(carried > 10 && Some(current) == rebuilt);
    store.switch().await.unwrap();
    assert_eq!(dump(&*store).await, before);
}

/// Reads and folds go on in the old tables until the switch, and in the new ones after it.
pub async fn reads_and_folds_go_on_during_a_rebuild(body: &dyn Body) {
    let (log, store) = open(body).await;
    let first = writing::mail(&log, 1, 10, &[(0, ANN)]);
    log.fold(&*store, &mut Chance::seeded(1)).await;
    let next = store.rebuild().await.unwrap();
    assert_eq!(ids(&*store, ANN).await, [first.entry_text(0)]);
    assert_eq!(next.counts(ANN).await.unwrap().messages, 0);
    let second = writing::mail(&log, 2, 20, &[(0, ANN)]);
    log.fold(&*store, &mut Chance::seeded(2)).await;
    log.fold(&*next, &mut Chance::seeded(3)).await;
    store.switch().await.unwrap();
    assert_eq!(ids(&*store, ANN).await, [second.entry_text(0), first.entry_text(0)]);
    let third = writing::mail(&log, 3, 30, &[(0, ANN)]);
    log.fold(&*store, &mut Chance::seeded(4)).await;
    assert_eq!(ids(&*store, ANN).await.first(), Some(&third.entry_text(0)));
}

/// Whoever folds into the store goes on where the old tables stood: the new ones must be there.
pub async fn a_switch_is_refused_while_the_new_tables_are_behind(body: &dyn Body) {
    let (log, store) = open(body).await;
    writing::mail(&log, 1, 10, &[(0, INBOXES[1])]);
    writing::mail(&log, 2, 10, &[(0, ANN)]);
    log.fold(&*store, &mut Chance::seeded(1)).await;
    assert!(matches!(store.switch().await, Err(StoreError::Unavailable(_))), "nothing is being built");
    let next = store.rebuild().await.unwrap();
    assert!(matches!(store.switch().await, Err(StoreError::Unavailable(_))), "nothing is folded");
    let end = log.ends().into_iter().find(|end| end.topic == Topic::MailRouted).unwrap();
    next.apply(Vec::new(), &[Position { offset: end.offset - 1, ..end }]).await.unwrap();
    assert!(matches!(store.switch().await, Err(StoreError::Unavailable(_))), "one fact is missing");
    log.fold(&*next, &mut Chance::seeded(1)).await;
    store.switch().await.unwrap();
    assert_eq!(store.counts(ANN).await.unwrap().messages, 1);
}

/// Of a log that has given up everything nothing is folded, and a rebuild is what was carried over.
pub async fn a_rebuild_of_an_emptied_log_is_what_was_carried_over(body: &dyn Body) {
    let (log, store) = open(body).await;
    writing::by_chance(&log, &mut Chance::seeded(50), 40, 2);
    log.fold(&*store, &mut Chance::seeded(51)).await;
    let raw_before: Vec<Position> = log.ends().into_iter().filter(|end| end.topic == Topic::MailRaw).collect();
    store.sweep(&Retention { raw_before: raw_before.clone(), ..Retention::default() }).await.unwrap();
    log.truncate(&raw_before);
    let before = dump(&*store).await;
    let positions = sorted(store.positions().await.unwrap());
    let _next = store.rebuild().await.unwrap();
    store.carry_over(&raw_before).await.unwrap();
    store.switch().await.unwrap();
    assert_eq!(dump(&*store).await, before);
    assert_eq!(sorted(store.positions().await.unwrap()), positions);
}

/// Both generations share the bytes that were copied out.
pub async fn nothing_is_swept_during_a_rebuild(body: &dyn Body) {
    let (log, store) = open(body).await;
    let mail = writing::mail(&log, 1, 10, &[(0, ANN)]);
    writing::delete(&log, &mail, 0);
    log.fold(&*store, &mut Chance::seeded(1)).await;
    let next = store.rebuild().await.unwrap();
    assert!(matches!(store.sweep(&Retention::default()).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.rebuild().await, Err(StoreError::Unavailable(_))));
    drop(next);
    let swept = store.sweep(&Retention::default()).await.unwrap();
    assert_eq!(swept, Swept { messages_removed: 1, messages_copied_out: 0 });
    assert_eq!(store.totals().await.unwrap().1, None);
}

pub async fn a_rebuild_that_was_given_up_is_begun_anew(body: &dyn Body) {
    let (log, store) = open(body).await;
    writing::by_chance(&log, &mut Chance::seeded(60), 40, 2);
    log.fold(&*store, &mut Chance::seeded(61)).await;
    let before = dump(&*store).await;
    for _ in 0..2 {
        drop(store.rebuild().await.unwrap());
    }
    rebuild(&log, &*store, &mut Chance::seeded(62)).await;
    assert_eq!(dump(&*store).await, before);
}

/// The store may keep mail for a shorter time than the log does.
pub async fn what_retention_removed_stays_removed_in_a_rebuild(body: &dyn Body) {
    let (log, store) = open(body).await;
    let old = writing::mail(&log, 1, 10, &[(0, ANN), (1, INBOXES[1])]);
    writing::star(&log, &old, 1, Some("account-1"));
    writing::mail(&log, 2, 20, &[(0, ANN)]);
    let new = writing::mail(&log, 3, 30, &[(0, ANN)]);
    log.fold(&*store, &mut Chance::seeded(1)).await;
    store.sweep(&Retention { received_before_ms: Some(30), ..Retention::default() }).await.unwrap();
    let before = dump(&*store).await;
    rebuild(&log, &*store, &mut Chance::seeded(2)).await;
    assert_eq!(dump(&*store).await, before);
    assert_eq!(ids(&*store, ANN).await, [new.entry_text(0)]);
    assert_eq!(ids(&*store, INBOXES[1]).await, [old.entry_text(1)]);
}

fn sorted(mut positions: Vec<Position>) -> Vec<Position> {
    positions.sort();
    positions
}

async fn rebuild(log: &ModelLog, store: &dyn Upkeep, chance: &mut Chance) {
    let next = store.rebuild().await.unwrap();
    store.carry_over(&log.raw_starts()).await.unwrap();
    log.fold(&*next, chance).await;
    let (current, rebuilt) = store.totals().await.unwrap();
    assert_eq!(Some(current), rebuilt);
    store.switch().await.unwrap();
}
