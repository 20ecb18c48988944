//! One call of a schema registry over HTTP, with the credentials where there are some.

use std::time::Duration;

use anyhow::{Context, anyhow};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use wire::Trust;

const CONTENT: &str = "application/vnd.schemaregistry.v1+json";
/// For everything from looking up the name to the end of the answer.
const CALL_LIMIT: Duration = Duration::from_secs(10);
/// Bytes of an answer: a schema inside JSON.
const MAX_ANSWER_BYTES: usize = 4 << 20;
/// Characters of a text from the registry that is shown.
const MAX_SAID_CHARS: usize = 500;

/// Where the registry is, and as whom it is asked.
pub struct Registry {
    base: Uri,
    trust: Option<Trust>,
    authorization: Option<HeaderValue>,
}

pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
}

/// Named for what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The same may work in a moment.
    #[error("{0}")]
    Later(String),
    #[error("{0}")]
    Stop(String),
}

impl Answer {
    /// What the registry says is wrong, with its number.
    pub fn said(&self) -> String {
        let text = self.body.get("message").and_then(Value::as_str).unwrap_or("it does not say why");
        let code = self.body.get("error_code").and_then(Value::as_i64).unwrap_or_else(|| self.status.as_u16().into());
        let text: String = text.chars().take(MAX_SAID_CHARS).collect();
        format!("{text} ({code})")
    }
}

impl Registry {
    /// `credentials` are `user:password`.
    pub fn new(url: &str, credentials: Option<&str>) -> anyhow::Result<Self> {
        let base: Uri = url.trim_end_matches('/').parse().context("it is no URL")?;
        let trust = if base.scheme_str() == Some("https") { Some(Trust::system()?) } else { None };
        let mut authorization = None;
        if let Some(credentials) = credentials {
            let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(credentials)))?;
            value.set_sensitive(true);
            authorization = Some(value);
        }
        Ok(Self { base, trust, authorization })
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, CallError> {
        let later = |error: anyhow::Error| CallError::Later(format!("{error:#}"));
        let request = self.request(method, path, body).map_err(|error| CallError::Stop(format!("{error:#}")))?;
        let called = tokio::time::timeout(CALL_LIMIT, self.exchange(request)).await;
        let answer = called.map_err(|_| later(anyhow!("no answer within {CALL_LIMIT:?}")))?.map_err(later)?;
        match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(CallError::Stop(format!("it does not let us in: {}", answer.said())))
            }
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(CallError::Later(answer.said()))
            }
            _ => Ok(answer),
        }
    }

    fn request(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Request<Full<Bytes>>> {
        let path = format!("{}{path}", self.base.path().trim_end_matches('/'));
        let authority = self.base.authority().context("the URL names no host")?;
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let mut request = Request::builder().method(method).uri(path).header(HOST, authority.as_str());
        request = request.header(ACCEPT, CONTENT).header(CONTENT_TYPE, CONTENT).header(CONNECTION, "close");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        Ok(request.body(Full::new(body))?)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
        let host = self.base.host().context("the URL names no host")?;
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let port = self.base.port_u16().unwrap_or(if self.trust.is_some() { 443 } else { 80 });
        let stream = TcpStream::connect((name, port)).await.context("no connection")?;
        match &self.trust {
            Some(trust) => speak(trust.connect(name, stream).await.context("no TLS")?, request).await,
            None => speak(stream, request).await,
        }
    }
}

async fn speak<S>(stream: S, request: Request<Full<Bytes>>) -> anyhow::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let conversation = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| anyhow!("the answer can't be read: {error}"))?.to_bytes();
        // What is no JSON says nothing: the status does.
        Ok(Answer { status, body: serde_json::from_slice(&body).unwrap_or_default() })
    };
    let driven = async {
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = conversation => answer,
        () = driven => Err(anyhow!("the connection broke")),
    }
}
