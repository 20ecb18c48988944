//! Accounts and their keys. A key is shown once, when it is made; afterwards only its hash is known.

use std::sync::Arc;

use accounts::{Account, Key};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use schemas::event::AccountChange;
use serde::Serialize;

use crate::http::doors::Api;
use crate::http::error::ApiError;
use crate::http::key::{Administrator, Caller, administrator};
use crate::http::request::{Asked, At, Members};
use crate::http::{answer, spam_folder, time, write};

/// Bytes of an account's id, and of a key's name.
pub const MAX_NAME_BYTES: usize = 100;
/// Bytes of an account's e-mail address.
const MAX_EMAIL_BYTES: usize = 320;
/// Characters behind `k_`: about 190 bits.
const KEY_CHARS: usize = 32;

pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/accounts", get(list).post(create))
        .route("/accounts/{account}", delete(remove))
        .route("/accounts/{account}/keys", post(create_key))
        .route("/accounts/{account}/keys/{key}", delete(revoke_key))
}

#[derive(Serialize)]
struct AccountObject {
    #[serde(rename = "_id")]
    id: String,
    email: String,
    admin: bool,
    created: String,
    /// Mail over this score starts in the folder `spam`; null is off.
    #[serde(rename = "spamFolderOver")]
    spam_folder_over: Option<f64>,
    keys: Vec<KeyObject>,
}

#[derive(Serialize)]
struct KeyObject {
    name: String,
    sha256: String,
}

impl From<&Account> for AccountObject {
    fn from(account: &Account) -> Self {
        let key = |key: &Key| KeyObject { name: key.name.clone(), sha256: key.sha256.clone() };
        Self {
            id: account.id.clone(),
            email: account.email.clone(),
            admin: account.admin,
            created: time::iso(account.created_at),
            spam_folder_over: spam_folder::over(account),
            keys: account.keys.iter().map(key).collect(),
        }
    }
}

async fn list(_: Administrator, State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    api.doors.accounts.catch_up().await?;
    let objects: Vec<AccountObject> = api.table(|table| table.accounts().map(AccountObject::from).collect());
    Ok(answer::json(&objects))
}

/// What is said once.
#[derive(Serialize)]
struct Made {
    account: String,
    name: String,
    key: String,
}

/// Makes an account and its first key. The same id again is refused: somebody else may have it.
async fn create(State(api): State<Arc<Api>>, asked: Asked) -> Result<Response, ApiError> {
    let Administrator(caller) = administrator(asked.caller)?;
    let email = asked.members.required_text("email", MAX_EMAIL_BYTES)?;
    let id = asked.members.text("account", MAX_NAME_BYTES)?.filter(|id| !id.is_empty()).unwrap_or_else(write::new_id);
    check_name("account", &id)?;
    let admin = asked.members.switch("admin")?.unwrap_or(false);
    let taken = || ApiError::Refused("There is an account with this id.".into());
    if account(&api, &id).is_some() {
        return Err(taken());
    }
    let change = AccountChange::AccountCreated { account: id.clone(), email: email.clone(), admin };
    write::account(&api, &caller, &id, change).await?;
    let made = account(&api, &id).filter(|made| made.email == email && made.admin == admin && made.keys.is_empty());
    made.ok_or_else(taken)?;
    new_key(&api, &caller, id, &asked.members).await
}

async fn remove(
    Administrator(caller): Administrator,
    State(api): State<Arc<Api>>,
    At(id): At<String>,
) -> Result<Response, ApiError> {
    account(&api, &id).ok_or_else(no_account)?;
    write::account(&api, &caller, &id, AccountChange::AccountRemoved { account: id.clone() }).await?;
    if account(&api, &id).is_some() {
        return Err(ApiError::Refused("The last administrator stays.".into()));
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn create_key(State(api): State<Arc<Api>>, At(id): At<String>, asked: Asked) -> Result<Response, ApiError> {
    let Administrator(caller) = administrator(asked.caller)?;
    account(&api, &id).ok_or_else(no_account)?;
    new_key(&api, &caller, id, &asked.members).await
}

async fn new_key(api: &Api, caller: &Caller, account_id: String, members: &Members) -> Result<Response, ApiError> {
    let name = members.text("name", MAX_NAME_BYTES)?.filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| "default".to_owned());
    let key = random_key();
    let key_sha256 = accounts::key_sha256(&key);
    let change =
        AccountChange::KeyCreated { account: account_id.clone(), name: name.clone(), key_sha256: key_sha256.clone() };
    write::account(api, caller, &account_id, change).await?;
    let stands = account(api, &account_id).is_some_and(|made| made.keys.iter().any(|key| key.sha256 == key_sha256));
    if !stands {
        return Err(ApiError::Refused("The account takes no more keys.".into()));
    }
    Ok(answer::json(&Made { account: account_id, name, key }))
}

/// By the key's SHA-256, or by its name where only one key has it.
async fn revoke_key(
    Administrator(caller): Administrator,
    State(api): State<Arc<Api>>,
    At((id, named)): At<(String, String)>,
) -> Result<Response, ApiError> {
    let found = account(&api, &id).ok_or_else(no_account)?;
    let mut matching = found.keys.iter().filter(|key| key.sha256 == named || key.name == named);
    let key = matching.next().ok_or(ApiError::NotFound("This account has no such key.".into()))?;
    if matching.next().is_some() {
        return Err(ApiError::Refused("More than one key has this name: name it by its SHA-256.".into()));
    }
    let change = AccountChange::KeyRevoked { account: id.clone(), key_sha256: key.sha256.clone() };
    write::account(&api, &caller, &id, change).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn account(api: &Api, id: &str) -> Option<Account> {
    api.table(|table| table.account(id).cloned())
}

fn no_account() -> ApiError {
    ApiError::NotFound("There is no such account.".into())
}

fn check_name(member: &str, name: &str) -> Result<(), ApiError> {
    let sound = name.chars().all(|c| c.is_ascii_alphanumeric() || "._-@+".contains(c));
    if sound { Ok(()) } else { Err(ApiError::invalid(format!("{member} may have letters, digits and . _ - @ + only"))) }
}

/// `k_` and letters and digits, as existing clients know keys.
fn random_key() -> String {
    use rand::Rng;
    use rand::distr::Alphanumeric;
    let random: String = rand::rng().sample_iter(Alphanumeric).take(KEY_CHARS).map(char::from).collect();
    format!("k_{random}")
}
