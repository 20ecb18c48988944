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

/// What a process says of itself, whichever stages it runs.
pub struct Probes {
    /// The metrics in Prometheus' text format.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// What is missing before it does its work; empty when all is well.
    pub ready: Box<dyn Fn() -> Vec<String> + Send + Sync>,
}

/// Everything that a process without the API answers.
pub fn routes<S: Clone + Send + Sync + 'static>(probes: Probes) -> Router<S> {
    Router::new()
        .route("/", get(root))
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(probes))
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

async fn ready(State(probes): State<Arc<Probes>>) -> Response {
    let missing = (probes.ready)();
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer::json_with(status, &Ready { ready: missing.is_empty(), missing })
}

async fn metrics(State(probes): State<Arc<Probes>>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (probes.metrics)()).into_response()
}
