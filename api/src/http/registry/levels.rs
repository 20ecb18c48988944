//! `/config` and `/mode`: what readers may count on. Every schema reads what the ones before it wrote and the other way
//! round, but that kinds of change are added to some subjects: what is written with those an old reader can't read.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use schemas::event::ReleasedSchema;
use serde::Serialize;
use serde_json::Value;

use super::answer::RegistryError;
use super::subjects::known;
use crate::http::answer::json;
use crate::http::doors::Api;
use crate::http::request::{At, query_switch};

const EVERY_SUBJECT: &str = "FULL_TRANSITIVE";
const GROWING_UNION: &str = "BACKWARD_TRANSITIVE";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    compatibility_level: &'static str,
}

#[derive(Serialize)]
struct Mode {
    mode: &'static str,
}

pub async fn config() -> Response {
    json(&Config { compatibility_level: EVERY_SUBJECT })
}

pub async fn config_of(
    State(api): State<Arc<Api>>,
    At(subject): At<String>,
    uri: Uri,
) -> Result<Response, RegistryError> {
    let latest = known(&api, &subject).await.map(|_| api.doors.schemas.read(|standing| standing.latest(&subject)));
    match latest {
        Ok(Some(schema)) if grows(&schema) => Ok(json(&Config { compatibility_level: GROWING_UNION })),
        Err(RegistryError::Store) => Err(RegistryError::Store),
        _ if query_switch(&uri, "defaultToGlobal") => Ok(config().await),
        _ => Err(RegistryError::LevelNotSet(subject)),
    }
}

pub async fn mode() -> Response {
    json(&Mode { mode: "READONLY" })
}

pub async fn mode_of(At(subject): At<String>, uri: Uri) -> Result<Response, RegistryError> {
    if query_switch(&uri, "defaultToGlobal") { Ok(mode().await) } else { Err(RegistryError::ModeNotSet(subject)) }
}

pub async fn contexts() -> Response {
    json(&["."])
}

/// Whether kinds may be added: a field is one of several records.
fn grows(schema: &ReleasedSchema) -> bool {
    let parsed: Value = serde_json::from_str(&schema.schema).unwrap_or_default();
    let fields = parsed.get("fields").and_then(Value::as_array);
    fields.into_iter().flatten().filter_map(|field| field.get("type")?.as_array()).any(|variants| {
        variants.iter().filter(|variant| variant.get("type").is_some_and(|kind| kind == "record")).count() > 1
    })
}
