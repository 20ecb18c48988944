//! What a reader sets on an entry: star, read, labels, folder. The events carry the resulting value, never a toggle.
//! A move into the folder `spam` or out of it is a correction as well ([`corrections`]).

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::put;
use mailstore::Entry;
use mailstore::message::Message;
use schemas::EntryId;
use schemas::event::{ActionChange, Folder};
use serde::Serialize;

use super::access;
use super::doors::Api;
use super::error::ApiError;
use super::key::Caller;
use super::request::{Asked, At};
use super::{answer, corrections, write};

/// Bytes of a label.
pub const MAX_LABEL_BYTES: usize = 200;
/// Labels that an entry may carry.
pub const MAX_LABELS: usize = 100;

pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/addresses/{email}/messages/{id}/star", put(star))
        .route("/addresses/{email}/messages/{id}/read/{read}", put(read))
        .route("/addresses/{email}/messages/{id}/labels/{label}", put(add_label).delete(remove_label))
        .route("/addresses/{email}/messages/{id}/folder/{folder}", put(move_to))
}

/// What is read back after a change.
#[derive(Serialize)]
struct Labels<'a> {
    #[serde(rename = "_id")]
    id: &'a str,
    labels: &'a [String],
}

#[derive(Serialize)]
struct Read<'a> {
    #[serde(rename = "_id")]
    id: &'a str,
    read: bool,
}

#[derive(Serialize)]
struct Moved<'a> {
    #[serde(rename = "_id")]
    id: &'a str,
    folder: Folder,
}

async fn star(
    State(api): State<Arc<Api>>,
    At((email, id)): At<(String, String)>,
    asked: Asked,
) -> Result<Response, ApiError> {
    let (entry_id, entry) = access::entry(&api, &asked.caller, &email, &id).await?;
    let by_caller = entry.saved_by.as_ref() == Some(&asked.caller.id);
    let saved_by = if by_caller { None } else { Some(asked.caller.id.clone()) };
    let entry = change(&api, &asked.caller, entry_id, ActionChange::Starred { saved_by }).await?;
    Ok(answer::json(&Message::from(&entry)))
}

async fn read(
    State(api): State<Arc<Api>>,
    At((email, id, read)): At<(String, String, String)>,
    asked: Asked,
) -> Result<Response, ApiError> {
    let (entry_id, _) = access::entry(&api, &asked.caller, &email, &id).await?;
    let read = match read.as_str() {
        "true" | "1" => true,
        "false" | "0" => false,
        _ => return Err(ApiError::invalid("what follows read/ is neither true nor false")),
    };
    let entry = change(&api, &asked.caller, entry_id, ActionChange::Read { read }).await?;
    Ok(answer::json(&Read { id: &entry.id, read: entry.read }))
}

async fn add_label(
    State(api): State<Arc<Api>>,
    At((email, id, label)): At<(String, String, String)>,
    asked: Asked,
) -> Result<Response, ApiError> {
    let (entry_id, entry) = access::entry(&api, &asked.caller, &email, &id).await?;
    if label.trim().is_empty() || label.len() > MAX_LABEL_BYTES || label.chars().any(char::is_control) {
        return Err(ApiError::invalid(format!("a label has 1 to {MAX_LABEL_BYTES} bytes and no controls")));
    }
    let known: BTreeSet<&String> = entry.labels.iter().collect();
    if known.contains(&label) {
        return Ok(answer::json(&Labels { id: &entry.id, labels: &entry.labels }));
    }
    if known.len() >= MAX_LABELS {
        return Err(ApiError::Refused(format!("A message carries at most {MAX_LABELS} labels.").into()));
    }
    set_label(&api, &asked.caller, entry_id, label, true).await
}

async fn remove_label(
    caller: Caller,
    State(api): State<Arc<Api>>,
    At((email, id, label)): At<(String, String, String)>,
) -> Result<Response, ApiError> {
    let (entry_id, entry) = access::entry(&api, &caller, &email, &id).await?;
    if !entry.labels.contains(&label) {
        return Ok(answer::json(&Labels { id: &entry.id, labels: &entry.labels }));
    }
    set_label(&api, &caller, entry_id, label, false).await
}

async fn set_label(
    api: &Api,
    caller: &Caller,
    id: EntryId,
    label: String,
    present: bool,
) -> Result<Response, ApiError> {
    let entry = change(api, caller, id, ActionChange::Labelled { label, present }).await?;
    Ok(answer::json(&Labels { id: &entry.id, labels: &entry.labels }))
}

async fn move_to(
    State(api): State<Arc<Api>>,
    At((email, id, folder)): At<(String, String, String)>,
    asked: Asked,
) -> Result<Response, ApiError> {
    let (entry_id, entry) = access::entry(&api, &asked.caller, &email, &id).await?;
    let folder: Folder = folder.parse().map_err(|_| {
        ApiError::invalid(format!(
            "there is no such folder; the folders are {}",
            Folder::ALL.map(Folder::name).join(", ")
        ))
    })?;
    let said = corrections::said_by_move(&api, &asked.caller, &entry_id, &entry, folder).await?;
    let also = match &said {
        Some(correction) => vec![corrections::record(correction)?],
        None => Vec::new(),
    };
    let moved = vec![(entry_id.clone(), ActionChange::Moved { folder })];
    write::act_and(&api, &asked.caller, moved, also).await?;
    let entry = shown(&api, &entry_id).await?;
    Ok(answer::json(&Moved { id: &entry.id, folder: entry.folder }))
}

/// The entry after the change; it may have been deleted meanwhile.
async fn change(api: &Api, caller: &Caller, id: EntryId, change: ActionChange) -> Result<Entry, ApiError> {
    write::act(api, caller, vec![(id.clone(), change)]).await?;
    shown(api, &id).await
}

async fn shown(api: &Api, id: &EntryId) -> Result<Entry, ApiError> {
    let entry = api.doors.store.entry(id).await?;
    entry.ok_or_else(|| ApiError::NotFound("The message has been deleted meanwhile.".into()))
}
