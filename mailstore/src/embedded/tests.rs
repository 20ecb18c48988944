//! What only the embedded body promises.

use std::path::Path;
use std::sync::Arc;

use schemas::{Position, Topic};

use super::EmbeddedStore;
use crate::contract::{Chance, ModelLog, dump, mail_by_chance, writing};
use crate::{ListQuery, RawBytes, Result, Retention, Scope, Store, StoreError, Upkeep};

const INBOX: &str = "ann@a.example";

fn open_with(path: &Path, log_id: &str, log: &Arc<ModelLog>) -> Result<Arc<EmbeddedStore>> {
    let db = fjall::Database::builder(path).open().unwrap();
    EmbeddedStore::open(db, log_id, RawBytes::OnLog(log.clone()))
}

fn open(path: &Path, log_id: &str) -> Result<Arc<EmbeddedStore>> {
    open_with(path, log_id, &Arc::default())
}

fn tables_in(path: &Path) -> Vec<String> {
    let db = fjall::Database::builder(path).open().unwrap();
    let mut names: Vec<String> = db.list_keyspace_names().iter().map(ToString::to_string).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_store_of_another_log_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), "one").unwrap());
    let refused = open(folder.path(), "two").err();
    assert!(matches!(refused, Some(StoreError::OtherLog { stored, given }) if stored == "one" && given == "two"));
    open(folder.path(), "one").unwrap();
}

#[tokio::test]
async fn bytes_are_looked_for_where_they_were_put_when_the_store_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let open = |raw| EmbeddedStore::open(fjall::Database::builder(folder.path()).open().unwrap(), "one", raw);
    drop(open(RawBytes::CopiedIn).unwrap());
    let refused = open(RawBytes::OnLog(Arc::new(ModelLog::default()))).err();
    assert!(matches!(refused, Some(StoreError::Damaged(_))));
    open(RawBytes::CopiedIn).unwrap();
}

/// What is gone has no bytes any more, also while the log still has the mail.
#[tokio::test]
async fn bytes_that_were_copied_in_go_with_their_message() {
    let (folder, log) = (tempfile::tempdir().unwrap(), Arc::new(ModelLog::default()));
    let mail = writing::mail(&log, 1, 10, &[(0, INBOX)]);
    let db = fjall::Database::builder(folder.path()).open().unwrap();
    let store = EmbeddedStore::open(db, "one", RawBytes::CopiedIn).unwrap();
    log.fold(&*store, &mut Chance::seeded(1)).await;
    let copies = || store.inner.shared.bytes.len().unwrap();
    assert_eq!((copies(), store.raw(&mail.id).await.unwrap().map(|bytes| bytes.len())), (1, Some(100)));
    writing::delete(&log, &mail, 0);
    log.fold(&*store, &mut Chance::seeded(1)).await;
    store.sweep(&Retention::default()).await.unwrap();
    assert_eq!(copies(), 0);
    // A rebuild meets the mail once more, before or after it hears that it is gone.
    for carries_first in [true, false] {
        let next = store.rebuild().await.unwrap();
        if carries_first {
            store.carry_over(&[]).await.unwrap();
        }
        log.fold(&*next, &mut Chance::seeded(2)).await;
        store.carry_over(&[]).await.unwrap();
        store.switch().await.unwrap();
        assert_eq!((copies(), store.raw(&mail.id).await.unwrap()), (0, None));
    }
    store.sweep(&Retention { raw_before: log.ends(), ..Retention::default() }).await.unwrap();
    assert_eq!(store.current().rows.len().unwrap(), 0);
}

#[tokio::test]
async fn a_store_of_a_newer_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), "one").unwrap();
    store.inner.shared.meta.insert(super::FORMAT_KEY, (super::FORMAT + 1).to_string()).unwrap();
    drop(store);
    let refused = open(folder.path(), "one").err();
    assert!(matches!(refused, Some(StoreError::Damaged(cause)) if cause.contains("newer")));
}

