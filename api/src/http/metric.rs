//! What is counted of the HTTP door. Routes are labels, never paths: an address is in most of them.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;

/// Requests by route and status class.
pub const REQUESTS: &str = "postlog_http_requests_total";
/// From the head of the request to the head of the answer.
pub const REQUEST_SECONDS: &str = "postlog_http_request_seconds";
/// Open connections.
pub const CONNECTIONS: &str = "postlog_http_connections";

pub async fn measure(path: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let response = next.run(request).await;
    let route = path.as_ref().map_or("other", MatchedPath::as_str).to_owned();
    let class = match response.status().as_u16() {
        ..300 => "ok",
        300..400 => "moved",
        400..500 => "refused",
        500.. => "failed",
    };
    metrics::histogram!(REQUEST_SECONDS, "route" => route.clone()).record(started.elapsed().as_secs_f64());
    metrics::counter!(REQUESTS, "route" => route, "result" => class).increment(1);
    response
}
