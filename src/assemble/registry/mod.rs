//! An outside schema registry: at the start every schema of ours is found there or registered, and its ids are those
//! that values are written with. What it can't take stops the start.
//!
//! Which changes are allowed is the registry's own setting, and it judges by that. Whatever it is set to, everything
//! that stands under a subject of ours has to be readable here: else the subject is somebody else's.

mod call;

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use hyper::{Method, StatusCode};
use schemas::event::ReleasedSchema;
use schemas::{Topic, codec};
use serde_json::{Value, json};

use crate::config::RegistrySettings;
use call::{CallError, Registry};

/// For a registry that is not up yet.
const START_LIMIT: Duration = Duration::from_secs(60);
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Our schemas with the registry's ids, in the order of ours. Waits for a registry that is not there yet.
pub async fn registered(settings: &RegistrySettings) -> anyhow::Result<Vec<ReleasedSchema>> {
    let told = || format!("schema_registry.url: {}", settings.url);
    let registry = Registry::new(&settings.url, settings.credentials.as_deref()).with_context(told)?;
    let begun = Instant::now();
    loop {
        let error = match register_all(&registry).await {
            Ok(ids) => return Ok(ids),
            Err(error) => error,
        };
        let passes = matches!(error.downcast_ref::<CallError>(), Some(CallError::Later(_)));
        if !passes || begun.elapsed() > START_LIMIT {
            return Err(error.context(told()));
        }
        tracing::warn!(url = settings.url, error = format!("{error:#}"), "waiting for the schema registry");
        tokio::time::sleep(RETRY_EVERY).await;
    }
}

/// In the order of our ids: an empty registry gives the same ones.
async fn register_all(registry: &Registry) -> anyhow::Result<Vec<ReleasedSchema>> {
    for topic in Topic::ALL {
        check_subject(registry, topic).await?;
    }
    let mut registered = Vec::new();
    for schema in schemas::released() {
        let id = register(registry, &schema).await?;
        registered.push(ReleasedSchema { id, ..schema });
    }
    Ok(registered)
}

/// Every version that stands there has to be one that this program reads; each is then known by its id.
async fn check_subject(registry: &Registry, topic: Topic) -> anyhow::Result<()> {
    let subject = topic.subject();
    let answer = registry.call(Method::GET, &format!("/subjects/{subject}/versions"), None).await?;
    if answer.status == StatusCode::NOT_FOUND {
        return Ok(());
    }
    let versions = answer.body.as_array().with_context(|| format!("{subject}: {}", answer.said()))?;
    for version in versions.iter().filter_map(Value::as_i64) {
        let path = format!("/subjects/{subject}/versions/{version}");
        let found = registry.call(Method::GET, &path, None).await?;
        let kind = found.body.get("schemaType").and_then(Value::as_str).unwrap_or("AVRO");
        let id = id_of(&found.body).with_context(|| format!("{path}: {}", found.said()))?;
        let text = found.body.get("schema").and_then(Value::as_str).unwrap_or_default();
        if kind != "AVRO" {
            bail!("version {version} of {subject} there is {kind}: the subject is not Postlog's");
        }
        codec::learn(id, topic, text)
            .with_context(|| format!("version {version} of {subject} there can't be used by this program"))?;
    }
    Ok(())
}

/// The id of a schema there, which is registered where it was not.
async fn register(registry: &Registry, schema: &ReleasedSchema) -> anyhow::Result<i32> {
    let (subject, version) = (&schema.subject, schema.version);
    let body = json!({"schema": schema.schema});
    let found = registry.call(Method::POST, &format!("/subjects/{subject}"), Some(&body)).await?;
    let answer = if found.status.is_success() {
        found
    } else {
        registry.call(Method::POST, &format!("/subjects/{subject}/versions"), Some(&body)).await?
    };
    match id_of(&answer.body).filter(|_| answer.status.is_success()) {
        Some(id) => Ok(id),
        None => {
            let level = level(registry, subject).await;
            bail!("it refuses version {version} of {subject}: {}; its compatibility is {level}", answer.said())
        }
    }
}

fn id_of(body: &Value) -> Option<i32> {
    body.get("id").and_then(Value::as_i64).and_then(|id| i32::try_from(id).ok()).filter(|id| *id > 0)
}

async fn level(registry: &Registry, subject: &str) -> String {
    let asked = registry.call(Method::GET, &format!("/config/{subject}?defaultToGlobal=true"), None).await;
    let level = asked.ok().and_then(|answer| Some(answer.body.get("compatibilityLevel")?.as_str()?.to_owned()));
    level.unwrap_or_else(|| "not known".to_owned())
}
