//! Who asks: the account behind the key, from the header, the query or the JSON body. Keys are looked up by their
//! SHA-256, so how long that takes says nothing about any key.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::HeaderName;
use axum::http::request::Parts;

use super::doors::Api;
use super::error::ApiError;
use super::request::query_value;

pub const KEY_HEADER: HeaderName = HeaderName::from_static("mailsac-key");
/// The query parameter, and the member of a body.
pub const KEY_PARAMETER: &str = "_mailsacKey";
/// The longest key that is looked up, in bytes.
pub const MAX_KEY_BYTES: usize = 256;
/// It takes milliseconds; who asks is not kept longer while a broker is slow.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(1);

/// The account that asks, by a key in the header or the query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub id: String,
    pub admin: bool,
    /// The key's name.
    pub key_name: String,
}

/// A caller who is an administrator.
#[derive(Clone, Debug)]
pub struct Administrator(pub Caller);

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let key = key_of(parts).ok_or(ApiError::NotAuthorized)?;
        caller(api, &key).await
    }
}

impl FromRequestParts<Arc<Api>> for Administrator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, api).await?;
        administrator(caller)
    }
}

pub fn administrator(caller: Caller) -> Result<Administrator, ApiError> {
    if caller.admin {
        return Ok(Administrator(caller));
    }
    Err(ApiError::Forbidden("This needs the key of an administrator.".into()))
}

/// The key in the header, or else in the query.
pub fn key_of(parts: &Parts) -> Option<String> {
    if let Some(value) = parts.headers.get(KEY_HEADER) {
        return value.to_str().ok().map(|key| key.trim().to_owned());
    }
    query_value(&parts.uri, KEY_PARAMETER)
}

/// The account behind a key. A key that is not known may have been made a moment ago, on another node.
pub async fn caller(api: &Api, key: &str) -> Result<Caller, ApiError> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(ApiError::NotAuthorized);
    }
    if api.doors.is_shared && (api.doors.ready)().is_empty() {
        // What another node has answered for counts here. Without its log a node answers from what it knows.
        let _ = tokio::time::timeout(CATCH_UP_LIMIT, api.doors.accounts.catch_up()).await;
    }
    if let Some(caller) = look_up(api, key) {
        return Ok(caller);
    }
    api.doors.accounts.catch_up().await?;
    look_up(api, key).ok_or(ApiError::NotAuthorized)
}

fn look_up(api: &Api, key: &str) -> Option<Caller> {
    let sha256 = accounts::key_sha256(key);
    api.table(|table| {
        let account = table.account_by_key(key)?;
        let named = account.keys.iter().find(|known| known.sha256 == sha256);
        let key_name = named.map(|known| known.name.clone()).unwrap_or_default();
        Some(Caller { id: account.id.clone(), admin: account.admin, key_name })
    })
}
