//! Forwards: what is told to whom, what became of it, and how it is told again. Owners see and move their own forwards,
//! administrators all of them. A target's URL is shown as far as its host: what is behind it is a secret as often as not.

mod attempts;
mod backfill;
mod due;
mod explain;
mod kept;
mod list;
mod range;
mod redeliver;
pub(super) mod scan;
mod test;

use std::sync::Arc;

use accounts::{Forward, Table};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use schemas::event::{AccountChange, ForwardKind};

use super::doors::Api;
use super::error::ApiError;
use super::key::Caller;
use super::request::{Asked, At};
use super::{answer, write};

pub use list::payload;

/// Characters of an id that is looked up.
const MAX_ID_BYTES: usize = 128;

pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/forwards", get(list::list))
        .route("/forwards/redeliver", post(redeliver::any))
        .route("/forwards/{id}", get(list::show))
        .route("/forwards/{id}/attempts", get(attempts::list))
        .route("/forwards/{id}/test", post(test::test))
        .route("/forwards/{id}/redeliver", post(redeliver::one))
        .route("/forwards/{id}/backfill", post(backfill::backfill))
        .route("/forwards/{id}/pause", post(pause))
        .route("/forwards/{id}/resume", post(resume))
}

/// For administrators.
pub fn admin_routes() -> Router<Arc<Api>> {
    Router::new().route("/explain/{what}", get(explain::explain))
}

async fn pause(State(api): State<Arc<Api>>, At(id): At<String>, asked: Asked) -> Result<Response, ApiError> {
    switch(&api, &asked.caller, &id, false).await
}

async fn resume(State(api): State<Arc<Api>>, At(id): At<String>, asked: Asked) -> Result<Response, ApiError> {
    switch(&api, &asked.caller, &id, true).await
}

/// What is due while a forward is off waits for it. Asking for what is so already changes nothing.
async fn switch(api: &Api, caller: &Caller, id: &str, on: bool) -> Result<Response, ApiError> {
    let (owner, is_on) = with(api, caller, id, |_, forward| (forward.owner.to_owned(), forward.off.is_none()))?;
    if is_on != on {
        let change = AccountChange::ForwardSwitched { forward: id.to_owned(), owner, on, cause: String::new() };
        write::account(api, caller, id, change).await?;
    }
    Ok(answer::json(&list::detail(api, caller, id).await?))
}

/// Looks at a forward that is the caller's to see. Somebody else's is not there.
fn with<R>(api: &Api, caller: &Caller, id: &str, look: impl FnOnce(&Table, Forward<'_>) -> R) -> Result<R, ApiError> {
    api.table(|table| {
        let forward = table.forward(id).filter(|forward| is_open(caller, forward.owner));
        forward.map(|forward| look(table, forward))
    })
    .ok_or(ApiError::NotFound("There is no such forward.".into()))
}

/// The first rule of a forward that is the caller's, calls somebody, and whether it is on.
fn called(api: &Api, caller: &Caller, id: &str) -> Result<(String, bool), ApiError> {
    let (rule, kind, is_on) =
        with(api, caller, id, |_, forward| (forward.rule.to_owned(), forward.target.kind, forward.off.is_none()))?;
    if kind == ForwardKind::Mail {
        return Err(ApiError::Refused("A copy is made when mail arrives: nobody is called.".into()));
    }
    Ok((rule, is_on))
}

fn is_open(caller: &Caller, owner: &str) -> bool {
    caller.admin || caller.id == owner
}
