//! The sweep: what goes, what stays, and where the bytes of what stays are.

use schemas::event::ActionChange;
use schemas::{Position, Topic};

use super::writing::{self, INBOXES, Written};
use super::{Body, Chance, dump, ids, inbox, open};
use crate::{Counts, Retention, Swept, Totals};

const ANN: &str = INBOXES[0];
const BEN: &str = INBOXES[2];

pub async fn age_removes_what_is_older_except_what_is_starred(body: &dyn Body) {
    let (log, store) = open(body).await;
    let mails: Vec<Written> = (1..=4).map(|time| writing::mail(&log, 1, time * 10, &[(0, ANN), (1, BEN)])).collect();
    writing::star(&log, &mails[1], 1, Some("account-1"));
    log.fold(&*store, &mut Chance::seeded(1)).await;
    let retention = Retention { received_before_ms: Some(30), ..Retention::default() };
    let swept = store.sweep(&retention).await.unwrap();
    assert_eq!(swept, Swept { messages_removed: 1, messages_copied_out: 0 });
    assert_eq!(ids(&*store, ANN).await, [mails[3].entry_text(0), mails[2].entry_text(0)]);
    assert_eq!(ids(&*store, BEN).await, [mails[3].entry_text(1), mails[2].entry_text(1), mails[1].entry_text(1)]);
    assert_eq!(store.counts(ANN).await.unwrap(), Counts { messages: 2, unread: 2 });
    assert_eq!(store.totals().await.unwrap().0, Totals { messages: 3, entries: 5 });
    assert_eq!(store.sweep(&retention).await.unwrap(), Swept::default());
}

/// The oldest go first, down to the size and not below it; starred mail counts and stays.
pub async fn size_removes_the_oldest_except_what_is_starred(body: &dyn Body) {
    let (log, store) = open(body).await;
    let mails: Vec<Written> = (1..=5).map(|time| writing::mail(&log, 1, time, &[(0, ANN)])).collect();
    writing::star(&log, &mails[0], 0, Some("account-1"));
    log.fold(&*store, &mut Chance::seeded(1)).await;
    for (max_bytes, left) in [(500, &[4, 3, 2, 1, 0][..]), (499, &[4, 3, 2, 0]), (200, &[4, 0]), (0, &[0])] {
        store.sweep(&Retention { max_bytes: Some(max_bytes), ..Retention::default() }).await.unwrap();
        let expected: Vec<String> = left.iter().map(|index| mails[*index].entry_text(0)).collect();
        assert_eq!(ids(&*store, ANN).await, expected, "{max_bytes}");
    }
}

/// After the sweep the log may give up what was named: nothing that stays loses its bytes.
pub async fn bytes_outlive_the_log(body: &dyn Body) {
    let (log, store) = open(body).await;
    let mails = writing::by_chance(&log, &mut Chance::seeded(2), 60, 3);
    log.fold(&*store, &mut Chance::seeded(3)).await;
    let before = dump(&*store).await;
    let raw_before = log.raw_halves();
    let swept = store.sweep(&Retention { raw_before: raw_before.clone(), ..Retention::default() }).await.unwrap();
    assert!(swept.messages_copied_out > 20);
    log.truncate(&raw_before);
    assert_eq!(dump(&*store).await, before);
    let again = store.sweep(&Retention { raw_before, ..Retention::default() }).await.unwrap();
    assert_eq!(again, Swept::default());
    assert!(mails.len() == 60 && before.iter().all(|line| !line.contains("\"sha256\":null")));
}

/// Mail that waits for its other facts is not given up with the log's bytes.
pub async fn mail_that_is_not_routed_yet_keeps_its_bytes(body: &dyn Body) {
    let (log, store) = open(body).await;
    let mail = writing::mail(&log, 1, 10, &[(0, ANN)]);
    log.fold_topic(&*store, Topic::MailRaw).await;
    store.sweep(&Retention { raw_before: log.ends(), ..Retention::default() }).await.unwrap();
    log.truncate(&[Position::new(Topic::MailRaw, 0, 1)]);
    for topic in [Topic::MailRouted, Topic::MailParsed] {
        log.fold_topic(&*store, topic).await;
    }
    assert_eq!(ids(&*store, ANN).await, [mail.entry_text(0)]);
    assert_eq!(store.raw(&mail.id).await.unwrap().unwrap().len(), 100);
}

