//! What every body of the store promises, one function a promise. A body's tests call each with a way to open an
//! empty store; a broken promise is a panic. The embedded body is the reference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a suite fails by panicking")]

mod chance;
pub mod folding;
pub mod lists;
mod model_log;
pub mod rebuilding;
pub mod retention;
pub(crate) mod writing;

use std::sync::Arc;

use async_trait::async_trait;

pub use self::chance::Chance;
pub use self::model_log::ModelLog;
pub use self::writing::by_chance as mail_by_chance;
pub use self::writing::whole_at as mail_at;
use crate::{Entry, ListQuery, Listed, RawSource, Scope, Upkeep};

/// A way to make stores.
#[async_trait]
pub trait Body: Sync {
    /// A new, empty store whose bytes lie in this log.
    async fn empty(&self, raw: Arc<dyn RawSource>) -> Arc<dyn Upkeep>;
}

/// Everything that the store shows.
pub async fn dump(store: &dyn Upkeep) -> Vec<String> {
    let mut lines = Vec::new();
    let mut push = |line| {
        lines.push(line);
        Ok(())
    };
    store.dump(&mut push).await.unwrap();
    lines
}

async fn open(body: &dyn Body) -> (Arc<ModelLog>, Arc<dyn Upkeep>) {
    let log = Arc::new(ModelLog::default());
    (log.clone(), body.empty(log).await)
}

/// A list, which is the same whether it is asked for as entries or written out, and however often.
async fn list(store: &dyn Upkeep, query: &ListQuery) -> Vec<Entry> {
    let entries = store.list(query).await.unwrap();
    let expected: Vec<Listed> =
        entries.iter().map(|entry| Listed::of(entry.id.parse().unwrap(), entry).unwrap()).collect();
    for _ in 0..2 {
        let listed = store.listed(query).await.unwrap();
        assert!(listed.iter().map(|listed| &**listed).eq(&expected));
    }
    entries
}

/// The whole list of an inbox.
async fn inbox(store: &dyn Upkeep, name: &str) -> Vec<Entry> {
    list(store, &whole(Scope::Inbox(name.to_owned()))).await
}

async fn starred(store: &dyn Upkeep, account: &str) -> Vec<Entry> {
    list(store, &whole(Scope::StarredBy(account.to_owned()))).await
}

async fn ids(store: &dyn Upkeep, name: &str) -> Vec<String> {
    inbox(store, name).await.into_iter().map(|entry| entry.id).collect()
}

const fn whole(scope: Scope) -> ListQuery {
    ListQuery { scope, until_ms: None, after: None, limit: 1000 }
}
