//! Messages of an inbox: list, count, one, delete, purge; and the caller's starred mail of all inboxes.

use std::sync::Arc;

use accounts::Access;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use mailstore::message::Message;
use mailstore::{ListQuery, Listed, Scope};
use schemas::EntryId;
use schemas::event::ActionChange;
use serde::Serialize;

use super::access::{self, Inbox};
use super::doors::Api;
use super::error::ApiError;
use super::key::Caller;
use super::request::{At, query_value};
use super::{answer, purge, time, write};

/// The page when no limit is given.
pub const DEFAULT_LIMIT: usize = 20;
/// The largest page.
pub const MAX_LIMIT: usize = 1000;

pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/addresses/{email}/message-count", get(count))
        .route("/addresses/{email}/messages", get(list).delete(purge_inbox))
        .route("/addresses/starred/messages", get(starred))
        .route("/addresses/{email}/messages/{id}", get(one).delete(delete))
}

/// Which part of a list: `limit` (0 to 1000), `until` (received then or before; a bare day is all of it), and `after`
/// (an id: what comes behind it in the list, so that paging loses nothing among mails of one millisecond).
struct Page {
    limit: usize,
    until_ms: Option<i64>,
    after: Option<EntryId>,
}

impl Page {
    fn read(uri: &Uri) -> Result<Self, ApiError> {
        let mut faults = Vec::new();
        let limit = match query_value(uri, "limit").filter(|text| !text.is_empty()) {
            None => Some(DEFAULT_LIMIT),
            Some(text) => text.trim().parse().ok().filter(|limit| *limit <= MAX_LIMIT),
        };
        if limit.is_none() {
            faults.push(format!("limit is not a number from 0 to {MAX_LIMIT}"));
        }
        let until = query_value(uri, "until").filter(|text| !text.is_empty());
        let until_ms = until.as_deref().and_then(time::until);
        if until.is_some() && until_ms.is_none() {
            faults.push("until is neither a day (2020-07-05) nor a time (2020-07-05T22:25:41.408Z)".to_owned());
        }
        let after = query_value(uri, "after").filter(|text| !text.is_empty());
        let after_id = after.as_deref().and_then(|text| text.parse().ok());
        if after.is_some() && after_id.is_none() {
            faults.push("after is not the id of a message".to_owned());
        }
        match limit {
            Some(limit) if faults.is_empty() => Ok(Self { limit, until_ms, after: after_id }),
            _ => Err(ApiError::Invalid(faults)),
        }
    }

    fn of(self, scope: Scope) -> ListQuery {
        ListQuery { scope, until_ms: self.until_ms, after: self.after, limit: self.limit }
    }
}

async fn list(
    caller: Caller,
    State(api): State<Arc<Api>>,
    At(email): At<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let inbox = access::list(&api, &caller, &email)?;
    let query = Page::read(&uri)?.of(Scope::Inbox(inbox.name.clone()));
    let entries = fill(&api, query, |entry| access::shows(&inbox, &caller, entry.saved_by.as_deref())).await?;
    Ok(answer::json_list(entries.iter().map(|entry| &*entry.json)))
}

async fn starred(caller: Caller, State(api): State<Arc<Api>>, uri: Uri) -> Result<Response, ApiError> {
    let query = Page::read(&uri)?.of(Scope::StarredBy(caller.id.clone()));
    // An inbox may have become somebody else's since.
    let shown = |entry: &Listed| api.table(|table| table.access(&caller.id, &entry.inbox)) != Access::Other;
    let entries = fill(&api, query, shown).await?;
    Ok(answer::json_list(entries.iter().map(|entry| &*entry.json)))
}

/// A page of what is shown: what is not shown leaves no gap.
async fn fill(api: &Api, mut query: ListQuery, shown: impl Fn(&Listed) -> bool) -> Result<Vec<Arc<Listed>>, ApiError> {
    let limit = query.limit;
    let mut entries: Vec<Arc<Listed>> = Vec::with_capacity(limit);
    while entries.len() < limit {
        let page = api.doors.store.listed(&query).await?;
        let was_full = page.len() >= query.limit;
        query.after = page.last().map(|last| last.id.clone());
        entries.extend(page.into_iter().filter(|entry| shown(entry)).take(limit - entries.len()));
        if !was_full || query.after.is_none() {
            break;
        }
    }
    Ok(entries)
}

#[derive(Serialize)]
struct Count<'a> {
    count: u64,
    inbox: &'a str,
}

async fn count(caller: Caller, State(api): State<Arc<Api>>, At(email): At<String>) -> Result<Response, ApiError> {
    let inbox = access::list(&api, &caller, &email)?;
    let counts = api.doors.store.counts(&inbox.name).await?;
    Ok(answer::json(&Count { count: counts.messages, inbox: &inbox.name }))
}

async fn one(
    caller: Caller,
    State(api): State<Arc<Api>>,
    At((email, id)): At<(String, String)>,
) -> Result<Response, ApiError> {
    let (_, entry) = access::entry(&api, &caller, &email, &id).await?;
    Ok(answer::json(&Message::from(&entry)))
}

#[derive(Serialize)]
struct Deleted<'a> {
    #[serde(rename = "_id")]
    id: &'a str,
    inbox: &'a str,
    message: &'a str,
}

async fn delete(
    caller: Caller,
    State(api): State<Arc<Api>>,
    At((email, id)): At<(String, String)>,
) -> Result<Response, ApiError> {
    let (entry_id, entry) = access::entry(&api, &caller, &email, &id).await?;
    write::act(&api, &caller, vec![(entry_id, ActionChange::Deleted { deleted: true })]).await?;
    Ok(answer::json(&Deleted { id: &entry.id, inbox: &entry.inbox, message: "Message was deleted." }))
}

/// Of what is nobody's, an administrator may empty an inbox: where there is one account, everything is its.
async fn purge_inbox(caller: Caller, State(api): State<Arc<Api>>, At(email): At<String>) -> Result<Response, ApiError> {
    let refused = || ApiError::NotOwned("Cannot delete messages for inbox that is not owned by this account".into());
    let Inbox { name, owned } = access::open(&api, &caller, &email).map_err(|error| match error {
        ApiError::NotOwned(_) => refused(),
        other => other,
    })?;
    if !owned && !caller.admin {
        return Err(refused());
    }
    purge::unstarred(&api, &caller, &name).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
