//! Rows of lists that this program can't read: their messages speak for them, and one that can't be read either is
//! named.

use std::sync::Arc;

use mailstore::contract::{Chance, ModelLog, mail_by_chance};
use mailstore::cql::CqlStore;
use mailstore::{Entry, ListQuery, Scope, Store, StoreError};

use crate::server::{keyspace, session, settings};

/// Later than every fact, and earlier than what is final.
const LATE: i64 = (1 << 50) - 2;
/// Of no version that is known.
const UNREADABLE: &str = "0xff80";

async fn folded(keyspace: &str) -> Arc<CqlStore> {
    let log = ModelLog::default();
    mail_by_chance(&log, &mut Chance::seeded(8), 40, 2);
    let store = CqlStore::open(&settings(keyspace).await, "log").await.unwrap();
    log.fold(&*store, &mut Chance::seeded(9)).await;
    store
}

fn query() -> ListQuery {
    ListQuery { scope: Scope::Inbox("ann@a.example".to_owned()), until_ms: None, after: None, limit: 1000 }
}

/// Makes every second row of this list unreadable.
async fn spoil_rows(keyspace: &str, list: &str) -> usize {
    let session = session().await;
    let select = format!("SELECT list_name, level, start, sort, id, idx FROM {keyspace}.listed_1");
    let rows = session.query_unpaged(select, ()).await.unwrap().into_rows_result().unwrap();
    let rows = rows.rows::<(String, i32, i64, i64, String, i32)>().unwrap().map(Result::unwrap);
    let mut spoiled = 0;
    for row in rows.filter(|row| row.0 == list).step_by(2) {
        let update = format!(
            "UPDATE {keyspace}.listed_1 USING TIMESTAMP {LATE} SET entry = {UNREADABLE}
                WHERE list_name = ? AND level = ? AND start = ? AND sort = ? AND id = ? AND idx = ?"
        );
        session.query_unpaged(update, row).await.unwrap();
        spoiled += 1;
    }
    spoiled
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_cannot_be_read_are_made_anew_from_their_messages() {
    let keyspace = keyspace();
    let store = folded(&keyspace).await;
    let before: Vec<Entry> = store.list(&query()).await.unwrap();
    assert!(spoil_rows(&keyspace, "Iann@a.example").await > 1);
    assert_eq!(store.list(&query()).await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_read_nor_its_message_is_named() {
    let keyspace = keyspace();
    let store = folded(&keyspace).await;
    let id = store.list(&query()).await.unwrap()[0].id.clone();
    spoil_rows(&keyspace, "Iann@a.example").await;
    let message = id.rsplit_once('-').unwrap().0;
    let update =
        format!("UPDATE {keyspace}.message_1 USING TIMESTAMP {LATE} SET parsed = {UNREADABLE} WHERE id = '{message}'");
    session().await.query_unpaged(update, ()).await.unwrap();
    let failed = store.list(&query()).await.err();
    assert!(matches!(&failed, Some(StoreError::Damaged(cause)) if cause.contains(&id)), "{failed:?}");
}
