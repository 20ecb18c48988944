//! What went wrong, and what is said about it: the one place where an error becomes a status and a text. A stranger
//! learns nothing of our insides, and whoever is refused can't tell "not yours" from "not there" where both would do.

use std::borrow::Cow;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use eventlog::LogError;
use mailstore::StoreError;
use serde::Serialize;

use super::answer;

/// Why there is no better answer.
#[derive(Debug)]
pub enum ApiError {
    /// No key, or one that opens nothing.
    NotAuthorized,
    /// Somebody else's (401, as existing clients expect).
    NotOwned(Cow<'static, str>),
    /// A list or count of somebody else's, or what needs an administrator.
    Forbidden(Cow<'static, str>),
    NotFound(Cow<'static, str>),
    /// It was there, and is not any more.
    Gone(Cow<'static, str>),
    /// Others have every place.
    TooMany(Cow<'static, str>),
    /// It can't be done, whatever the spelling.
    Refused(Cow<'static, str>),
    /// The request is badly made; each fault by its place.
    Invalid(Vec<String>),
    MethodNotAllowed,
    TooLarge {
        limit_bytes: usize,
    },
    UnsupportedEncoding,
    /// The body did not come in time.
    TooSlow,
    WrongHost,
    /// The change is on the log and not shown yet.
    LoggedNotShown,
    /// Nothing has changed, and the same may work later.
    Unavailable,
    /// Nothing that the caller can mend.
    Fault,
}

/// The error body of existing clients.
#[derive(Serialize)]
struct Body<'a> {
    message: &'a str,
    error: &'a str,
    #[serde(rename = "validationErrors", skip_serializing_if = "<[String]>::is_empty")]
    validation_errors: &'a [String],
}

impl ApiError {
    pub fn invalid(fault: impl Into<String>) -> Self {
        Self::Invalid(vec![fault.into()])
    }

    pub const fn status(&self) -> StatusCode {
        match self {
            Self::NotAuthorized | Self::NotOwned(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) | Self::WrongHost => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Gone(_) => StatusCode::GONE,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Refused(_) | Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::LoggedNotShown | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Fault => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What is said about it.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::NotAuthorized => "Not authorized. You may need to log in first.".into(),
            Self::NotOwned(text)
            | Self::Forbidden(text)
            | Self::NotFound(text)
            | Self::Gone(text)
            | Self::TooMany(text)
            | Self::Refused(text) => Cow::Borrowed(text),
            // The others stand beside it in the body, which says nothing twice.
            Self::Invalid(faults) => faults.first().map_or("The request is badly made.", String::as_str).into(),
            Self::MethodNotAllowed => "This method is not allowed here.".into(),
            Self::TooLarge { limit_bytes } => format!("The body is over the limit of {limit_bytes} bytes.").into(),
            Self::UnsupportedEncoding => "Bodies with a Content-Encoding are not taken.".into(),
            Self::TooSlow => "The request took too long.".into(),
            Self::WrongHost => "This server does not answer to that host name.".into(),
            Self::LoggedNotShown => "The change is logged and will show; it does not show yet.".into(),
            Self::Unavailable => "The server can't do this for now; nothing has changed. Try again later.".into(),
            Self::Fault => "Something went wrong on the server.".into(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let validation_errors = if let Self::Invalid(faults) = &self { faults.as_slice() } else { &[] };
        let error = status.canonical_reason().unwrap_or_default();
        answer::json_with(status, &Body { message: &self.text(), error, validation_errors })
    }
}

impl From<LogError> for ApiError {
    fn from(error: LogError) -> Self {
        if error.is_transient() {
            tracing::warn!(%error, "the log can't take a request for now");
            return Self::Unavailable;
        }
        tracing::error!(%error, "the log failed a request");
        Self::Fault
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if error.is_transient() {
            tracing::warn!(%error, "the store can't answer a request for now");
            return Self::Unavailable;
        }
        tracing::error!(%error, "the store failed a request");
        Self::Fault
    }
}
