//! Addresses: reserve, read, list, change, release. The log decides who reserves one first: the answer looks whose
//! event stands in the table afterwards.

use std::sync::Arc;

use accounts::normalise;
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use axum::routing::{get, post, put};
use schemas::event::{AccountChange, AddressSettings};
use serde::Serialize;

use super::access::invalid_address;
use super::address::{AddressObject, catch_all_at};
use super::doors::Api;
use super::error::ApiError;
use super::key::Caller;
use super::request::{Asked, At, query_switch};
use super::settings::Change;
use super::{answer, purge, write};

/// Addresses that can be reserved in one request.
pub const MAX_BULK: usize = 100;

pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/addresses", get(list))
        .route("/addresses/{email}", get(read).post(reserve).put(update).delete(release))
        .route("/addresses/{email}/availability", get(availability))
        .route("/private-address-forwarding/{email}", put(update_reserved))
        .route("/private-addresses-bulk", post(reserve_many))
}

async fn list(caller: Caller, State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    // Another node may have written a moment ago.
    api.doors.accounts.catch_up().await?;
    let sealer = &api.doors.sealer;
    let objects = api.table(|table| {
        let reserved = table.reserved_of(&caller.id).map(|reserved| AddressObject::reserved(reserved, sealer));
        let caught = table.catch_alls().filter(|catch_all| catch_all.owner == caller.id);
        reserved.chain(caught.map(|catch_all| AddressObject::catch_all(catch_all, sealer))).collect::<Vec<_>>()
    });
    Ok(answer::json(&objects))
}

async fn read(caller: Caller, At(email): At<String>, State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    let address = named(&api, &email)?;
    Ok(answer::json(&seen(&api, &caller, &address)?))
}

#[derive(Serialize)]
struct Availability<'a> {
    available: bool,
    email: &'a str,
    /// By the caller; it is never said who else owns it.
    owned: bool,
}

async fn availability(
    caller: Caller,
    At(email): At<String>,
    State(api): State<Arc<Api>>,
) -> Result<Response, ApiError> {
    // The address as it was asked for: what is behind an alternate is its owner's business.
    let asked = normalise(&email).map_err(|error| invalid_address(&email, error))?;
    let address = named(&api, &email)?;
    let object = seen(&api, &caller, &address).ok();
    let reserved = object.as_ref().is_some_and(|object| object.created.is_some());
    let owned = reserved && object.as_ref().is_some_and(|object| object.owner.as_ref() == Some(&caller.id));
    Ok(answer::json(&Availability { available: object.is_some() && !reserved, email: &asked, owned }))
}

async fn reserve(State(api): State<Arc<Api>>, At(email): At<String>, asked: Asked) -> Result<Response, ApiError> {
    let change = Change::read(&asked.members)?;
    Ok(answer::json(&reserve_one(&api, &asked.caller, &email, &change).await?))
}

async fn reserve_many(State(api): State<Arc<Api>>, asked: Asked) -> Result<Response, ApiError> {
    let emails = asked.members.required_texts("addresses", MAX_BULK)?;
    let mut faults = Vec::new();
    for email in &emails {
        match free(&api, &asked.caller, email) {
            Ok(_) => {}
            Err(error) => {
                let (name, text) = (super::access::echo(email), error.text());
                // What names it already does not name it twice.
                faults.push(if text.starts_with(&*name) { text.into_owned() } else { format!("{name}: {text}") });
            }
        }
    }
    if !faults.is_empty() {
        return Err(ApiError::Invalid(faults));
    }
    let mut objects = Vec::with_capacity(emails.len());
    for email in &emails {
        objects.push(reserve_one(&api, &asked.caller, email, &Change::default()).await?);
    }
    Ok(answer::json(&objects))
}

async fn reserve_one(api: &Api, caller: &Caller, email: &str, change: &Change) -> Result<AddressObject, ApiError> {
    let address = free(api, caller, email)?;
    let sealer = &api.doors.sealer;
    let settings = api.table(|table| change.apply(&AddressSettings::default(), &caller.id, &address, table, sealer))?;
    let set = settings.clone();
    let asked = AccountChange::AddressReserved { address: address.clone(), owner: caller.id.clone(), settings };
    let event_id = write::account(api, caller, &address, asked).await?;
    let won = api.table(|table| {
        let reserved = table.reserved(&address).filter(|reserved| reserved.event_id == event_id)?;
        Some(AddressObject::reserved(reserved, sealer))
    });
    match won {
        Some(object) => {
            change.extras.spread(api, caller, &caller.id, &set).await?;
            Ok(object.with_secret_of(change))
        }
        // Somebody was earlier: the table now says who.
        None => Err(free(api, caller, email).err().unwrap_or_else(|| not_reservable(&address))),
    }
}

