//! Lists: their order, their pages, and what is counted.

use schemas::event::ActionChange;

use super::writing::{self, ACCOUNTS, INBOXES, Written};
use super::{Body, Chance, ids, inbox, list, open, starred};
use crate::{Counts, Entry, ListQuery, Scope};

const ANN: &str = INBOXES[0];

/// By time of receipt, then by id, both falling; pages of any size put together are the whole list.
pub async fn pages_lose_nothing_among_equal_times(body: &dyn Body) {
    let (log, store) = open(body).await;
    writing::by_chance(&log, &mut Chance::seeded(7), 80, 2);
    log.fold(&*store, &mut Chance::seeded(8)).await;
    for name in INBOXES {
        let whole = inbox(&*store, name).await;
        assert!(whole.len() > 10);
        assert!(whole.is_sorted_by(|one, next| key(one) > key(next)), "{name}");
        for limit in [1, 2, 3, 7, whole.len(), whole.len() + 1] {
            let mut pages: Vec<Entry> = Vec::new();
            loop {
                let after = pages.last().map(|entry| entry.id.parse().unwrap());
                let query = ListQuery { scope: Scope::Inbox(name.to_owned()), until_ms: None, after, limit };
                let page = list(&*store, &query).await;
                if page.is_empty() {
                    break;
                }
                assert!(page.len() <= limit);
                pages.extend(page);
            }
            assert_eq!(pages, whole, "{name} by {limit}");
        }
    }
}

pub async fn until_is_inclusive(body: &dyn Body) {
    let (log, store) = open(body).await;
    let mails: Vec<Written> = (1..=4).map(|time| writing::mail(&log, 1, time * 10, &[(0, ANN)])).collect();
    log.fold(&*store, &mut Chance::seeded(1)).await;
    let newest_first =
        |count: usize| -> Vec<String> { mails[..count].iter().rev().map(|mail| mail.entry_text(0)).collect() };
    for (until_ms, count) in [(9, 0), (10, 1), (29, 2), (30, 3), (31, 3), (i64::MAX, 4), (i64::MIN, 0)] {
        let query = ListQuery { scope: Scope::Inbox(ANN.to_owned()), until_ms: Some(until_ms), after: None, limit: 10 };
        let shown: Vec<String> = list(&*store, &query).await.into_iter().map(|entry| entry.id).collect();
        assert_eq!(shown, newest_first(count), "until {until_ms}");
    }
}

/// Pages of what was received until a time: the later of the two bounds counts.
pub async fn a_page_behind_an_entry_heeds_until(body: &dyn Body) {
    let (log, store) = open(body).await;
    let mails: Vec<Written> = (1..=4).map(|time| writing::mail(&log, 1, time * 10, &[(0, ANN)])).collect();
    log.fold(&*store, &mut Chance::seeded(1)).await;
    for (until_ms, after, first) in [(40, 2, Some(1)), (20, 3, Some(1)), (15, 2, Some(0)), (5, 2, None)] {
        let (until_ms, after) = (Some(until_ms), Some(mails[after].entry(0)));
        let query = ListQuery { scope: Scope::Inbox(ANN.to_owned()), until_ms, after, limit: 1 };
        let page: Vec<String> = list(&*store, &query).await.into_iter().map(|entry| entry.id).collect();
        assert_eq!(page.first().cloned(), first.map(|first: usize| mails[first].entry_text(0)), "{until_ms:?}");
    }
}

/// The entry that a page ended at may be gone before the next page is asked for.
pub async fn a_page_continues_behind_an_entry_that_was_removed(body: &dyn Body) {
    let (log, store) = open(body).await;
    let mails: Vec<Written> = (1..=3).map(|number| writing::mail(&log, number, 10, &[(0, ANN)])).collect();
    writing::delete(&log, &mails[1], 0);
    log.fold(&*store, &mut Chance::seeded(1)).await;
    let query =
        ListQuery { scope: Scope::Inbox(ANN.to_owned()), until_ms: None, after: Some(mails[1].entry(0)), limit: 10 };
    for sweep in [None, Some(Vec::new()), Some(log.ends())] {
        if let Some(raw_before) = sweep {
            store.sweep(&crate::Retention { raw_before, ..Default::default() }).await.unwrap();
        }
        let rest: Vec<String> = list(&*store, &query).await.into_iter().map(|entry| entry.id).collect();
        assert_eq!(rest, [mails[0].entry_text(0)]);
    }
}

