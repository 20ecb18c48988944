//! One POST over HTTP, as webhooks and Slack are called: to where the guard permits, within one limit of time, and of
//! the answer only so much as is kept. Redirects are answers like any other; nothing is decompressed; no environment
//! variable sends it elsewhere.
//!
//! It makes its connections itself, with hyper on top: an HTTP client that resolves and pools would have to be asked
//! at each of its doors (name, literal address, redirect, proxy, idle connection) whether it came by the guard.

mod answer;
mod connect;
mod place;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};
pub use wire::Trust;

pub use self::answer::{Answer, BODY_LIMIT};
pub use self::connect::{ADDRESS_LIMIT, MAX_ADDRESSES, MAX_LOOK_UPS, Resolve, SystemResolver};
pub use self::place::{BadUrl, MAX_URL_CHARS, Name, Place};
use crate::forward::{Called, Clock};
use crate::guard::{Guard, Refusal};

/// How long a call may take, from looking up the name to the answer's status.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of an answer's header.
const MAX_HEADER_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 100;
const NAME: &str = concat!("Postlog/", env!("CARGO_PKG_VERSION"));

/// Makes calls.
pub struct Poster {
    pub guard: Guard,
    pub resolver: Arc<dyn Resolve>,
    /// `None`: nothing is called over TLS.
    pub trust: Option<Trust>,
    pub timeout: Duration,
    pub clock: Arc<dyn Clock>,
}

/// Why there was no answer. No text names the URL, which is a secret as often as not.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    #[error("{0}")]
    Url(#[from] BadUrl),
    #[error("{0}")]
    Guarded(Refusal),
    #[error("a header can't be sent: it holds what no header may")]
    Header,
    #[error("the name could not be looked up: {0}")]
    Unresolved(String),
    #[error("no connection: {0}")]
    Unreachable(String),
    #[error("no TLS: {0}")]
    Tls(String),
    #[error("no TLS: this server knows no certificates of authorities")]
    NoTrust,
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("no answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
}

impl PostError {
    /// What follows for the delivery. What is refused before anything was sent will be refused again: whoever changes
    /// the setting or the URL has it delivered again.
    pub fn called(&self) -> Called {
        let cause = self.to_string();
        match self {
            Self::Url(_) | Self::Guarded(_) | Self::Header => Called::Refused { cause, off: false },
            Self::Unresolved(_)
            | Self::Unreachable(_)
            | Self::Tls(_)
            | Self::NoTrust
            | Self::Broken(_)
            | Self::TimedOut(_) => Called::Later { retry_after: None, cause },
        }
    }
}

impl Poster {
    /// Posts a body and reads what is kept of the answer.
    pub async fn post(
        &self,
        url: &str,
        content_type: &'static str,
        headers: &[(&'static str, String)],
        body: Bytes,
    ) -> Result<Answer, PostError> {
        let place = Place::of(url)?;
        let request = request(&place, content_type, headers, body)?;
        let until = Instant::now() + self.timeout;
        let stream = connect::connect(&place, &self.guard, &*self.resolver, self.trust.as_ref());
        let stream = timeout_at(until, stream).await.map_err(|_| PostError::TimedOut(self.timeout))??;
        let broken = |error: hyper::Error| PostError::Broken(error.to_string());
        let handshake = http1::Builder::new()
            .max_buf_size(MAX_HEADER_BYTES)
            .max_headers(MAX_HEADERS)
            .handshake(TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.map_err(broken)?;
        let conversation = async {
            let response = timeout_at(until, sender.send_request(request)).await;
            let response = response.map_err(|_| PostError::TimedOut(self.timeout))?.map_err(broken)?;
            // The status is known: its body has a limit of its own, and makes no success a failure.
            Ok(answer::read(response, self.clock.now_ms()).await)
        };
        // The connection lives as long as the conversation: what is dropped in the middle is closed.
        let driven = async {
            let _ = connection.await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answer = conversation => answer,
            () = driven => Err(PostError::Broken("it ended".to_owned())),
        }
    }
}

fn request(
    place: &Place,
    content_type: &'static str,
    headers: &[(&'static str, String)],
    body: Bytes,
) -> Result<Request<Full<Bytes>>, PostError> {
    let mut request = Request::post(&*place.path).body(Full::new(body)).map_err(|_| PostError::Header)?;
    let host = HeaderValue::from_str(&place.authority).map_err(|_| PostError::Header)?;
    let sent = request.headers_mut();
    sent.insert(HOST, host);
    sent.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    sent.insert(USER_AGENT, HeaderValue::from_static(NAME));
    sent.insert(CONNECTION, HeaderValue::from_static("close"));
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).map_err(|_| PostError::Header)?;
        sent.insert(HeaderName::from_static(name), value);
    }
    Ok(request)
}
