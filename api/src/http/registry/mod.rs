//! The read calls of a schema registry, as Confluent's answers them: whoever reads the topics with a stock client
//! (`kcat -s value=avro -r URL`, confluent-kafka, Kafka Connect, Flink, ksqlDB) finds every schema here, under the id
//! that stands in the values.
//!
//! Anybody who reaches the server may read: a schema says how an event is written and nothing of what is in one, it
//! is printed in the documentation, and many clients can show no key. Credentials that are sent are not looked at.
//!
//! Nothing is written here: the schemas are those of the programs on this log. A registration of what stands here is
//! answered with its id, as a registry answers it; every other change is refused (422, 42205).

mod answer;
mod ids;
mod levels;
mod lookup;
mod subjects;

use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use axum::middleware::from_fn;
use axum::routing::{get, post};

use super::doors::Api;
use answer::RegistryError;

pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/subjects", get(subjects::list))
        .route("/subjects/{subject}", post(lookup::look_up))
        .route("/subjects/{subject}/versions", get(subjects::versions).post(lookup::register))
        .route("/subjects/{subject}/versions/{version}", get(subjects::version))
        .route("/subjects/{subject}/versions/{version}/schema", get(subjects::schema))
        .route("/subjects/{subject}/versions/{version}/referencedby", get(subjects::referenced))
        .route("/schemas", get(subjects::schemas))
        .route("/schemas/types", get(ids::types))
        .route("/schemas/ids/{id}", get(ids::one))
        .route("/schemas/ids/{id}/schema", get(ids::schema))
        .route("/schemas/ids/{id}/subjects", get(ids::subjects))
        .route("/schemas/ids/{id}/versions", get(ids::versions))
        .route("/config", get(levels::config))
        .route("/config/{subject}", get(levels::config_of))
        .route("/mode", get(levels::mode))
        .route("/mode/{subject}", get(levels::mode_of))
        .route("/contexts", get(levels::contexts))
        .method_not_allowed_fallback(other_method)
        .route_layer(from_fn(answer::typed))
}

/// What would change or remove something is refused as a registry that is read only refuses it.
async fn other_method(method: Method) -> RegistryError {
    if matches!(method, Method::PUT | Method::DELETE) { RegistryError::ReadOnly } else { RegistryError::NotAllowed }
}
