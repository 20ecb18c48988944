//! Whether the server lives, whether it is ready, and its metrics. No key is needed, and nothing is said of any mail.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;

use super::answer;
use super::doors::Api;

pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/", get(root))
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

#[derive(Serialize)]
struct Root {
    name: &'static str,
    version: &'static str,
    api: &'static str,
    ready: &'static str,
    metrics: &'static str,
}

/// What this is, and where to go on.
async fn root() -> Response {
    let version = env!("CARGO_PKG_VERSION");
    answer::json(&Root { name: "postlog", version, api: "/api", ready: "/readyz", metrics: "/metrics" })
}

#[derive(Serialize)]
struct Live {
    live: bool,
}

async fn live() -> Response {
    answer::json(&Live { live: true })
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    /// What is not there yet, for people.
    missing: Vec<String>,
}

async fn ready(State(api): State<Arc<Api>>) -> Response {
    let missing = (api.doors.ready)();
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer::json_with(status, &Ready { ready: missing.is_empty(), missing })
}

async fn metrics(State(api): State<Arc<Api>>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (api.doors.metrics)()).into_response()
}
