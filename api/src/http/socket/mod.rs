//! `/incoming-messages`: mail as it comes, over a websocket (RFC 6455). Who may listen is decided here before the
//! upgrade; what is refused is said in an error frame, as existing clients expect, and the socket is closed. A page of
//! another origin is refused without an upgrade: its browser would send whatever it is told to, and read our mail.
//!
//! It knows nothing of the log: what comes is handed in by [`Incoming`].

mod ask;
mod frame;
pub(super) mod origin;
mod seam;
mod talk;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::get;
use hyper_util::rt::TokioIo;
use tokio::sync::OwnedSemaphorePermit;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

pub use frame::render;
pub use seam::{Ask, Incoming, Listening, Next, NotListening};

use super::doors::Api;
use super::error::ApiError;
use ask::{Admitted, Refusal};

/// For the connection to become a websocket once that was answered.
const UPGRADE_LIMIT: Duration = Duration::from_secs(10);

pub fn routes() -> Router<Arc<Api>> {
    Router::new().route("/incoming-messages", get(incoming))
}

async fn incoming(State(api): State<Arc<Api>>, mut request: Request) -> Result<Response, ApiError> {
    if !origin::is_allowed(request.headers(), &api.doors.settings.origins) {
        return Err(ApiError::Forbidden(
            "This page may not listen here: its origin is not one of http.origins.".into(),
        ));
    }
    let accept = accept_of(request.headers())?;
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, _) = request.into_parts();
    let outcome = match ask::admit(&api, &parts).await {
        Ok(admitted) => Outcome::Listens(admitted),
        // Whoever is refused has no place among the listeners, and may not take others' time.
        Err(refusal) => match Arc::clone(&api.refusals).try_acquire_owned() {
            Ok(place) => Outcome::Refused(refusal, place),
            Err(_) => return Err(ApiError::Unavailable),
        },
    };
    tokio::spawn(async move {
        let Ok(Ok(upgraded)) = tokio::time::timeout(UPGRADE_LIMIT, upgrade).await else { return };
        let stream = TokioIo::new(upgraded);
        match outcome {
            Outcome::Listens(admitted) => talk::talk(&api, stream, admitted).await,
            Outcome::Refused(refusal, _place) => talk::refuse(stream, &refusal).await,
        }
    });
    Ok(switching(accept))
}

enum Outcome {
    Listens(Admitted),
    Refused(Refusal, OwnedSemaphorePermit),
}

/// RFC 6455 4.2.1: what makes a request one for a websocket, and the answer to its key.
fn accept_of(headers: &HeaderMap) -> Result<HeaderValue, ApiError> {
    let not_one = || ApiError::invalid("this is a websocket: it needs an upgrade of version 13 (RFC 6455)");
    if !has_word(headers, &CONNECTION, "upgrade") || !has_word(headers, &UPGRADE, "websocket") {
        return Err(not_one());
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(not_one());
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).ok_or_else(not_one)?;
    HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(|_| not_one())
}

fn has_word(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let texts = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|found| found.trim().eq_ignore_ascii_case(word))
}

fn switching(accept: HeaderValue) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}
