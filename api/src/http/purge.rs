//! Emptying an inbox: every entry that is to go gets an event of its own, a page at a time.

use mailstore::{Entry, ListQuery, Scope};
use schemas::EntryId;
use schemas::event::ActionChange;

use super::doors::Api;
use super::error::ApiError;
use super::key::Caller;
use super::write;

/// Entries that are removed with one append.
const PAGE: usize = 500;

/// Removes what is not starred.
pub async fn unstarred(api: &Api, caller: &Caller, inbox: &str) -> Result<(), ApiError> {
    remove(api, caller, inbox, |entry| entry.saved_by.is_none()).await
}

/// Removes starred mail too.
pub async fn everything(api: &Api, caller: &Caller, inbox: &str) -> Result<(), ApiError> {
    remove(api, caller, inbox, |_| true).await
}

async fn remove(api: &Api, caller: &Caller, inbox: &str, goes: fn(&Entry) -> bool) -> Result<(), ApiError> {
    let mut after: Option<EntryId> = None;
    loop {
        let query = ListQuery { scope: Scope::Inbox(inbox.to_owned()), until_ms: None, after, limit: PAGE };
        let page = api.doors.store.list(&query).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id.parse().ok();
        let gone = page.iter().filter(|entry| goes(entry)).filter_map(|entry| entry.id.parse().ok());
        let actions = gone.map(|id| (id, ActionChange::Deleted { deleted: true })).collect();
        write::act(api, caller, actions).await?;
        if page.len() < PAGE || after.is_none() {
            return Ok(());
        }
    }
}
