//! What only the embedded body promises.

use std::sync::Arc;

use schemas::event::MailRaw;
use schemas::{Position, Topic};

use super::EmbeddedStore;
use crate::{RawSource, Result, Store, StoreError};

struct NoLog;

impl RawSource for NoLog {
    fn read(&self, _: Position) -> Result<Option<MailRaw>> {
        Ok(None)
    }
}

fn open(path: &std::path::Path, log: &str) -> Result<Arc<EmbeddedStore>> {
    let db = fjall::Database::builder(path).open().unwrap();
    EmbeddedStore::open(db, log, Arc::new(NoLog))
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
async fn positions_are_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let place = Position::new(Topic::MailActions, 2, 7);
    open(folder.path(), "one").unwrap().apply(Vec::new(), &[place]).await.unwrap();
    assert_eq!(open(folder.path(), "one").unwrap().positions().await.unwrap(), [place]);
}
