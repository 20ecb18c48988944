//! Computing again from the log: scores and routes, with the models and tables of now. The answer comes line by line;
//! when the caller leaves, the replay ends, and the next one of the same words goes on where it was.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::Uri;
use axum::response::Response;
use axum::routing::post;
use processors::spam::MAX_FILE_BYTES;
use serde::Serialize;

use super::stream::{Lines, line, lines};
use crate::http::access::invalid_address;
use crate::http::doors::{Api, OperationError, RebuildStep};
use crate::http::error::ApiError;
use crate::http::key::Administrator;
use crate::http::replay::{Ask, AskedModel};
use crate::http::request::{query_switch, query_value, read_body};
use crate::http::time;

/// Bytes of a model's file.
pub const MAX_MODEL_BYTES: usize = MAX_FILE_BYTES as usize;
/// How long it may take to come.
const BODY_LIMIT: Duration = Duration::from_secs(60);
/// Characters of a model's version.
const MAX_VERSION_CHARS: usize = 100;

pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/replay/score", post(score))
        .route("/replay/route", post(route))
        .layer(DefaultBodyLimit::disable())
}

/// The last line of a replay.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum End<T> {
    Report(T),
    Error(String),
}

async fn score(
    _: Administrator,
    State(api): State<Arc<Api>>,
    uri: Uri,
    request: Request,
) -> Result<Response, ApiError> {
    let mut ask = asked(&api, &uri)?;
    let (parts, body) = request.into_parts();
    let file = read_body(&parts, body, MAX_MODEL_BYTES, BODY_LIMIT).await?;
    ask.model = match query_value(&uri, "model").filter(|version| !version.is_empty()) {
        Some(_) if !file.is_empty() => return Err(ApiError::invalid("say model, or send a file, not both")),
        Some(version) if version.chars().count() > MAX_VERSION_CHARS => {
            return Err(ApiError::invalid("model is not the version of one"));
        }
        Some(version) => AskedModel::Version(version),
        None if !file.is_empty() => AskedModel::File(file),
        None => AskedModel::InForce,
    };
    let (lines, response) = lines();
    tokio::spawn(async move {
        let report = |step| tell(&lines, &step);
        let ended = api.doors.replays.score(ask, &report).await;
        end(&lines, ended).await;
    });
    Ok(response)
}

async fn route(_: Administrator, State(api): State<Arc<Api>>, uri: Uri) -> Result<Response, ApiError> {
    let ask = asked(&api, &uri)?;
    let (lines, response) = lines();
    tokio::spawn(async move {
        let report = |step| tell(&lines, &step);
        let ended = api.doors.replays.route(ask, &report).await;
        end(&lines, ended).await;
    });
    Ok(response)
}

/// Steps that nobody takes in time are left out; `false` when nobody is there.
fn tell(lines: &Lines, step: &RebuildStep) -> bool {
    let _ = lines.try_send(line(step));
    !lines.is_closed()
}

async fn end<T: Serialize>(lines: &Lines, ended: Result<T, OperationError>) {
    let end = ended.map_or_else(
        |error| {
            if !matches!(error, OperationError::Busy) {
                tracing::warn!(%error, "a replay has not come to its end");
            }
            End::Error(error.to_string())
        },
        End::Report,
    );
    let _ = lines.send(line(&end)).await;
}

fn asked(api: &Api, uri: &Uri) -> Result<Ask, ApiError> {
    let mut faults = Vec::new();
    let mut instant = |name: &str, read: fn(&str) -> Option<i64>| {
        let text = query_value(uri, name).filter(|text| !text.is_empty())?;
        let read = read(&text);
        if read.is_none() {
            faults.push(format!("{name} is not a time"));
        }
        read
    };
    let (since_ms, until_ms) = (instant("since", time::from), instant("until", time::until));
    let rate = query_value(uri, "rate").filter(|text| !text.is_empty()).and_then(|text| {
        let rate = text.parse::<u32>();
        if rate.is_err() {
            faults.push("rate is not a number of mails a second".to_owned());
        }
        rate.ok().filter(|rate| *rate > 0)
    });
    if !faults.is_empty() {
        return Err(ApiError::Invalid(faults));
    }
    let inbox = query_value(uri, "inbox").filter(|text| !text.is_empty());
    let inbox = inbox
        .map(|text| api.table(|table| table.inbox_of(&text)).map_err(|error| invalid_address(&text, error)))
        .transpose()?;
    let dry_run = query_switch(uri, "dryRun");
    Ok(Ask { since_ms, until_ms, inbox, model: AskedModel::InForce, dry_run, rate })
}
