//! Who listens, and for what: the key, then the names, each of which has to be the caller's own.

use std::collections::BTreeSet;

use accounts::Access;
use axum::http::Uri;
use axum::http::request::Parts;
use serde::Serialize;

use super::super::access::echo;
use super::super::doors::Api;
use super::super::error::ApiError;
use super::super::key;
use super::super::request::{query_value, query_values};
use super::seam::{Ask, Listening, NotListening};

/// The query parameter that existing clients put the key into.
const KEY_PARAMETER: &str = "key";
/// Names of one listener.
pub const MAX_NAMES: usize = 1000;

/// RFC 6455 7.4: why a socket is closed.
pub mod code {
    pub const PROTOCOL: u16 = 1002;
    pub const NO_TEXT: u16 = 1007;
    pub const POLICY: u16 = 1008;
    pub const TOO_LONG: u16 = 1009;
    pub const FAULT: u16 = 1011;
    pub const RESTART: u16 = 1012;
    pub const AGAIN_LATER: u16 = 1013;
    pub const NOT_AUTHORIZED: u16 = 4401;
    pub const FORBIDDEN: u16 = 4403;
}

/// Somebody who listens.
pub struct Admitted {
    pub listening: Box<dyn Listening>,
    pub greeting: String,
    /// The key, for as long as it is good.
    pub key_sha256: String,
}

/// What is said before the socket is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub error: String,
    pub close: u16,
}

#[derive(Serialize)]
struct Greeting<'a> {
    status: u16,
    msg: &'a str,
    addresses: &'a [String],
    domains: &'a [String],
    cursor: &'a str,
}

pub async fn admit(api: &Api, parts: &Parts) -> Result<Admitted, Refusal> {
    let key = key::key_of(parts).or_else(|| query_value(&parts.uri, KEY_PARAMETER)).unwrap_or_default();
    let caller = key::caller(api, &key).await.map_err(refusal)?;
    // What was reserved a moment ago counts, on whatever node that was.
    api.doors.accounts.catch_up().await.map_err(|error| refusal(error.into()))?;
    let (addresses, domains) = names(api, &caller.id, &parts.uri)?;
    let after = query_value(&parts.uri, "after").filter(|cursor| !cursor.is_empty());
    let ask = Ask { account: caller.id, addresses: addresses.clone(), domains: domains.clone(), after };
    let listening = api.doors.incoming.listen(ask).await.map_err(not_listening)?;
    let cursor = listening.cursor();
    let greeting =
        Greeting { status: 200, msg: "Listening", addresses: &addresses, domains: &domains, cursor: &cursor };
    let greeting = serde_json::to_string(&greeting).unwrap_or_default();
    Ok(Admitted { listening, greeting, key_sha256: accounts::key_sha256(&key) })
}

/// The addresses and domains of the query, each once and in its one spelling.
fn names(api: &Api, account: &str, uri: &Uri) -> Result<(Vec<String>, Vec<String>), Refusal> {
    let (mut addresses, mut domains) = (BTreeSet::new(), BTreeSet::new());
    let lists = query_values(uri, "addresses").into_iter().chain(query_values(uri, "domains"));
    let texts: Vec<String> =
        lists.flat_map(|list| list.split(',').map(|text| text.trim().to_owned()).collect::<Vec<_>>()).collect();
    for text in texts.iter().filter(|text| !text.is_empty()) {
        if addresses.len() + domains.len() >= MAX_NAMES {
            return Err(bad(format!("addresses: more than {MAX_NAMES} names")));
        }
        if text.contains('@') {
            addresses.insert(own_address(api, account, text)?);
        } else {
            domains.insert(own_domain(api, account, text)?);
        }
    }
    if addresses.is_empty() && domains.is_empty() {
        return Err(bad("addresses: name what to listen for, as addresses=a@x.org,b@y.org,z.org".to_owned()));
    }
    Ok((addresses.into_iter().collect(), domains.into_iter().collect()))
}

fn own_address(api: &Api, account: &str, text: &str) -> Result<String, Refusal> {
    let found = api.table(|table| {
        let inbox = table.inbox_of(text)?;
        let owned = table.access(account, &inbox) == Access::Own;
        Ok::<_, accounts::InvalidAddress>(owned.then_some(inbox))
    });
    let inbox = found.map_err(|error| bad(format!("addresses: {} is not an address: {error}", echo(text))))?;
    inbox.ok_or_else(|| foreign(text))
}

fn own_domain(api: &Api, account: &str, text: &str) -> Result<String, Refusal> {
    let domain = accounts::normalise_domain(text)
        .map_err(|error| bad(format!("addresses: {} is not a domain: {error}", echo(text))))?;
    if api.table(|table| table.owns_domain(account, &domain)) { Ok(domain) } else { Err(foreign(text)) }
}

fn bad(error: String) -> Refusal {
    Refusal { status: 400, error, close: code::POLICY }
}

/// What is somebody else's and what nobody owns are told apart by nobody.
fn foreign(text: &str) -> Refusal {
    let error = format!("{} is not one of yours: reserve it, and switch enablews on", echo(text));
    Refusal { status: 403, error, close: code::FORBIDDEN }
}

fn refusal(error: ApiError) -> Refusal {
    let status = error.status().as_u16();
    let close = match status {
        401 => code::NOT_AUTHORIZED,
        403 => code::FORBIDDEN,
        503 => code::AGAIN_LATER,
        500.. => code::FAULT,
        _ => code::POLICY,
    };
    Refusal { status, error: error.text().into_owned(), close }
}

fn not_listening(cause: NotListening) -> Refusal {
    let (status, close) = match cause {
        NotListening::TooMany(_) => (429, code::AGAIN_LATER),
        NotListening::Cursor(_) => (400, code::POLICY),
        NotListening::Gone => (410, code::POLICY),
        NotListening::Unavailable => (503, code::AGAIN_LATER),
    };
    Refusal { status, error: cause.to_string(), close }
}
