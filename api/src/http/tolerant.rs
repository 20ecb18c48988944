//! What stands around every route: the host's name is one of ours, the path is read in its plain spelling (existing
//! clients double slashes and leave one at the end), browsers of other pages may ask with a key, nothing is sniffed or
//! cached, and no answer keeps its caller waiting for ever.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
    CACHE_CONTROL, HOST, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tower::{ServiceExt, service_fn};

use super::doors::{Api, Hosts};
use super::error::ApiError;

/// From the head of a request to the head of its answer: above every wait inside.
const ANSWER_LIMIT: Duration = Duration::from_secs(90);

/// The routes, with everything that stands around them.
pub fn around(api: Arc<Api>, routes: Router) -> Router {
    Router::new().fallback_service(service_fn(move |request: Request| {
        let (api, routes) = (Arc::clone(&api), routes.clone());
        async move { Ok::<Response, Infallible>(answer(&api, routes, request).await) }
    }))
}

async fn answer(api: &Api, routes: Router, mut request: Request) -> Response {
    let mut response = if !is_ours(&api.doors.settings.hosts, request.headers(), request.uri()) {
        ApiError::WrongHost.into_response()
    } else if request.method() == Method::OPTIONS {
        preflight()
    } else {
        if let Some(plain) = plain_path(request.uri()) {
            *request.uri_mut() = plain;
        }
        match tokio::time::timeout(ANSWER_LIMIT, routes.oneshot(request)).await {
            Ok(Ok(response)) => response,
            Err(_) => ApiError::TooSlow.into_response(),
        }
    };
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// There are no cookies: a page can do nothing here without a key of its own.
fn preflight() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")),
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("Mailsac-Key, Mailsac-Client, Content-Type, Last-Event-ID"),
        ),
        (ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400")),
    ];
    (StatusCode::NO_CONTENT, headers, Body::empty()).into_response()
}

fn is_ours(hosts: &Hosts, headers: &HeaderMap, uri: &Uri) -> bool {
    let Hosts::LoopbackAnd(names) = hosts else { return true };
    // RFC 9112 3.2.2: the host of an absolute form outranks the header.
    let Some(host) = uri.authority().map(|authority| authority.as_str()).or_else(|| headers.get(HOST)?.to_str().ok())
    else {
        return false;
    };
    let name = without_port(host);
    let is_loopback = |name: &str| name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    name.eq_ignore_ascii_case("localhost")
        || is_loopback(name.trim_start_matches('[').trim_end_matches(']'))
        || names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn without_port(host: &str) -> &str {
    match host.rfind(':') {
        Some(colon) if !host.ends_with(']') => host.get(..colon).unwrap_or(host),
        _ => host,
    }
}

/// The path without doubled slashes and without one at its end; `None` when it is plain already.
fn plain_path(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if !path.contains("//") && (path.len() == 1 || !path.ends_with('/')) {
        return None;
    }
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let mut plain = format!("/{}", segments.join("/"));
    if let Some(query) = uri.query() {
        plain = format!("{plain}?{query}");
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(plain.parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubled_and_trailing_slashes_go_and_the_rest_stays() {
        for (sent, plain) in [
            ("/api//addresses/a@b.c/", Some("/api/addresses/a@b.c")),
            ("/api/addresses/a@b.c/messages/?limit=1&x=//", Some("/api/addresses/a@b.c/messages?limit=1&x=//")),
            ("//", Some("/")),
            ("/", None),
            ("/api/addresses/a%2F%2Fb@b.c?x=/", None),
        ] {
            let uri: Uri = sent.parse().unwrap();
            assert_eq!(plain_path(&uri).map(|uri| uri.to_string()).as_deref(), plain, "{sent}");
        }
    }

    #[test]
    fn a_server_on_loopback_answers_to_its_own_names_only() {
        let hosts = Hosts::LoopbackAnd(vec!["mail.test".to_owned()]);
        let ours = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            is_ours(&hosts, &headers, &Uri::from_static("/api"))
        };
        for host in ["localhost", "LOCALHOST:8025", "127.0.0.1:8025", "127.8.8.8", "[::1]:8025", "[::1]", "mail.test:1"]
        {
            assert!(ours(host), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.1.1:80", ""] {
            assert!(!ours(host), "{host}");
        }
        assert!(!is_ours(&hosts, &HeaderMap::new(), &Uri::from_static("/api")));
        assert!(is_ours(&Hosts::Any, &HeaderMap::new(), &Uri::from_static("/api")));
    }
}
