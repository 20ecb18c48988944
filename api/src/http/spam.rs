//! The spam classifier as a service: the route of Mailsac's own classifier, in its shapes, with reasons. It takes its
//! JSON, or a whole message (`Content-Type: message/rfc822` or `text/plain`). No key is asked for, since nothing of
//! anybody is read or written: what is sent is scored, and forgotten.
//!
//! On the main server [`routes`] is one of its resources; [`alone`] is a server with nothing else.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use processors::spam::{self, Model, UNKNOWN, Verdict};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::answer;
use super::doors::Api;
use super::error::ApiError;
use super::request::{MAX_BODY_BYTES, read_body};

/// Bytes of a message that is classified whole.
pub const MAX_MESSAGE_BYTES: usize = 25 << 20;
/// Messages that are looked at at a time.
const AT_A_TIME: usize = 4;
/// How long a body may take to come.
const BODY_LIMIT: Duration = Duration::from_secs(60);
/// How long anybody waits for a place.
const PLACE_LIMIT: Duration = Duration::from_secs(5);
/// What has to be there, as texts with something in them.
const MEMBERS: [&str; 4] = ["to", "from", "subject", "text"];

/// The classifier, and who may be at it.
pub struct Classifier {
    /// The model in force.
    model: Box<dyn Fn() -> Arc<Model> + Send + Sync>,
    places: Semaphore,
    /// For whole messages while they come: whoever is slow about it holds up others of their kind, and nobody else.
    uploads: Semaphore,
}

impl Classifier {
    pub fn new(model: impl Fn() -> Arc<Model> + Send + Sync + 'static) -> Arc<Self> {
        let (places, uploads) = (Semaphore::new(AT_A_TIME), Semaphore::new(AT_A_TIME));
        Arc::new(Self { model: Box::new(model), places, uploads })
    }

    /// The model in force.
    pub(super) fn model(&self) -> Arc<Model> {
        (self.model)()
    }

    async fn answer(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        match self.judge(&parts, body).await {
            Ok((verdict, model)) => judged(&verdict, &model),
            Err(fault) => fault.told(&parts.uri),
        }
    }

    async fn judge(&self, parts: &Parts, body: Body) -> Result<(Verdict, Arc<Model>), Fault> {
        let is_message = is_message(parts);
        let most_bytes = if is_message { MAX_MESSAGE_BYTES } else { MAX_BODY_BYTES };
        // Whoever waits holds no large body.
        let _upload = if is_message { Some(place_in(&self.uploads).await?) } else { None };
        let body = read_body(parts, body, most_bytes, BODY_LIMIT).await?;
        let _place = place_in(&self.places).await?;
        let model = self.model();
        let judging = Arc::clone(&model);
        let judge = move || {
            let parsed = if is_message { whole(body.into()) } else { in_parts(&body) };
            parsed.map(|parsed| spam::judge(&parsed, &judging))
        };
        let verdict = tokio::task::spawn_blocking(judge).await.map_err(|_| ApiError::Fault)??;
        Ok((verdict, model))
    }
}

async fn place_in(places: &Semaphore) -> Result<SemaphorePermit<'_>, ApiError> {
    match tokio::time::timeout(PLACE_LIMIT, places.acquire()).await {
        Ok(place) => place.map_err(|_| ApiError::Unavailable),
        Err(_) => Err(ApiError::TooMany("Too many messages are classified at this moment: try again.".into())),
    }
}

/// On the main server.
pub fn routes() -> Router<Arc<Api>> {
    async fn check(State(api): State<Arc<Api>>, request: Request) -> Response {
        api.doors.classifier.answer(request).await
    }
    Router::new().route("/spam-checks", post(check)).layer(DefaultBodyLimit::disable())
}

/// A server of its own, that knows this route and no other.
pub fn alone(classifier: Arc<Classifier>) -> Router {
    async fn check(State(classifier): State<Arc<Classifier>>, request: Request) -> Response {
        classifier.answer(request).await
    }
    async fn unknown(uri: Uri) -> Response {
        Fault::from(ApiError::NotFound("There is nothing here.".into())).told(&uri)
    }
    Router::new()
        .route("/api/spam-checks", post(check).fallback(unknown))
        .fallback(any(unknown))
        .layer(DefaultBodyLimit::disable())
        .with_state(classifier)
}

/// Media types of a whole message; everything else is read as JSON, whatever it says.
fn is_message(parts: &Parts) -> bool {
    let named = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = named.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(media.as_str(), "message/rfc822" | "message/global" | "text/plain")
}

fn whole(content: Vec<u8>) -> Result<schemas::event::MailParsed, Fault> {
    if content.trim_ascii().is_empty() {
        return Err(ApiError::invalid("the message is empty").into());
    }
    Ok(spam::read(content))
}

fn in_parts(body: &[u8]) -> Result<schemas::event::MailParsed, Fault> {
    let object: Value = serde_json::from_slice(body).map_err(|error| Fault::NoJson(error.to_string()))?;
    let mut texts = [""; 4];
    for (text, name) in texts.iter_mut().zip(MEMBERS) {
        let found = object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        *text = found.ok_or_else(|| ApiError::invalid(format!("{name} is missing or empty")))?;
    }
    let [to, from, subject, text] = texts;
    Ok(spam::of_parts(to, from, subject, text))
}

#[derive(Serialize)]
struct Checked<'a> {
    spam: bool,
    model: &'a str,
    version: &'a str,
    reasons: &'a [schemas::event::TokenWeight],
}

fn judged(verdict: &Verdict, model: &Model) -> Response {
    let checked = serde_json::to_string(&Checked {
        spam: verdict.score > UNKNOWN,
        model: model.name(),
        version: model.version(),
        reasons: &verdict.tokens,
    });
    match checked {
        // Existing clients read a number with 20 decimals, which no number of serde_json's is.
        Ok(rest) => {
            let body = format!("{{\"spamminess\":{:.20},{}", verdict.score, rest.trim_start_matches('{'));
            ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
        }
        Err(_) => ApiError::Fault.into_response(),
    }
}

/// Why there is no score, in the shape of Mailsac's classifier.
enum Fault {
    Api(ApiError),
    /// 500, as existing clients expect.
    NoJson(String),
}

#[derive(Serialize)]
struct Told<'a> {
    url: &'a str,
    message: &'a str,
    /// What a 500 has. Of our insides nothing is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
}

impl Fault {
    fn told(&self, uri: &Uri) -> Response {
        let url = uri.path_and_query().map_or("/", |path| path.as_str());
        let (status, message, stack) = match self {
            Self::Api(error) => (error.status(), error.text().into_owned(), None),
            Self::NoJson(cause) => {
                (StatusCode::INTERNAL_SERVER_ERROR, format!("The body is no JSON: {cause}"), Some(""))
            }
        };
        let told = Told { url, message: &message, stack, code: stack.map(|_| "invalid_json") };
        answer::json_with(status, &told)
    }
}

impl From<ApiError> for Fault {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}
