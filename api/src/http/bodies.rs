//! The message as it arrived, and what it says: raw, text, HTML as sent, HTML made harmless.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use axum::routing::get;
use processors::parse::read;

use super::answer::{self, HTML, TEXT, as_download, untrusted};
use super::doors::Api;
use super::error::ApiError;
use super::key::Caller;
use super::reading::{Read, parsed};
use super::request::At;
use super::{present, sanitize};

pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/raw/{email}/{id}", get(raw))
        .route("/text/{email}/{id}", get(text))
        .route("/body/{email}/{id}", get(body))
        .route("/dirty/{email}/{id}", get(dirty))
}

async fn raw(
    caller: Caller,
    State(api): State<Arc<Api>>,
    At((email, id)): At<(String, String)>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let read = Read::new(&api, &caller, &email, &id, &uri).await?;
    let response = untrusted(TEXT, answer::pieces(present::message(&read.entry, &read.raw)));
    Ok(as_download(response, read.download, &read.file_name("eml")))
}

async fn text(
    caller: Caller,
    State(api): State<Arc<Api>>,
    At((email, id)): At<(String, String)>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let message = Read::new(&api, &caller, &email, &id, &uri).await?;
    let text = parsed(&api, message.raw.clone(), read::text).await?;
    Ok(as_download(untrusted(TEXT, text), message.download, &message.file_name("txt")))
}

/// A fragment without scripts, images and links.
async fn body(
    caller: Caller,
    State(api): State<Arc<Api>>,
    At((email, id)): At<(String, String)>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let message = Read::new(&api, &caller, &email, &id, &uri).await?;
    let fragment = parsed(&api, message.raw.clone(), |raw| {
        let html = read::html(raw).unwrap_or_else(|| read::dirty_html(raw));
        sanitize::fragment(&html)
    });
    Ok(as_download(untrusted(HTML, fragment.await?), message.download, &message.file_name("html")))
}

/// Nothing is taken out: only the answer's sandbox keeps it from doing what it says.
async fn dirty(
    caller: Caller,
    State(api): State<Arc<Api>>,
    At((email, id)): At<(String, String)>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let message = Read::new(&api, &caller, &email, &id, &uri).await?;
    let html = parsed(&api, message.raw.clone(), read::dirty_html).await?;
    Ok(as_download(untrusted(HTML, html), message.download, &message.file_name("html")))
}