#[tokio::test]
async fn positions_and_views_are_there_after_opening_again() {
    let (folder, log) = (tempfile::tempdir().unwrap(), Arc::new(ModelLog::default()));
    mail_by_chance(&log, &mut Chance::seeded(1), 50, 2);
    let store = open_with(folder.path(), "one", &log).unwrap();
    log.fold(&*store, &mut Chance::seeded(2)).await;
    let before = (dump(&*store).await, store.positions().await.unwrap());
    store.settle(std::time::Duration::from_secs(10)).await.unwrap();
    drop(store);
    let store = open_with(folder.path(), "one", &log).unwrap();
    assert_eq!((dump(&*store).await, store.positions().await.unwrap()), before);
    mail_by_chance(&log, &mut Chance::seeded(3), 50, 2);
    log.fold(&*store, &mut Chance::seeded(4)).await;
    let other = tempfile::tempdir().unwrap();
    let whole = open_with(other.path(), "one", &log).unwrap();
    log.fold(&*whole, &mut Chance::seeded(5)).await;
    assert_eq!(dump(&*store).await, dump(&*whole).await);
}

#[tokio::test]
async fn what_an_interrupted_rebuild_left_is_dropped() {
    let (folder, log) = (tempfile::tempdir().unwrap(), Arc::new(ModelLog::default()));
    mail_by_chance(&log, &mut Chance::seeded(1), 20, 1);
    let store = open_with(folder.path(), "one", &log).unwrap();
    log.fold(&*store, &mut Chance::seeded(2)).await;
    let before = dump(&*store).await;
    let names = tables_in_use(&store);
    let next = store.rebuild().await.unwrap();
    log.fold(&*next, &mut Chance::seeded(3)).await;
    assert!(tables_in_use(&store).len() > names.len());
    drop((store, next));
    let store = open_with(folder.path(), "one", &log).unwrap();
    assert_eq!(tables_in_use(&store), names);
    assert_eq!(dump(&*store).await, before);
}

#[tokio::test]
async fn the_old_tables_are_dropped_after_a_switch_and_stay_so() {
    let (folder, log) = (tempfile::tempdir().unwrap(), Arc::new(ModelLog::default()));
    mail_by_chance(&log, &mut Chance::seeded(1), 20, 1);
    let store = open_with(folder.path(), "one", &log).unwrap();
    for seed in 0..3 {
        log.fold(&*store, &mut Chance::seeded(seed)).await;
        let next = store.rebuild().await.unwrap();
        log.fold(&*next, &mut Chance::seeded(seed)).await;
        store.switch().await.unwrap();
    }
    let before = dump(&*store).await;
    drop(store);
    let names = tables_in(folder.path());
    assert_eq!(names, ["store.bytes", "store.meta", "store.rows.4", "store.views.4"]);
    assert_eq!(dump(&*open_with(folder.path(), "one", &log).unwrap()).await, before);
}

/// Rows of facts whose mail the log had given up before it was folded.
#[tokio::test]
async fn rows_that_no_mail_will_reach_are_dropped_by_the_sweep() {
    let (folder, log) = (tempfile::tempdir().unwrap(), Arc::new(ModelLog::default()));
    mail_by_chance(&log, &mut Chance::seeded(1), 20, 1);
    let store = open_with(folder.path(), "one", &log).unwrap();
    log.fold_topic(&*store, Topic::MailParsed).await;
    let rows = || store.current().rows.len().unwrap();
    for (position, left) in [(0, 20), (19, 1), (20, 0)] {
        store.apply(Vec::new(), &[Position::new(Topic::MailRaw, 0, position)]).await.unwrap();
        store.sweep(&Retention::default()).await.unwrap();
        assert_eq!(rows(), left, "mail.raw is folded up to {position}");
    }
}