pub async fn what_was_swept_does_not_come_back(body: &dyn Body) {
    for given_up in [false, true] {
        let (log, store) = open(body).await;
        let deleted = writing::mail(&log, 1, 10, &[(0, ANN)]);
        let expired = writing::mail(&log, 2, 20, &[(0, ANN), (1, BEN)]);
        writing::delete(&log, &deleted, 0);
        writing::star(&log, &expired, 1, Some("account-1"));
        log.fold(&*store, &mut Chance::seeded(1)).await;
        let raw_before = if given_up { log.ends() } else { Vec::new() };
        let retention = Retention { received_before_ms: Some(100), raw_before, ..Retention::default() };
        let swept = store.sweep(&retention).await.unwrap();
        assert_eq!(swept, Swept { messages_removed: 1, messages_copied_out: u64::from(given_up) });
        for mail in [&deleted, &expired] {
            writing::routed(&log, mail, &[(0, ANN), (1, BEN)]);
            writing::scored(&log, mail, 9, 0.9);
            writing::act(&log, mail, 0, ActionChange::Deleted { deleted: false });
            writing::act(&log, mail, 0, ActionChange::Read { read: true });
        }
        log.fold(&*store, &mut Chance::seeded(1)).await;
        assert_eq!(ids(&*store, ANN).await, [] as [&str; 0]);
        assert_eq!(ids(&*store, BEN).await, [expired.entry_text(1)]);
        assert_eq!(store.raw(&deleted.id).await.unwrap(), None);
        assert_eq!(store.totals().await.unwrap().0, Totals { messages: 1, entries: 1 });
    }
}

/// A message with one entry deleted stays for the other one, with its bytes.
pub async fn an_entry_that_stays_keeps_the_message(body: &dyn Body) {
    let (log, store) = open(body).await;
    let mail = writing::mail(&log, 1, 10, &[(0, ANN), (1, BEN)]);
    writing::delete(&log, &mail, 0);
    log.fold(&*store, &mut Chance::seeded(1)).await;
    for expected in [Swept { messages_removed: 0, messages_copied_out: 1 }, Swept::default()] {
        let retention = Retention { raw_before: log.ends(), ..Retention::default() };
        assert_eq!(store.sweep(&retention).await.unwrap(), expected);
        log.truncate(&[Position::new(Topic::MailRaw, 0, 1)]);
        assert_eq!(ids(&*store, BEN).await, [mail.entry_text(1)]);
        assert_eq!(store.raw(&mail.id).await.unwrap().unwrap().len(), 100);
    }
    writing::delete(&log, &mail, 1);
    log.fold(&*store, &mut Chance::seeded(1)).await;
    let swept = store.sweep(&Retention::default()).await.unwrap();
    assert_eq!(swept, Swept { messages_removed: 1, messages_copied_out: 0 });
    assert_eq!(dump(&*store).await.len(), 1, "only the totals, which are none");
}

/// Random mail, random sweeps between folds: counts stay the lengths of lists, and everything that is shown has bytes.
pub async fn sweeps_between_folds_keep_the_counts(body: &dyn Body) {
    let (log, store) = open(body).await;
    let mut chance = Chance::seeded(11);
    for round in 0..6 {
        writing::by_chance(&log, &mut chance, 30, 2);
        log.fold(&*store, &mut chance).await;
        let raw_before = log.raw_halves();
        let retention = Retention {
            received_before_ms: chance.one_in(2).then(|| 1_700_000_000_000 + chance.below(10) as i64),
            max_bytes: chance.one_in(2).then(|| 1000 + chance.below(4000) as u64),
            raw_before: raw_before.clone(),
        };
        store.sweep(&retention).await.unwrap();
        log.truncate(&raw_before);
        for name in INBOXES {
            let list = inbox(&*store, name).await;
            let counts = store.counts(name).await.unwrap();
            let unread = list.iter().filter(|entry| !entry.read).count();
            assert_eq!((counts.messages, counts.unread), (list.len() as u64, unread as u64), "round {round}");
            for entry in list {
                let id: schemas::EntryId = entry.id.parse().unwrap();
                let bytes = store.raw(&id.message).await.unwrap().unwrap();
                assert_eq!(bytes.len() as u64, entry.envelope.size_bytes);
            }
        }
    }
}
