//! The forwards as their owners see them.

use std::collections::BTreeMap;
use std::sync::Arc;

use accounts::{Forward, Sealer, Table};
use axum::extract::State;
use axum::response::Response;
use schemas::event::{ForwardKind, ForwardPayload, ForwardTarget};
use serde::Serialize;
use url::Url;

use super::due::{Placed, standing};
use super::is_open;
use crate::http::answer;
use crate::http::doors::Api;
use crate::http::error::ApiError;
use crate::http::key::Caller;
use crate::http::request::At;
use crate::http::time;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ForwardObject {
    #[serde(rename = "_id")]
    pub id: String,
    pub kind: &'static str,
    pub owner: String,
    /// The addresses and catch-alls that name it.
    pub rules: Vec<String>,
    /// As far as its host.
    pub target: String,
    pub payload: &'static str,
    pub ordered: bool,
    /// How many secrets its calls are signed with.
    pub secrets: usize,
    pub on: bool,
    /// Why it is off; empty when its owner did it.
    pub off_cause: Option<String>,
    pub off_since: Option<String>,
    /// Deliveries that wait.
    pub due: usize,
    /// When the mail of the oldest of them arrived.
    pub oldest_due: Option<String>,
}

pub async fn list(caller: Caller, State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    api.doors.accounts.catch_up().await?;
    let due = standing(&api).await?;
    let listed = api.table(|table| objects(table, &api.doors.sealer, &caller, &due, None));
    Ok(answer::json(&listed))
}

pub async fn show(caller: Caller, State(api): State<Arc<Api>>, At(id): At<String>) -> Result<Response, ApiError> {
    api.doors.accounts.catch_up().await?;
    Ok(answer::json(&detail(&api, &caller, &id).await?))
}

pub async fn detail(api: &Api, caller: &Caller, id: &str) -> Result<ForwardObject, ApiError> {
    let due = standing(api).await?;
    let found = api.table(|table| objects(table, &api.doors.sealer, caller, &due, Some(id)).pop());
    found.ok_or(ApiError::NotFound("There is no such forward.".into()))
}

fn objects(
    table: &Table,
    sealer: &Sealer,
    caller: &Caller,
    due: &BTreeMap<String, Placed>,
    only: Option<&str>,
) -> Vec<ForwardObject> {
    let mut objects: BTreeMap<String, ForwardObject> = BTreeMap::new();
    for forward in table.forwards().filter(|forward| is_open(caller, forward.owner)) {
        if only.is_some_and(|id| id != forward.target.id) {
            continue;
        }
        let object = objects.entry(forward.target.id.clone()).or_insert_with(|| object(&forward, sealer));
        object.rules.push(forward.rule.to_owned());
    }
    let mut oldest: BTreeMap<&str, i64> = BTreeMap::new();
    for Placed { due, .. } in due.values() {
        let Some(object) = objects.get_mut(&due.forward) else { continue };
        object.due += 1;
        let at = oldest.entry(&due.forward).or_insert(due.arrived_at);
        *at = due.arrived_at.min(*at);
    }
    for (id, at) in oldest {
        if let Some(object) = objects.get_mut(id) {
            object.oldest_due = Some(time::iso(at));
        }
    }
    objects.into_values().collect()
}

fn object(forward: &Forward<'_>, sealer: &Sealer) -> ForwardObject {
    let target = forward.target;
    ForwardObject {
        id: target.id.clone(),
        kind: kind(target.kind),
        owner: forward.owner.to_owned(),
        rules: Vec::new(),
        target: led_to(target, sealer),
        payload: payload(target.payload),
        ordered: target.ordered,
        secrets: target.sealed_secrets.len(),
        on: forward.off.is_none(),
        off_cause: forward.off.map(|off| off.cause.clone()),
        off_since: forward.off.map(|off| time::iso(off.at)),
        due: 0,
        oldest_due: None,
    }
}

pub const fn kind(kind: ForwardKind) -> &'static str {
    match kind {
        ForwardKind::Webhook => "webhook",
        ForwardKind::Slack => "slack",
        ForwardKind::Mail => "mail",
        ForwardKind::Unknown => "unknown",
    }
}

pub const fn payload(payload: ForwardPayload) -> &'static str {
    match payload {
        ForwardPayload::Full => "full",
        ForwardPayload::Thin => "thin",
        ForwardPayload::Raw => "raw",
    }
}

/// Where a forward leads, as it may be shown.
pub fn led_to(target: &ForwardTarget, sealer: &Sealer) -> String {
    target.address().map_or_else(|| shown(sealer.open(&target.sealed_target).as_deref()), str::to_owned)
}

/// What stands behind the host of a URL, and before it, is a secret. `None`
/// is what this installation's key does not open.
fn shown(target: Option<&str>) -> String {
    let Some(target) = target else { return "(sealed with another key)".to_owned() };
    let Ok(url) = Url::parse(target) else { return "(not a URL)".to_owned() };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let rest = if url.path().len() > 1 || url.query().is_some() { "/…" } else { "/" };
    format!("{}://{}{port}{rest}", url.scheme(), url.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_shown_as_far_as_its_host() {
        for (target, expected) in [
            ("https://hooks.slack.com/services/T0/B0/hush", "https://hooks.slack.com/…"),
            ("http://user:hush@h.example:8080/?key=hush", "http://h.example:8080/…"),
            ("https://h.example/", "https://h.example/"),
            ("hush", "(not a URL)"),
        ] {
            assert_eq!(shown(Some(target)), expected);
        }
        assert!(!shown(None).is_empty());
        let copy = ForwardTarget::new(String::new(), ForwardKind::Mail, b"b@x.org".to_vec());
        assert_eq!(led_to(&copy, &Sealer::new([7; 32])), "b@x.org");
    }
}
