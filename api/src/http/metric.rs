//! What is counted of the HTTP door. Routes are labels, never paths: an address is in most of them.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Requests by route and status class.
pub const REQUESTS: &str = "postlog_http_requests_total";
/// From the head of the request to the head of the answer.
pub const REQUEST_SECONDS: &str = "postlog_http_request_seconds";
/// Open connections.
pub const CONNECTIONS: &str = "postlog_http_connections";

/// The route of what is none.
const NO_ROUTE: &str = "other";
const CLASSES: [&str; 4] = ["ok", "moved", "refused", "failed"];

/// Says what each is, and sets what counts at zero: what has not happened yet is a number, too.
pub fn register() {
    describe_counter!(REQUESTS, "HTTP requests, by route and by what they came to");
    describe_histogram!(REQUEST_SECONDS, Unit::Seconds, "From the head of an HTTP request to the head of its answer");
    describe_gauge!(CONNECTIONS, "HTTP connections that are open");
    metrics::gauge!(CONNECTIONS).increment(0.0);
    for class in CLASSES {
        metrics::counter!(REQUESTS, "route" => NO_ROUTE, "result" => class).increment(0);
    }
}

pub async fn measure(path: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let response = next.run(request).await;
    let route = path.as_ref().map_or(NO_ROUTE, MatchedPath::as_str).to_owned();
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

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn what_has_not_happened_yet_is_shown_as_none_and_explained() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, register);
        let shown = recorder.handle().render();
        for line in [
            "# HELP postlog_http_connections HTTP connections that are open",
            "postlog_http_connections 0",
            r#"postlog_http_requests_total{route="other",result="failed"} 0"#,
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{line} in {shown}");
        }
    }
}
