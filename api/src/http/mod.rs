//! The HTTP API in Mailsac's shapes, the operator's routes, health and metrics. One file a resource.
//!
//! A request passes [`tolerant`] (host, spelling of the path, headers that every answer carries), then finds its
//! handler. Handlers take who asks ([`key::Caller`]), which inbox it is about ([`access`]), read the store, or append
//! events and wait until they show ([`write`]).
//!
//! Where the interface leaves something open:
//! - `until` is inclusive; a bare day is all of it. `after=<id>` continues a list behind a message.
//! - A public inbox is emptied at once by an administrator only; others delete one by one.
//! - What is not there and what is somebody else's are told apart by inbox only, never by message.

mod access;
mod address;
mod addresses;
mod admin;
mod answer;
mod attachments;
mod bodies;
mod corrections;
mod domains;
mod doors;
mod error;
mod events;
mod flags;
mod forwards;
mod headers;
mod health;
mod key;
mod me;
mod messages;
pub mod metric;
mod present;
mod purge;
mod reading;
mod registry;
pub mod replay;
mod request;
mod sanitize;
mod serve;
mod settings;
mod socket;
mod spam;
mod spam_folder;
mod time;
mod tolerant;
mod webhook;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::routing::any;

pub use doors::{Doors, Hosts, OperationError, Operations, RebuildStep, Settings};
pub use health::Probes;
pub use present::shown;
pub use serve::{Connections, serve, serve_within};
pub use socket::{Ask, Incoming, Listening, Next, NotListening, render};
pub use spam::{Classifier, MAX_MESSAGE_BYTES as MAX_CLASSIFIED_BYTES, alone as classifier_alone};

use doors::Api;
use error::ApiError;

/// Every route of every door.
pub fn router(doors: Arc<Doors>) -> Router {
    let api = Api::new(doors);
    let resources = Router::new()
        .merge(addresses::routes())
        .merge(messages::routes())
        .merge(flags::routes())
        .merge(forwards::routes())
        .merge(events::routes())
        .merge(bodies::routes())
        .merge(headers::routes())
        .merge(attachments::routes())
        .merge(me::routes())
        .merge(domains::routes())
        .merge(spam::routes())
        .merge(spam_folder::routes())
        .nest("/admin", admin::routes());
    let routes = Router::new()
        .nest("/api", resources)
        .merge(socket::routes())
        .merge(registry::routes())
        .merge(health::routes(probes_of(&api)))
        .fallback(any(unknown))
        .method_not_allowed_fallback(not_allowed)
        .layer(axum::middleware::from_fn(metric::measure))
        .with_state(Arc::clone(&api));
    tolerant::around(api, routes)
}

/// What a process without the API answers: how it is, and nothing of any mail.
pub fn probes(probes: Probes) -> Router {
    health::routes(probes).fallback(any(unknown)).method_not_allowed_fallback(not_allowed)
}

fn probes_of(api: &Arc<Api>) -> Probes {
    let (metrics, ready) = (Arc::clone(&api.doors), Arc::clone(&api.doors));
    Probes { metrics: Box::new(move || (metrics.metrics)()), ready: Box::new(move || (ready.ready)()) }
}

async fn unknown() -> ApiError {
    ApiError::NotFound("There is nothing here.".into())
}

async fn not_allowed() -> ApiError {
    ApiError::MethodNotAllowed
}
