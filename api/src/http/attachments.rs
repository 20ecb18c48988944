//! Attachments of one message: the list as it was parsed at arrival, and the bytes as they are in the message now.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_DISPOSITION;
use axum::http::{HeaderValue, Uri};
use axum::response::Response;
use axum::routing::get;
use processors::parse::read;
use schemas::event::Attachment;
use serde::Serialize;

use super::access::{self, echo};
use super::answer::{self, untrusted};
use super::doors::Api;
use super::error::ApiError;
use super::key::Caller;
use super::reading::{Read, parsed};
use super::request::At;

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/addresses/{email}/messages/{id}/attachments", get(list))
        .route("/addresses/{email}/messages/{id}/attachments/{identifier}", get(download))
}

async fn list(
    caller: Caller,
    State(api): State<Arc<Api>>,
    At((email, id)): At<(String, String)>,
) -> Result<Response, ApiError> {
    let (_, entry) = access::entry(&api, &caller, &email, &id).await?;
    let attachments: Vec<AttachmentData<'_>> = entry.attachments.iter().map(AttachmentData::from).collect();
    Ok(answer::json(&attachments))
}

/// By MD5, content id or file name. It is always a file to be saved, of the type that the sender gave it.
async fn download(
    caller: Caller,
    State(api): State<Arc<Api>>,
    At((email, id, identifier)): At<(String, String, String)>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let message = Read::new(&api, &caller, &email, &id, &uri).await?;
    let wanted = identifier.clone();
    let found = parsed(&api, message.raw, move |raw| {
        let bare = wanted.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(&wanted);
        read::attachment(raw, bare).or_else(|| read::attachment(raw, &wanted))
    });
    let missing = || ApiError::NotFound(format!("There is no attachment {}.", echo(&identifier)).into());
    let (attachment, bytes) = found.await?.ok_or_else(missing)?;
    let content_type = HeaderValue::from_str(&attachment.content_type).ok().filter(|value| !value.is_empty());
    let mut response = untrusted(content_type.unwrap_or(OCTETS), bytes);
    response.headers_mut().insert(CONTENT_DISPOSITION, answer::attachment(&attachment.file_name));
    Ok(response)
}

/// An attachment's metadata.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AttachmentData<'a> {
    checksum: &'a str,
    content_disposition: &'a str,
    content_id: &'a str,
    content_type: &'a str,
    file_name: &'a str,
    length: i64,
    transfer_encoding: &'a str,
}

impl<'a> From<&'a Attachment> for AttachmentData<'a> {
    fn from(attachment: &'a Attachment) -> Self {
        Self {
            checksum: &attachment.checksum,
            content_disposition: &attachment.content_disposition,
            content_id: &attachment.content_id,
            content_type: &attachment.content_type,
            file_name: &attachment.file_name,
            length: attachment.length_bytes,
            transfer_encoding: &attachment.transfer_encoding,
        }
    }
}