/// Nothing says where the mail of an action stood; much later mail says that it is not on the log.
#[tokio::test]
async fn rows_of_actions_alone_are_dropped_when_much_later_mail_is_there() {
    let (folder, log) = (tempfile::tempdir().unwrap(), Arc::new(ModelLog::default()));
    mail_by_chance(&log, &mut Chance::seeded(1), 20, 1);
    let store = open_with(folder.path(), "one", &log).unwrap();
    log.fold_topic(&*store, Topic::MailActions).await;
    let rows = || store.current().rows.len().unwrap();
    let acted_on = rows();
    for (offset, hours, left) in [(20, 23, acted_on + 1), (21, 25, 2)] {
        let later = Arc::new(ModelLog::default());
        crate::contract::mail_at(&later, 1_700_000_000_000 + hours * 60 * 60 * 1000);
        let mut raw = later.facts().remove(0);
        raw.position.offset = offset;
        store.apply(vec![raw], &[]).await.unwrap();
        store.sweep(&Retention::default()).await.unwrap();
        assert_eq!(rows(), left, "{hours} hours later");
    }
}

/// A fold that waited for the switch goes to the new tables.
#[tokio::test]
async fn tables_that_were_replaced_take_no_more_facts() {
    let (folder, log) = (tempfile::tempdir().unwrap(), Arc::new(ModelLog::default()));
    let store = open_with(folder.path(), "one", &log).unwrap();
    let old = store.current();
    let next = store.rebuild().await.unwrap();
    log.fold(&*next, &mut Chance::seeded(1)).await;
    store.switch().await.unwrap();
    assert!(old.writer().retired && !store.current().writer().retired);
}

/// A list is one view: whatever is folded or swept meanwhile, each entry that stands in it can be read.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reads_are_whole_while_facts_are_folded_and_swept() {
    let (folder, log) = (tempfile::tempdir().unwrap(), Arc::new(ModelLog::default()));
    let store = open_with(folder.path(), "one", &log).unwrap();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (store, stop) = (store.clone(), stop.clone());
            tokio::spawn(async move {
                let scope = Scope::Inbox(INBOX.to_owned());
                let query = ListQuery { scope, until_ms: None, after: None, limit: 50 };
                let mut lists = 0_u32;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let list = store.list(&query).await.unwrap();
                    assert!(list.is_sorted_by(|one, next| one.received_at >= next.received_at));
                    lists += 1;
                    tokio::task::yield_now().await;
                }
                lists
            })
        })
        .collect();
    let mut chance = Chance::seeded(9);
    for round in 0..10 {
        mail_by_chance(&log, &mut chance, 30, 2);
        log.fold(&*store, &mut chance).await;
        let retention = Retention { max_bytes: Some(6000), raw_before: log.raw_halves(), ..Retention::default() };
        store.sweep(&retention).await.unwrap();
        if round % 3 == 0 {
            let next = store.rebuild().await.unwrap();
            store.carry_over(&log.raw_starts()).await.unwrap();
            log.fold(&*next, &mut chance).await;
            store.switch().await.unwrap();
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
}

fn tables_in_use(store: &EmbeddedStore) -> Vec<String> {
    let mut names: Vec<String> = store.inner.shared.db.list_keyspace_names().iter().map(ToString::to_string).collect();
    names.sort();
    names
}

#[tokio::test]
async fn bytes_on_the_log_are_needed_from_the_first_message_that_is_not_swept() {
    let (folder, log) = (tempfile::tempdir().unwrap(), Arc::new(ModelLog::default()));
    let mails: Vec<_> = (0..4).map(|time| writing::mail(&log, 1, time, &[(0, INBOX)])).collect();
    let at =
        |index: usize| Position::new(Topic::MailRaw, mails[index].partition, mails[index].raw_offset.cast_unsigned());
    let store = open_with(folder.path(), "one", &log).unwrap();
    let start = at(0);
    assert_eq!(store.needed_from(&[start]).await.unwrap(), [], "nothing is folded");
    log.fold(&*store, &mut Chance::seeded(1)).await;
    assert_eq!(store.needed_from(&[start]).await.unwrap(), [start]);
    for (swept, needed) in [(&[0, 2][..], at(1)), (&[1, 3], at(3).next())] {
        swept.iter().for_each(|index| writing::delete(&log, &mails[*index], 0));
        log.fold(&*store, &mut Chance::seeded(2)).await;
        store.sweep(&Retention::default()).await.unwrap();
        assert_eq!(store.needed_from(&[start]).await.unwrap(), [needed]);
    }
}
