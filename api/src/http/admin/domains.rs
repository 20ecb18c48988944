//! Domains and their catch-alls.

use std::sync::Arc;

use accounts::{CatchAll, Domain, normalise_domain};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use schemas::event::{AccountChange, AddressSettings};
use serde::Serialize;

use crate::http::access::invalid_address;
use crate::http::address::AddressObject;
use crate::http::answer;
use crate::http::domains::DomainObject;
use crate::http::doors::Api;
use crate::http::error::ApiError;
use crate::http::key::{Administrator, administrator};
use crate::http::request::{Asked, At, Members};
use crate::http::settings::Change;
use crate::http::write;

const MAX_ADDRESS_BYTES: usize = accounts::MAX_ADDRESS_BYTES;

pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/domains", get(list))
        .route("/domains/{domain}", get(read).put(set).delete(remove))
        .route("/domains/{domain}/catch-all", put(set_catch_all).delete(remove_catch_all))
}

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    domain: DomainObject,
    #[serde(rename = "catchAllInbox")]
    catch_all_inbox: Option<String>,
}

async fn list(_: Administrator, State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    api.doors.accounts.catch_up().await?;
    let listed: Vec<Listed> = api.table(|table| {
        let inbox = |domain: &str| table.catch_all(domain).map(|catch_all| catch_all.inbox.clone());
        let listed =
            |domain: &Domain| Listed { domain: DomainObject::from(domain), catch_all_inbox: inbox(&domain.domain) };
        table.domains().map(listed).collect()
    });
    Ok(answer::json(&listed))
}

async fn read(_: Administrator, State(api): State<Arc<Api>>, At(domain): At<String>) -> Result<Response, ApiError> {
    let domain = spelled(&domain)?;
    Ok(answer::json(&known(&api, &domain).ok_or_else(no_domain)?))
}

/// Adds the domain, or changes whether it is private and told to websockets. Its owner stays.
async fn set(State(api): State<Arc<Api>>, At(domain): At<String>, asked: Asked) -> Result<Response, ApiError> {
    let Administrator(caller) = administrator(asked.caller)?;
    let domain = spelled(&domain)?;
    let owner = owner(&asked.members, &caller.id)?;
    let private = switch(&asked.members, ["private", "isPrivate"])?;
    let websocket = switch(&asked.members, ["enablews", "enabledws"])?;
    let _turn = api.settings_turn.acquire().await.map_err(|_| ApiError::Fault)?;
    if known(&api, &domain).is_none() {
        account_exists(&api, &owner)?;
        let added = AccountChange::DomainAdded { domain: domain.clone(), owner, private: private.unwrap_or(true) };
        write::account(&api, &caller, &domain, added).await?;
    }
    let before = api.table(|table| table.domain(&domain).cloned()).ok_or_else(no_domain)?;
    let (private, enable_websocket) = (private.unwrap_or(before.private), websocket.unwrap_or(before.enable_websocket));
    if (private, enable_websocket) != (before.private, before.enable_websocket) {
        let changed = AccountChange::DomainChanged { domain: domain.clone(), private, enable_websocket };
        write::account(&api, &caller, &domain, changed).await?;
    }
    Ok(answer::json(&known(&api, &domain).ok_or_else(no_domain)?))
}

