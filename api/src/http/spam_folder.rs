//! The folder rule of an account: mail over a score starts in its folder `spam`. Off by default; an account sets its
//! own, an administrator anybody's.

use std::sync::Arc;

use accounts::{Account, MAX_SCORE_THOUSANDTHS};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::put;
use schemas::event::AccountChange;
use serde::Serialize;

use super::doors::Api;
use super::error::ApiError;
use super::key::{Administrator, Caller, administrator};
use super::request::{Asked, At, Members};
use super::{answer, write};

pub fn routes() -> Router<Arc<Api>> {
    Router::new().route("/me/spam-folder", put(own))
}

pub fn admin_routes() -> Router<Arc<Api>> {
    Router::new().route("/accounts/{account}/spam-folder", put(of_account))
}

/// The rule as it stands.
#[derive(Serialize)]
struct Rule {
    account: String,
    /// Mail whose first score is over this starts in `spam`; null is off.
    over: Option<f64>,
}

/// What an account's rule is, as a score.
pub fn over(account: &Account) -> Option<f64> {
    account.spam_over_thousandths.map(|over| f64::from(over) / f64::from(MAX_SCORE_THOUSANDTHS))
}

async fn own(State(api): State<Arc<Api>>, asked: Asked) -> Result<Response, ApiError> {
    let id = asked.caller.id.clone();
    set(&api, &asked.caller, &id, &asked.members).await
}

async fn of_account(State(api): State<Arc<Api>>, At(id): At<String>, asked: Asked) -> Result<Response, ApiError> {
    let Administrator(caller) = administrator(asked.caller)?;
    set(&api, &caller, &id, &asked.members).await
}

async fn set(api: &Api, caller: &Caller, id: &str, members: &Members) -> Result<Response, ApiError> {
    let over = members.number("over")?.ok_or_else(|| ApiError::invalid("over is missing: a score, or null for off"))?;
    let over_thousandths = over.map(thousandths).transpose()?;
    let found = || {
        api.table(|table| table.account(id).map(|account| Rule { account: id.to_owned(), over: self::over(account) }))
    };
    let missing = || ApiError::NotFound("There is no such account.".into());
    found().ok_or_else(missing)?;
    let change = AccountChange::SpamFolderSet { account: id.to_owned(), over_thousandths };
    write::account(api, caller, id, change).await?;
    Ok(answer::json(&found().ok_or_else(missing)?))
}

fn thousandths(score: f64) -> Result<i32, ApiError> {
    let most = f64::from(MAX_SCORE_THOUSANDTHS);
    let over = (score * most).round();
    if !(0.0..=1.0).contains(&score) {
        return Err(ApiError::invalid("over is a score from 0.0 to 1.0"));
    }
    // Between 0 and 1000.
    Ok(over as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_from_0_to_1_is_taken_and_nothing_else() {
        assert_eq!([0.0, 0.5, 0.9, 1.0].map(|score| thousandths(score).unwrap()), [0, 500, 900, 1000]);
        for score in [-0.001, 1.001, f64::NAN, f64::INFINITY] {
            assert!(thousandths(score).is_err(), "{score}");
        }
    }
}
