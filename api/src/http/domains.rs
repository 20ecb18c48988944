//! The caller's domains. They are added and changed by administrators ([`super::admin`]).

use std::sync::Arc;

use accounts::{Domain, Table, normalise_domain, split_domain};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;

use super::address::AddressObject;
use super::doors::Api;
use super::error::ApiError;
use super::key::Caller;
use super::request::At;
use super::{answer, time};

pub fn routes() -> Router<Arc<Api>> {
    Router::new().route("/domains", get(list)).route("/domains/{domain}", get(read))
}

/// A domain as existing clients read it. Nothing is verified here: who runs the server says which domains there are.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DomainObject {
    #[serde(rename = "_id")]
    pub id: String,
    pub owner: String,
    pub created: String,
    pub updated: String,
    pub enablews: bool,
    pub hosted: bool,
    pub is_default: bool,
    pub is_private: bool,
    pub verified: bool,
    pub verified_mx: bool,
    pub verification_txt: String,
    pub last_verification_errors: [String; 0],
}

impl From<&Domain> for DomainObject {
    fn from(domain: &Domain) -> Self {
        Self {
            id: domain.domain.clone(),
            owner: domain.owner.clone(),
            created: time::iso(domain.created_at),
            updated: time::iso(domain.updated_at),
            enablews: domain.enable_websocket,
            hosted: false,
            is_default: false,
            is_private: domain.private,
            verified: true,
            verified_mx: true,
            verification_txt: String::new(),
            last_verification_errors: [],
        }
    }
}

async fn list(caller: Caller, State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    api.doors.accounts.catch_up().await?;
    let objects = api.table(|table| {
        let owned = table.domains().filter(|domain| domain.owner == caller.id);
        owned.map(DomainObject::from).collect::<Vec<_>>()
    });
    Ok(answer::json(&objects))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OneDomain {
    domain: DomainObject,
    total_messages: u64,
    catch_all_address: Option<AddressObject>,
}

/// Somebody else's domain and none at all are answered alike.
async fn read(caller: Caller, State(api): State<Arc<Api>>, At(domain): At<String>) -> Result<Response, ApiError> {
    let missing = || ApiError::NotFound("There is no such domain in this account.".into());
    let domain = normalise_domain(&domain).map_err(|_| missing())?;
    let found = api.table(|table| {
        let known = table.domain(&domain).filter(|known| known.owner == caller.id)?;
        let catch_all = table.catch_all(&domain).filter(|catch_all| catch_all.owner == caller.id);
        let object = catch_all.map(|catch_all| AddressObject::catch_all(catch_all, &api.doors.sealer));
        Some((DomainObject::from(known), object, inboxes(table, &caller, &domain)))
    });
    let (object, catch_all_address, inboxes) = found.ok_or_else(missing)?;
    let mut total_messages = 0;
    for inbox in inboxes {
        total_messages += api.doors.store.counts(&inbox).await?.messages;
    }
    Ok(answer::json(&OneDomain { domain: object, total_messages, catch_all_address }))
}

/// The inboxes of a domain that the tables know: what is reserved, and where its catch-all leads.
fn inboxes(table: &Table, caller: &Caller, domain: &str) -> std::collections::BTreeSet<String> {
    let reserved = table.reserved_of(&caller.id).map(|reserved| reserved.address.clone());
    let caught = table.catch_all(domain).map(|catch_all| catch_all.inbox.clone());
    let all = reserved.chain(caught);
    all.filter(|address| split_domain(address).is_some_and(|(_, of)| of == domain)).collect()
}
