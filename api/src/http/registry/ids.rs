//! `/schemas/ids/{id}`: the schema behind the id in a value; the one call that every deserializer makes.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use schemas::event::ReleasedSchema;
use serde::Serialize;

use super::answer::RegistryError;
use super::subjects::follow;
use crate::http::answer::{json, json_text};
use crate::http::doors::Api;
use crate::http::request::{At, query_value};

#[derive(Serialize)]
struct Shown {
    schema: String,
}

#[derive(Serialize)]
struct SubjectVersion {
    subject: String,
    version: i32,
}

pub async fn types() -> Response {
    json(&["AVRO"])
}

pub async fn one(State(api): State<Arc<Api>>, At(id): At<String>, uri: Uri) -> Result<Response, RegistryError> {
    first(&api, &id, &uri).await.map(|found| json(&Shown { schema: found.schema }))
}

pub async fn schema(State(api): State<Arc<Api>>, At(id): At<String>, uri: Uri) -> Result<Response, RegistryError> {
    first(&api, &id, &uri).await.map(|found| json_text(found.schema))
}

pub async fn subjects(State(api): State<Arc<Api>>, At(id): At<String>) -> Result<Response, RegistryError> {
    let found = find(&api, &id).await?;
    Ok(json(&found.into_iter().map(|one| one.subject).collect::<Vec<_>>()))
}

pub async fn versions(State(api): State<Arc<Api>>, At(id): At<String>) -> Result<Response, RegistryError> {
    let shown = |one: ReleasedSchema| SubjectVersion { subject: one.subject, version: one.version };
    Ok(json(&find(&api, &id).await?.into_iter().map(shown).collect::<Vec<_>>()))
}

/// The one that `subject` names, where an outside registry has made an id mean two things.
async fn first(api: &Api, id: &str, uri: &Uri) -> Result<ReleasedSchema, RegistryError> {
    let mut found = find(api, id).await?;
    let subject = query_value(uri, "subject").unwrap_or_default();
    let place = found.iter().position(|one| one.subject == subject).unwrap_or(0);
    if place < found.len() { Ok(found.swap_remove(place)) } else { Err(RegistryError::SchemaNotFound(None)) }
}

/// Never empty.
async fn find(api: &Api, id: &str) -> Result<Vec<ReleasedSchema>, RegistryError> {
    let id: i32 = id.parse().map_err(|_| RegistryError::NoSuchPath)?;
    let followed = follow(api).await;
    let found = api.doors.schemas.read(|standing| standing.by_id(id));
    if found.is_empty() {
        followed?;
        return Err(RegistryError::SchemaNotFound(Some(id)));
    }
    Ok(found)
}