pub async fn counts_are_the_lengths_of_lists(body: &dyn Body) {
    let (log, store) = open(body).await;
    let mut chance = Chance::seeded(3);
    for round in 0..4 {
        writing::by_chance(&log, &mut chance, 20 * (round + 1), 2);
        log.fold(&*store, &mut chance).await;
        let mut entries = 0;
        for name in INBOXES {
            let list = inbox(&*store, name).await;
            let unread = list.iter().filter(|entry| !entry.read).count() as u64;
            assert_eq!(store.counts(name).await.unwrap(), Counts { messages: list.len() as u64, unread });
            entries += list.len() as u64;
        }
        assert_eq!(store.totals().await.unwrap().0.entries, entries);
    }
}

/// Each account's list holds what it has starred and nothing else, in the order of lists.
pub async fn starred_entries_stand_in_their_accounts_list(body: &dyn Body) {
    let (log, store) = open(body).await;
    writing::by_chance(&log, &mut Chance::seeded(5), 300, 2);
    log.fold(&*store, &mut Chance::seeded(6)).await;
    for account in ACCOUNTS {
        let mut expected = Vec::new();
        for name in INBOXES {
            expected.extend(inbox(&*store, name).await);
        }
        expected.retain(|entry| entry.saved_by.as_deref() == Some(account));
        expected.sort_by_key(|entry| std::cmp::Reverse(key(entry)));
        assert!(!expected.is_empty());
        assert_eq!(starred(&*store, account).await, expected, "{account}");
    }
}

pub async fn a_star_taken_back_leaves_the_list(body: &dyn Body) {
    let (log, store) = open(body).await;
    let mail = writing::mail(&log, 1, 10, &[(0, ANN)]);
    for (by, first, second) in [(Some("account-1"), 1, 0), (Some("account-2"), 0, 1), (None, 0, 0)] {
        writing::star(&log, &mail, 0, by);
        log.fold(&*store, &mut Chance::seeded(1)).await;
        let lengths = (starred(&*store, ACCOUNTS[0]).await.len(), starred(&*store, ACCOUNTS[1]).await.len());
        assert_eq!(lengths, (first, second), "{by:?}");
    }
}

/// One inbox's list never shows another's, however alike their names are.
pub async fn inboxes_with_like_names_stay_apart(body: &dyn Body) {
    let (log, store) = open(body).await;
    let long = "n".repeat(2000);
    let names = ["a@b", "a@b.c", "a@", "", "a@b\0", "a@b\u{ff}", "A@b", &long, &format!("{long}x")];
    for (number, name) in (0_u64..).zip(names) {
        writing::mail(&log, number, 10, &[(0, name)]);
    }
    log.fold(&*store, &mut Chance::seeded(1)).await;
    for name in names {
        let list = inbox(&*store, name).await;
        assert_eq!(list.iter().map(|entry| &*entry.inbox).collect::<Vec<_>>(), [name]);
        assert_eq!(store.counts(name).await.unwrap().messages, 1);
    }
}

/// A list asked for without measure ends at a thousand.
pub async fn a_list_is_never_longer_than_its_limit(body: &dyn Body) {
    let (log, store) = open(body).await;
    for number in 0..1001 {
        writing::mail(&log, number, 10, &[(0, ANN)]);
    }
    log.fold(&*store, &mut Chance::seeded(1)).await;
    for (limit, length) in [(0, 0), (999, 999), (1000, 1000), (1001, 1000), (usize::MAX, 1000)] {
        let query = ListQuery { scope: Scope::Inbox(ANN.to_owned()), until_ms: None, after: None, limit };
        assert_eq!(list(&*store, &query).await.len(), length, "{limit}");
    }
}

pub async fn bytes_are_read_by_message_until_its_last_entry_is_deleted(body: &dyn Body) {
    let (log, store) = open(body).await;
    let mail = writing::mail(&log, 5, 10, &[(0, ANN), (1, INBOXES[1])]);
    log.fold(&*store, &mut Chance::seeded(1)).await;
    for (index, left) in [(None, 100), (Some(0), 100), (Some(1), 0)] {
        if let Some(index) = index {
            writing::act(&log, &mail, index, ActionChange::Deleted { deleted: true });
            log.fold(&*store, &mut Chance::seeded(1)).await;
        }
        assert_eq!(store.raw(&mail.id).await.unwrap().map_or(0, |bytes| bytes.len()), left);
    }
    assert_eq!(ids(&*store, ANN).await, [] as [&str; 0]);
}

fn key(entry: &Entry) -> (i64, schemas::EntryId) {
    (entry.received_at, entry.id.parse().unwrap())
}
