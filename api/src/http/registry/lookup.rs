//! Whether a schema stands here: clients that write ask so before they do, and those that register by themselves get
//! the id of what is registered already.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use schemas::codec;
use schemas::event::ReleasedSchema;
use serde::{Deserialize, Serialize};

use super::answer::RegistryError;
use super::subjects::{Shown, known};
use crate::http::answer::json;
use crate::http::doors::Api;
use crate::http::error::ApiError;
use crate::http::request::{At, read_body};

/// A schema inside JSON: quotes take two bytes.
const MAX_BODY_BYTES: usize = 2 * codec::MAX_SCHEMA_BYTES;
const BODY_LIMIT: Duration = Duration::from_secs(20);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    schema: Option<String>,
    schema_type: Option<String>,
}

#[derive(Serialize)]
struct Registered {
    id: i32,
}

pub async fn look_up(
    State(api): State<Arc<Api>>,
    At(subject): At<String>,
    request: Request,
) -> Result<Response, RegistryError> {
    let schema = asked(request).await?;
    find(&api, &subject, &schema).await.map(|found| json(&Shown::from(found)))
}

pub async fn register(
    State(api): State<Arc<Api>>,
    At(subject): At<String>,
    request: Request,
) -> Result<Response, RegistryError> {
    let schema = asked(request).await?;
    match find(&api, &subject, &schema).await {
        Ok(found) => Ok(json(&Registered { id: found.id })),
        Err(RegistryError::SubjectNotFound(_) | RegistryError::SchemaNotFound(_)) => Err(RegistryError::ReadOnly),
        Err(error) => Err(error),
    }
}

async fn asked(request: Request) -> Result<String, RegistryError> {
    let (parts, body) = request.into_parts();
    let bytes = read_body(&parts, body, MAX_BODY_BYTES, BODY_LIMIT).await.map_err(|error| match error {
        ApiError::TooLarge { .. } => RegistryError::TooLarge,
        other => RegistryError::BadRequest(other.text().into_owned()),
    })?;
    let asked: Asked =
        serde_json::from_slice(&bytes).map_err(|_| RegistryError::BadRequest("Unable to process JSON".into()))?;
    if asked.schema_type.is_some_and(|kind| kind != "AVRO") {
        return Err(RegistryError::InvalidSchema("every schema here is Avro".into()));
    }
    asked.schema.ok_or_else(|| RegistryError::InvalidSchema("there is none".into()))
}

/// The newest version that is the same schema.
async fn find(api: &Api, subject: &str, schema: &str) -> Result<ReleasedSchema, RegistryError> {
    let versions = known(api, subject).await?;
    let candidates: Vec<ReleasedSchema> = api
        .doors
        .schemas
        .read(|standing| versions.iter().rev().filter_map(|version| standing.version(subject, *version)).collect());
    for candidate in candidates {
        let same = codec::are_same(schema, &candidate.schema);
        if same.map_err(|error| RegistryError::InvalidSchema(error.to_string()))? {
            return Ok(candidate);
        }
    }
    Err(RegistryError::SchemaNotFound(None))
}
