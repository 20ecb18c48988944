//! `/subjects` and `/schemas`: which subjects there are, and their versions.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use schemas::event::ReleasedSchema;
use serde::Serialize;

use super::answer::RegistryError;
use crate::http::answer::{json, json_text};
use crate::http::doors::Api;
use crate::http::request::{At, query_switch, query_value};

/// A version as every call shows it. The type of an Avro schema is left out, as the registry leaves it out.
#[derive(Debug, Serialize)]
pub struct Shown {
    subject: String,
    version: i32,
    id: i32,
    schema: String,
}

impl From<ReleasedSchema> for Shown {
    fn from(schema: ReleasedSchema) -> Self {
        let ReleasedSchema { subject, version, id, schema } = schema;
        Self { subject, version, id, schema }
    }
}

/// `subjectPrefix` narrows it; nothing here is ever deleted, so that `deletedOnly` finds nothing.
pub async fn list(State(api): State<Arc<Api>>, uri: Uri) -> Response {
    if query_switch(&uri, "deletedOnly") {
        return json(&Vec::<String>::new());
    }
    let _ = follow(&api).await;
    let prefix = prefix(&uri);
    let subjects = api.doors.schemas.read(|standing| {
        standing.subjects().filter(|subject| subject.starts_with(&prefix)).map(str::to_owned).collect::<Vec<String>>()
    });
    json(&subjects)
}

/// Every version of every subject; `latestOnly` leaves the older ones out.
pub async fn schemas(State(api): State<Arc<Api>>, uri: Uri) -> Response {
    let _ = follow(&api).await;
    let (prefix, latest_only) = (prefix(&uri), query_switch(&uri, "latestOnly"));
    let shown: Vec<Shown> = api.doors.schemas.read(|standing| {
        let subjects = standing.subjects().filter(|subject| subject.starts_with(&prefix));
        let versions = subjects.flat_map(|subject| {
            let versions = standing.versions(subject);
            let skipped = if latest_only { versions.len().saturating_sub(1) } else { 0 };
            versions.into_iter().skip(skipped).filter_map(|version| standing.version(subject, version))
        });
        versions.map(Shown::from).collect()
    });
    json(&shown)
}

/// Without the mark of contexts, of which there is one.
fn prefix(uri: &Uri) -> String {
    let prefix = query_value(uri, "subjectPrefix").unwrap_or_default();
    prefix.strip_prefix(":*:").or_else(|| prefix.strip_prefix(":.:")).unwrap_or(&prefix).to_owned()
}

pub async fn versions(State(api): State<Arc<Api>>, At(subject): At<String>) -> Result<Response, RegistryError> {
    let versions = known(&api, &subject).await?;
    Ok(json(&versions))
}

pub async fn version(
    State(api): State<Arc<Api>>,
    At((subject, version)): At<(String, String)>,
) -> Result<Response, RegistryError> {
    find(&api, &subject, &version).await.map(|found| json(&Shown::from(found)))
}

/// The schema alone, as JSON and not as a text.
pub async fn schema(
    State(api): State<Arc<Api>>,
    At((subject, version)): At<(String, String)>,
) -> Result<Response, RegistryError> {
    find(&api, &subject, &version).await.map(|found| json_text(found.schema))
}

/// No schema refers to another.
pub async fn referenced(
    State(api): State<Arc<Api>>,
    At((subject, version)): At<(String, String)>,
) -> Result<Response, RegistryError> {
    find(&api, &subject, &version).await.map(|_| json(&Vec::<i32>::new()))
}

/// The versions of a subject.
pub async fn known(api: &Api, subject: &str) -> Result<Vec<i32>, RegistryError> {
    let followed = follow(api).await;
    let versions = api.doors.schemas.read(|standing| standing.versions(subject));
    if versions.is_empty() {
        followed?;
        return Err(RegistryError::SubjectNotFound(subject.to_owned()));
    }
    Ok(versions)
}

/// Brings what is shown to what stands on the log now, whichever node put it there. What was seen before is shown
/// without it, while the log is away.
pub async fn follow(api: &Api) -> Result<(), RegistryError> {
    Ok(api.doors.schemas.catch_up().await?)
}

async fn find(api: &Api, subject: &str, version: &str) -> Result<ReleasedSchema, RegistryError> {
    known(api, subject).await?;
    let number = match version {
        "latest" | "-1" => None,
        text => {
            let number = text.parse::<i32>().ok().filter(|number| *number > 0);
            Some(number.ok_or_else(|| RegistryError::InvalidVersion(text.to_owned()))?)
        }
    };
    let found = api.doors.schemas.read(|standing| match number {
        Some(number) => standing.version(subject, number),
        None => standing.latest(subject),
    });
    found.ok_or_else(|| RegistryError::VersionNotFound(number.unwrap_or_default()))
}
