//! The caller's own account: who it is, and what it has. What belongs to a hosted service's billing is answered with
//! generous constants, since clients read it.

use std::sync::Arc;

use accounts::{Access, split_domain};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use mailstore::{ListQuery, Scope};
use serde::Serialize;

use super::doors::Api;
use super::error::ApiError;
use super::key::Caller;
use super::{answer, time};

/// Stands for "as much as you like".
const PLENTY: u32 = 1_000_000;
/// Starred mails that are counted.
const MAX_COUNTED: usize = 10_000;
const PAGE: usize = 1000;

pub fn routes() -> Router<Arc<Api>> {
    Router::new().route("/me", get(me)).route("/me/stats", get(stats))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Me<'a> {
    #[serde(rename = "_id")]
    id: &'a str,
    email: &'a str,
    labels: [&'a str; 0],
    recents: [&'a str; 0],
    capture_private: bool,
    disable_spam: bool,
    message_limit: u32,
    last_login: String,
    api_key_name: &'a str,
    admin: bool,
    disabled: u8,
    private_domain: u8,
    private_address_credits: u32,
    whitelist_access: u8,
    #[serde(rename = "moAPICount")]
    month_operations: u8,
    api_monthly_limit: u32,
    #[serde(rename = "moAPIDisabled")]
    month_disabled: u8,
    firehose: u8,
    allow_public_domains: u8,
    view_analytics: u8,
    api_access: u8,
    ws_domain: u8,
    many_keys: u8,
    internal_unlimited: u8,
    allow_multiple_users: u8,
    user_limit: u32,
    sends_remaining: u8,
    catch_all: u8,
}

async fn me(caller: Caller, State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    let account = api.table(|table| table.account(&caller.id).cloned()).ok_or(ApiError::NotAuthorized)?;
    Ok(answer::json(&Me {
        id: &account.id,
        email: &account.email,
        labels: [],
        recents: [],
        capture_private: false,
        disable_spam: account.spam_over_thousandths.is_none(),
        message_limit: PLENTY,
        last_login: time::iso(time::now_ms()),
        api_key_name: &caller.key_name,
        admin: account.admin,
        disabled: 0,
        private_domain: 1,
        private_address_credits: PLENTY,
        whitelist_access: 1,
        month_operations: 0,
        api_monthly_limit: PLENTY,
        month_disabled: 0,
        firehose: 0,
        allow_public_domains: 1,
        view_analytics: 1,
        api_access: 1,
        ws_domain: 1,
        many_keys: 1,
        internal_unlimited: 1,
        allow_multiple_users: 1,
        user_limit: PLENTY,
        sends_remaining: 0,
        catch_all: 1,
    }))
}

/// Bytes are not counted per account, and mail of a domain's unreserved addresses is not in the count.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    addresses: Vec<String>,
    domains: Vec<String>,
    default_domain: Option<String>,
    starred_messages: usize,
    stored_messages: u64,
    inbox_bytes: u64,
    last_month_ops: u64,
    non_owned_inboxes: Vec<String>,
}

async fn stats(caller: Caller, State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    api.doors.accounts.catch_up().await?;
    let (addresses, domains, caught) = api.table(|table| {
        let addresses: Vec<String> = table.reserved_of(&caller.id).map(|reserved| reserved.address.clone()).collect();
        let domains = table.domains().filter(|domain| domain.owner == caller.id);
        let domains: Vec<String> = domains.map(|domain| domain.domain.clone()).collect();
        let caught = table.catch_alls().filter(|catch_all| catch_all.owner == caller.id);
        (addresses, domains, caught.map(|catch_all| catch_all.inbox.clone()).collect::<Vec<_>>())
    });
    let mut inboxes: Vec<&String> = addresses.iter().chain(&caught).collect();
    inboxes.sort_unstable();
    inboxes.dedup();
    let mut stored_messages = 0;
    for inbox in inboxes {
        stored_messages += api.doors.store.counts(inbox).await?.messages;
    }
    let (starred_messages, non_owned_inboxes) = starred(&api, &caller).await?;
    let default_domain = domains
        .first()
        .cloned()
        .or_else(|| addresses.first().and_then(|address| split_domain(address)).map(|(_, domain)| domain.to_owned()));
    Ok(answer::json(&Stats {
        addresses,
        domains,
        default_domain,
        starred_messages,
        stored_messages,
        inbox_bytes: 0,
        last_month_ops: 0,
        non_owned_inboxes,
    }))
}

/// How many mails the caller has starred, and the public inboxes that they are in.
async fn starred(api: &Api, caller: &Caller) -> Result<(usize, Vec<String>), ApiError> {
    let scope = Scope::StarredBy(caller.id.clone());
    let mut query = ListQuery { scope, until_ms: None, after: None, limit: PAGE };
    let mut count = 0;
    let mut public = std::collections::BTreeSet::new();
    while count < MAX_COUNTED {
        let page = api.doors.store.list(&query).await?;
        for entry in &page {
            match api.table(|table| table.access(&caller.id, &entry.inbox)) {
                Access::Own => count += 1,
                Access::Public => {
                    count += 1;
                    public.insert(entry.inbox.clone());
                }
                Access::Other => {}
            }
        }
        query.after = page.last().and_then(|last| last.id.parse().ok());
        if page.len() < PAGE || query.after.is_none() {
            break;
        }
    }
    Ok((count, public.into_iter().collect()))
}
