//! Which pages may open a websocket, or read the log as it comes. A browser says whose page it is (RFC 6455 10.2) and asks nobody first; a program
//! sends no `Origin`.

use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};
use url::Url;

/// Whether the request comes from a program, from a page of this server, or from one of the `listed` origins.
pub fn is_allowed(headers: &HeaderMap, listed: &[String]) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    if origins.next().is_some() {
        return false;
    }
    if listed.iter().any(|known| known == "*" || known.trim_end_matches('/').eq_ignore_ascii_case(origin)) {
        return true;
    }
    let Ok(page) = Url::parse(origin) else { return false };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    // Behind a proxy this server does not know its scheme: the host and its port have to be the page's.
    let ours = host.and_then(|host| Url::parse(&format!("{}://{host}", page.scheme())).ok());
    matches!(page.scheme(), "http" | "https")
        && ours.is_some_and(|ours| {
            ours.host_str() == page.host_str() && ours.port_or_known_default() == page.port_or_known_default()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(host: &str, origins: &[&str], listed: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        for origin in origins {
            headers.append(ORIGIN, origin.parse().unwrap());
        }
        let listed: Vec<String> = listed.iter().map(|one| (*one).to_owned()).collect();
        is_allowed(&headers, &listed)
    }

    #[test]
    fn programs_and_pages_of_this_server_may_listen() {
        assert!(allowed("mail.test:8025", &[], &[]));
        assert!(allowed("mail.test:8025", &["http://mail.test:8025"], &[]));
        assert!(allowed("mail.test", &["https://MAIL.test"], &[]));
        assert!(allowed("mail.test:443", &["https://mail.test"], &[]));
        assert!(allowed("[::1]:8025", &["http://[::1]:8025"], &[]));
    }

    #[test]
    fn pages_of_others_may_not_not_even_from_another_port() {
        for origin in [
            "http://evil.example",
            "http://mail.test",
            "http://mail.test:8026",
            "https://mail.test:8025.evil.example",
            "http://mail.test:8025@evil.example",
            "null",
            "file://",
            "",
        ] {
            assert!(!allowed("mail.test:8025", &[origin], &[]), "{origin}");
        }
        assert!(!allowed("mail.test", &["https://mail.test", "https://evil.example"], &[]));
    }

    #[test]
    fn listed_origins_may_listen() {
        assert!(allowed("mail.test", &["https://app.example"], &["https://App.example/"]));
        assert!(!allowed("mail.test", &["https://other.example"], &["https://app.example"]));
        assert!(allowed("mail.test", &["null"], &["*"]));
    }
}