/// The address, if it may be reserved as far as the table says.
fn free(api: &Api, caller: &Caller, email: &str) -> Result<String, ApiError> {
    let address = named(api, email)?;
    if address.starts_with("*@") {
        return Err(ApiError::Refused("A catch-all is set by an administrator.".into()));
    }
    match seen(api, caller, &address)? {
        object if object.created.is_some() => Err(ApiError::Refused("You have already reserved this address.".into())),
        _ => Ok(address),
    }
}

fn not_reservable(address: &str) -> ApiError {
    ApiError::Refused(format!("{address} can't be reserved.").into())
}

async fn update(State(api): State<Arc<Api>>, At(email): At<String>, asked: Asked) -> Result<Response, ApiError> {
    let missing = || ApiError::Refused("That address is not valid. Make sure it is one you own.".into());
    change_settings(&api, &email, asked, missing).await
}

/// The legacy twin of [`update`].
async fn update_reserved(
    State(api): State<Arc<Api>>,
    At(email): At<String>,
    asked: Asked,
) -> Result<Response, ApiError> {
    let missing = || ApiError::NotFound("The private address was not found for this user.".into());
    match change_settings(&api, &email, asked, missing).await {
        Err(ApiError::NotOwned(_)) => Err(missing()),
        other => other,
    }
}

async fn change_settings(
    api: &Api,
    email: &str,
    asked: Asked,
    missing: impl Fn() -> ApiError,
) -> Result<Response, ApiError> {
    let change = Change::read(&asked.members)?;
    let caller = &asked.caller;
    let address = named(api, email)?;
    // Two partial updates at a time would each write what the other is about to change.
    let _turn = api.settings_turn.acquire().await.map_err(|_| ApiError::Fault)?;
    if seen(api, caller, &address)?.created.is_none() {
        return Err(missing());
    }
    let asked = api.table(|table| {
        let apply = |before: &AddressSettings| change.apply(before, &caller.id, &address, table, &api.doors.sealer);
        if let Some(catch_all) = catch_all_at(table, &address) {
            let (domain, owner, inbox) = (catch_all.domain.clone(), catch_all.owner.clone(), catch_all.inbox.clone());
            return Ok(AccountChange::CatchAllSet { domain, owner, inbox, settings: apply(&catch_all.settings)? });
        }
        let reserved = table.reserved(&address).ok_or_else(&missing)?;
        Ok::<_, ApiError>(AccountChange::AddressChanged {
            address: address.clone(),
            settings: apply(&reserved.settings)?,
        })
    })?;
    let set = settings_of(&asked);
    write::account(api, caller, &address, asked).await?;
    if let Some(settings) = set {
        change.extras.spread(api, caller, &caller.id, &settings).await?;
    }
    Ok(answer::json(&seen(api, caller, &address)?.with_secret_of(&change)))
}

fn settings_of(change: &AccountChange) -> Option<AddressSettings> {
    match change {
        AccountChange::AddressChanged { settings, .. } | AccountChange::CatchAllSet { settings, .. } => {
            Some(settings.clone())
        }
        _ => None,
    }
}

async fn release(
    caller: Caller,
    State(api): State<Arc<Api>>,
    At(email): At<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let not_valid = || ApiError::Refused("That address is not valid. Make sure it is one you own.".into());
    let address = named(&api, &email)?;
    let before = seen(&api, &caller, &address)?;
    if before.created.is_none() || before.catch_all.is_some() {
        return Err(not_valid());
    }
    // First the mail, then the address: what is left behind is everybody's.
    if query_switch(&uri, "deleteAddressMessages") {
        purge::everything(&api, &caller, &address).await?;
    }
    let asked = AccountChange::AddressReleased { address: address.clone(), owner: caller.id.clone() };
    write::account(&api, &caller, &address, asked).await?;
    Ok(answer::json(&before))
}

/// The address that a path names: an alternate leads to its address, but a plus tag is no other address to reserve.
fn named(api: &Api, email: &str) -> Result<String, ApiError> {
    let address = normalise(email).map_err(|error| invalid_address(email, error))?;
    let inbox = api.table(|table| table.inbox_of(&address)).map_err(|error| invalid_address(email, error))?;
    Ok(inbox)
}

fn seen(api: &Api, caller: &Caller, address: &str) -> Result<AddressObject, ApiError> {
    api.table(|table| AddressObject::seen_by(&caller.id, address, table, &api.doors.sealer))
        .ok_or(ApiError::NotOwned("This address belongs to another account.".into()))
}
