//! What the registry's calls answer: its content types and its error bodies.

use axum::extract::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use eventlog::LogError;
use serde::Serialize;

use crate::http::answer::json_with;

const V1: HeaderValue = HeaderValue::from_static("application/vnd.schemaregistry.v1+json");
const UNVERSIONED: HeaderValue = HeaderValue::from_static("application/vnd.schemaregistry+json");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Why there is no better answer; each with the number that clients tell them apart by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryError {
    SubjectNotFound(String),
    VersionNotFound(i32),
    SchemaNotFound(Option<i32>),
    /// Only all subjects together have one.
    LevelNotSet(String),
    ModeNotSet(String),
    InvalidVersion(String),
    InvalidSchema(String),
    ReadOnly,
    BadRequest(String),
    NoSuchPath,
    NotAllowed,
    TooLarge,
    /// The log can't be read for now.
    Store,
}

#[derive(Serialize)]
struct Body {
    error_code: u32,
    message: String,
}

impl RegistryError {
    const fn code(&self) -> u32 {
        match self {
            Self::SubjectNotFound(_) => 40401,
            Self::VersionNotFound(_) => 40402,
            Self::SchemaNotFound(_) => 40403,
            Self::LevelNotSet(_) => 40408,
            Self::ModeNotSet(_) => 40409,
            Self::InvalidSchema(_) => 42201,
            Self::InvalidVersion(_) => 42202,
            Self::ReadOnly => 42205,
            Self::BadRequest(_) => 400,
            Self::NoSuchPath => 404,
            Self::NotAllowed => 405,
            Self::TooLarge => 413,
            Self::Store => 50001,
        }
    }

    fn message(&self) -> String {
        match self {
            Self::SubjectNotFound(subject) => format!("Subject '{subject}' not found."),
            Self::VersionNotFound(version) => format!("Version {version} not found."),
            Self::SchemaNotFound(Some(id)) => format!("Schema {id} not found"),
            Self::SchemaNotFound(None) => "Schema not found".into(),
            Self::LevelNotSet(subject) => {
                format!("Subject '{subject}' does not have subject-level compatibility configured")
            }
            Self::ModeNotSet(subject) => format!("Subject '{subject}' does not have subject-level mode configured"),
            Self::InvalidVersion(version) => format!(
                "The specified version '{version}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
            ),
            Self::InvalidSchema(cause) => format!("Invalid schema: {cause}"),
            Self::ReadOnly => {
                "This registry is read-only: it shows the schemas of Postlog's topics. Register your own \
                 in a registry of yours."
                    .into()
            }
            Self::BadRequest(cause) => cause.clone(),
            Self::NoSuchPath => "HTTP 404 Not Found".into(),
            Self::NotAllowed => "HTTP 405 Method Not Allowed".into(),
            Self::TooLarge => "HTTP 413 Request Entity Too Large".into(),
            Self::Store => "Error in the backend data store".into(),
        }
    }

    fn status(&self) -> StatusCode {
        let code = self.code();
        let number = if code > 999 { code / 100 } else { code };
        u16::try_from(number).ok().and_then(|number| StatusCode::from_u16(number).ok()).unwrap_or_default()
    }
}

impl IntoResponse for RegistryError {
    fn into_response(self) -> Response {
        json_with(self.status(), &Body { error_code: self.code(), message: self.message() })
    }
}

impl From<LogError> for RegistryError {
    fn from(error: LogError) -> Self {
        tracing::warn!(%error, "the topic schemas can't be followed for now");
        Self::Store
    }
}

/// Gives every answer the content type that the caller takes, a registry's own where it takes any.
pub async fn typed(request: Request, next: Next) -> Response {
    let content_type = content_type(request.headers());
    let mut response = next.run(request).await;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn content_type(headers: &HeaderMap) -> HeaderValue {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let types: Vec<&str> =
        accepted.flat_map(|value| value.split(',')).filter_map(|one| one.split(';').next()).map(str::trim).collect();
    let takes = |wanted: &str| types.iter().any(|known| known.eq_ignore_ascii_case(wanted));
    let takes_any = types.is_empty() || takes("*/*") || takes("application/*");
    if takes_any || takes("application/vnd.schemaregistry.v1+json") {
        V1
    } else if takes("application/vnd.schemaregistry+json") {
        UNVERSIONED
    } else if takes("application/json") {
        JSON
    } else {
        V1
    }
}
