//! Reading a message's bytes: where they come from, and where the work of parsing them is done. Small mail is parsed
//! where it is asked for; big mail in a thread of its own, a few at a time.

use axum::http::Uri;
use bytes::Bytes;
use mailstore::Entry;
use schemas::EntryId;

use super::access;
use super::doors::Api;
use super::error::ApiError;
use super::key::Caller;
use super::request::query_switch;

/// Bytes of mail that are parsed in about a millisecond.
const PARSED_IN_PLACE_BYTES: usize = 32 * 1024;

/// A message and its bytes.
pub struct Read {
    pub entry: Entry,
    pub raw: Bytes,
    pub download: bool,
}

impl Read {
    /// The message that a path names, with its bytes.
    pub async fn new(api: &Api, caller: &Caller, email: &str, id: &str, uri: &Uri) -> Result<Self, ApiError> {
        let (entry_id, entry) = access::entry(api, caller, email, id).await?;
        let raw = bytes(api, &entry_id).await?;
        Ok(Self { entry, raw, download: query_switch(uri, "download") })
    }

    /// The name under which it is saved.
    pub fn file_name(&self, extension: &str) -> String {
        format!("{}.{extension}", self.entry.id)
    }
}

async fn bytes(api: &Api, id: &EntryId) -> Result<Bytes, ApiError> {
    let raw = api.doors.store.raw(&id.message).await?;
    raw.ok_or(ApiError::NotFound("The bytes of this message are not kept any more.".into()))
}

/// What `work` makes of the bytes.
pub async fn parsed<T: Send + 'static>(
    api: &Api,
    raw: Bytes,
    work: impl FnOnce(&[u8]) -> T + Send + 'static,
) -> Result<T, ApiError> {
    if raw.len() <= PARSED_IN_PLACE_BYTES {
        return Ok(work(&raw));
    }
    let place = api.parsing.clone().acquire_owned().await.map_err(|_| ApiError::Fault)?;
    let done = tokio::task::spawn_blocking(move || {
        let made = work(&raw);
        drop(place);
        made
    });
    done.await.map_err(|error| {
        tracing::error!(%error, "parsing a message for a reader failed");
        ApiError::Fault
    })
}
