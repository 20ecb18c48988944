//! Where a call goes, read from a URL. An IP address in any spelling that the URL standard knows (`0x7f.1`, `127.1`,
//! `[::ffff:7f00:1]`, dots of other scripts, a dot at the end) is an address here, and is judged as one.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

/// Characters of a URL.
pub const MAX_URL_CHARS: usize = 2048;

/// Where a call goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    pub is_tls: bool,
    pub host: Name,
    pub port: u16,
    /// The `Host` header (RFC 9110 7.2).
    pub authority: String,
    /// Path and query.
    pub path: String,
}

/// Without the path, which is a secret as often as not.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("is_tls", &self.is_tls).field("port", &self.port).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    Address(IpAddr),
    /// To be looked up: once, and what is found is judged and connected to.
    Domain(String),
}

/// Why a URL is not called. It doesn't repeat the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    #[error("the URL can't be read")]
    Unreadable,
    #[error("the URL has more than {MAX_URL_CHARS} characters")]
    TooLong,
    #[error("the URL is neither http: nor https:")]
    Scheme,
    #[error("the URL holds a user name or a password, which are not sent")]
    Credentials,
}

impl Place {
    /// Reads a URL as browsers do, and refuses what is not called.
    pub fn of(url: &str) -> Result<Self, BadUrl> {
        if url.chars().count() > MAX_URL_CHARS {
            return Err(BadUrl::TooLong);
        }
        let url = Url::parse(url).map_err(|_| BadUrl::Unreadable)?;
        let is_tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(BadUrl::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadUrl::Credentials);
        }
        let host = match url.host().ok_or(BadUrl::Unreadable)? {
            Host::Ipv4(address) => Name::Address(address.into()),
            Host::Ipv6(address) => Name::Address(address.into()),
            Host::Domain(domain) => Name::Domain(domain.to_owned()),
        };
        let shown = url.host_str().unwrap_or_default();
        let authority = url.port().map_or_else(|| shown.to_owned(), |port| format!("{shown}:{port}"));
        let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let port = url.port_or_known_default().ok_or(BadUrl::Unreadable)?;
        Ok(Self { is_tls, host, port, authority, path })
    }

    /// What the server has to prove that it is.
    pub fn server_name(&self) -> String {
        match &self.host {
            Name::Address(address) => address.to_string(),
            Name::Domain(domain) => domain.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(url: &str) -> Name {
        Place::of(url).unwrap_or_else(|error| panic!("{url}: {error}")).host
    }

    #[test]
    fn every_spelling_of_an_address_is_that_address() {
        let loopback = Name::Address(IpAddr::from([127, 0, 0, 1]));
        for url in [
            "http://127.0.0.1/",
            "http://127.1",
            "http://0x7f.1",
            "http://0x7f000001",
            "http://2130706433",
            "http://017700000001",
            "http://0177.0.0.01",
            "http://127.0.0.1./",
            "http://127。0。0。1/",
            "http://127．0．0．1/",
            "http://①②⑦.⓪.⓪.①/",
            "http://%31%32%37.1/",
            "http:127.1",
            "http:\\\\127.1\\x",
            "http://\t127.0\n.0.1/",
        ] {
            assert_eq!(host(url), loopback, "{url:?}");
        }
        assert_eq!(host("http://[::ffff:7f00:1]"), Name::Address("::ffff:127.0.0.1".parse().unwrap()));
        assert_eq!(host("http://[64:ff9b::a9fe:a9fe]"), Name::Address("64:ff9b::169.254.169.254".parse().unwrap()));
    }

    #[test]
    fn a_name_stays_a_name_in_one_spelling() {
        for (url, name) in [
            ("https://Hooks.Example/x", "hooks.example"),
            ("https://hooks。example", "hooks.example"),
            ("https://bücher.example", "xn--bcher-kva.example"),
            ("https://localhost./", "localhost."),
        ] {
            assert_eq!(host(url), Name::Domain(name.to_owned()), "{url}");
        }
    }

    #[test]
    fn port_path_and_host_header_are_as_the_url_says() {
        let place = Place::of("https://hooks.example:8443/a b?c=d#e").unwrap();
        assert_eq!((place.is_tls, place.port), (true, 8443));
        assert_eq!((&*place.authority, &*place.path), ("hooks.example:8443", "/a%20b?c=d"));
        let place = Place::of("http://[2606:4700::1111]").unwrap();
        assert_eq!((place.port, &*place.authority, &*place.path), (80, "[2606:4700::1111]", "/"));
        assert_eq!(place.server_name(), "2606:4700::1111");
    }

    #[test]
    fn what_is_not_called_is_refused_without_being_repeated() {
        let long = |chars: usize| format!("http://h.example/{}", "x".repeat(chars - 17));
        assert!(Place::of(&long(MAX_URL_CHARS)).is_ok());
        assert_eq!(Place::of(&long(MAX_URL_CHARS + 1)), Err(BadUrl::TooLong));
        for (url, refusal) in [
            ("", BadUrl::Unreadable),
            ("hooks.example", BadUrl::Unreadable),
            ("http://", BadUrl::Unreadable),
            ("http://a b/", BadUrl::Unreadable),
            ("http://h.example:99999/", BadUrl::Unreadable),
            ("http://[::1%25eth0]/", BadUrl::Unreadable),
            ("http://1.2.3.4.5/", BadUrl::Unreadable),
            ("ftp://h.example/", BadUrl::Scheme),
            ("file:///etc/passwd", BadUrl::Scheme),
            ("gopher://h.example/", BadUrl::Scheme),
            ("unix:/run/x", BadUrl::Scheme),
            ("http://user@h.example/", BadUrl::Credentials),
            ("http://:pass@h.example/", BadUrl::Credentials),
            ("http://public.example@127.0.0.1/", BadUrl::Credentials),
        ] {
            assert_eq!(Place::of(url), Err(refusal), "{url}");
            assert!(url.is_empty() || !refusal.to_string().contains(url));
        }
    }

    #[test]
    fn a_line_end_in_a_url_reaches_no_header() {
        let place = Place::of("http://h.example/a\r\nX-Injected: 1?b=\r\nc").unwrap();
        assert!(!format!("{}{}", place.path, place.authority).contains(['\r', '\n']));
    }
}