async fn remove(
    Administrator(caller): Administrator,
    State(api): State<Arc<Api>>,
    At(domain): At<String>,
) -> Result<Response, ApiError> {
    let domain = spelled(&domain)?;
    known(&api, &domain).ok_or_else(no_domain)?;
    write::account(&api, &caller, &domain, AccountChange::DomainRemoved { domain: domain.clone() }).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Sets the catch-all, or changes what was sent of it. Without an inbox it is `*@domain` itself. A domain that nobody
/// has becomes the owner's: otherwise its mail would be caught, and no list would say so.
async fn set_catch_all(
    State(api): State<Arc<Api>>,
    At(domain): At<String>,
    asked: Asked,
) -> Result<Response, ApiError> {
    let Administrator(caller) = administrator(asked.caller)?;
    let domain = spelled(&domain)?;
    let change = Change::read(&asked.members)?;
    let inbox = asked.members.text("inbox", MAX_ADDRESS_BYTES)?.filter(|inbox| !inbox.is_empty());
    let owner_asked = owner(&asked.members, &caller.id)?;
    let _turn = api.settings_turn.acquire().await.map_err(|_| ApiError::Fault)?;
    let before = catch_all(&api, &domain);
    let of_domain = owner_of(&api, &domain);
    let owner = of_domain.clone().or_else(|| before.as_ref().map(|before| before.owner.clone())).unwrap_or(owner_asked);
    account_exists(&api, &owner)?;
    let inbox = inbox.or_else(|| before.as_ref().map(|before| before.inbox.clone()));
    let inbox = inbox.unwrap_or_else(|| format!("*@{domain}"));
    let settings = before.map(|before| before.settings).unwrap_or_default();
    let (inbox, settings) = checked(&api, &owner, &inbox, &change, &settings)?;
    if of_domain.is_none() {
        let added = AccountChange::DomainAdded { domain: domain.clone(), owner: owner.clone(), private: true };
        write::account(&api, &caller, &domain, added).await?;
        if owner_of(&api, &domain).as_ref() != Some(&owner) {
            return Err(ApiError::Refused("Somebody else has added this domain meanwhile.".into()));
        }
    }
    let asked = AccountChange::CatchAllSet { domain: domain.clone(), owner, inbox, settings };
    let event_id = write::account(&api, &caller, &domain, asked).await?;
    let set = catch_all(&api, &domain).filter(|set| set.event_id == event_id);
    let set = set.ok_or(ApiError::Refused("Somebody else has changed this catch-all meanwhile.".into()))?;
    change.extras.spread(&api, &caller, &set.owner, &set.settings).await?;
    Ok(answer::json(&AddressObject::catch_all(&set, &api.doors.sealer).with_secret_of(&change)))
}

/// The inbox must not be another account's: a whole domain's mail would go there.
fn checked(
    api: &Api,
    owner: &str,
    inbox: &str,
    change: &Change,
    before: &AddressSettings,
) -> Result<(String, AddressSettings), ApiError> {
    api.table(|table| {
        let inbox = table.inbox_of(inbox).map_err(|error| invalid_address(inbox, error))?;
        if table.access(owner, &inbox) == accounts::Access::Other {
            return Err(ApiError::Refused("The inbox belongs to another account than the domain.".into()));
        }
        let settings = change.apply(before, owner, &inbox, table, &api.doors.sealer)?;
        Ok((inbox, settings))
    })
}

async fn remove_catch_all(
    Administrator(caller): Administrator,
    State(api): State<Arc<Api>>,
    At(domain): At<String>,
) -> Result<Response, ApiError> {
    let domain = spelled(&domain)?;
    catch_all(&api, &domain).ok_or(ApiError::NotFound("This domain has no catch-all.".into()))?;
    write::account(&api, &caller, &domain, AccountChange::CatchAllRemoved { domain: domain.clone() }).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn spelled(domain: &str) -> Result<String, ApiError> {
    normalise_domain(domain).map_err(|error| ApiError::invalid(format!("this is not a domain: {error}")))
}

fn owner(members: &Members, caller: &str) -> Result<String, ApiError> {
    let owner = members.text("owner", super::accounts::MAX_NAME_BYTES)?.filter(|owner| !owner.is_empty());
    Ok(owner.unwrap_or_else(|| caller.to_owned()))
}

fn switch(members: &Members, names: [&str; 2]) -> Result<Option<bool>, ApiError> {
    for name in names {
        if let Some(on) = members.switch(name)? {
            return Ok(Some(on));
        }
    }
    Ok(None)
}

fn account_exists(api: &Api, id: &str) -> Result<(), ApiError> {
    let exists = api.table(|table| table.account(id).is_some());
    if exists { Ok(()) } else { Err(ApiError::invalid("owner is not an account")) }
}

fn owner_of(api: &Api, domain: &str) -> Option<String> {
    api.table(|table| table.domain(domain).map(|known| known.owner.clone()))
}

fn known(api: &Api, domain: &str) -> Option<DomainObject> {
    api.table(|table| table.domain(domain).map(DomainObject::from))
}

fn catch_all(api: &Api, domain: &str) -> Option<CatchAll> {
    api.table(|table| table.catch_all(domain).cloned())
}

fn no_domain() -> ApiError {
    ApiError::NotFound("There is no such domain.".into())
}
