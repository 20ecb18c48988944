//! How an operator's command reaches the server: the one that `--url` names, else the one that runs on the data folder,
//! else one without SMTP that the command starts on that folder for itself. The calls are the same.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use eventlog::embedded::{DataFolder, FolderError};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::Place;
use super::failure::Failure;
use crate::assemble::{ADMIN_KEY, ADMIN_KEY_FILE, Engine, ServerFile, house};
use crate::config::{Settings, Stages};
use crate::telemetry;

/// For a server that is starting to say where it is.
const START_LIMIT: Duration = Duration::from_secs(10);
/// For the answer to the question whether it is ready.
const READY_LIMIT: Duration = Duration::from_secs(5);
const GLANCE: Duration = Duration::from_millis(50);
/// For what stands on the log to be processed, before and after a command of our own engine.
const SETTLE_LIMIT: Duration = Duration::from_secs(600);
/// Bytes of an answer that is not read line by line.
const MAX_ANSWER_BYTES: usize = 64 << 20;
const KEY_HEADER: &str = "mailsac-key";

/// Which server, and as whom.
#[derive(Debug, Clone, Args)]
pub struct Reach {
    /// A server elsewhere, such as http://mail.example.com:8025 [default: the one on the data folder]
    #[arg(long, global = true, value_name = "URL", env = "POSTLOG_URL")]
    url: Option<String>,
    /// The API key of an administrator [default: POSTLOG_ADMIN_KEY, else DATA/admin.key]
    #[arg(long, global = true, value_name = "KEY", env = "POSTLOG_KEY", hide_env_values = true)]
    key: Option<String>,
}

/// A server that answers.
pub struct Door {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
    key: HeaderValue,
    /// The server that this command started for itself, and the folder that it holds.
    own: Option<(Engine, DataFolder)>,
}

/// An answer that was not the one hoped for: what the server says about it.
#[derive(Debug, thiserror::Error)]
#[error("{said}")]
pub struct Refused {
    pub status: StatusCode,
    pub said: String,
}

impl Door {
    async fn open(place: &Place, reach: &Reach) -> Result<Self, Failure> {
        if let Some(url) = &reach.url {
            let key = key(reach, None)?;
            return Ok(Self::to(url.trim_end_matches('/').to_owned(), key, None)?);
        }
        let settings = place.settings(Vec::new())?;
        let folder = settings.data_dir.clone();
        match DataFolder::open(&folder) {
            Ok(held) => Self::own(settings, held, reach).await,
            Err(FolderError::InUse { .. }) => {
                let address = running(&folder).await?;
                Ok(Self::to(format!("http://{address}"), key(reach, Some(&folder))?, None)?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Nobody runs on the folder: this process does, for as long as the command takes.
    async fn own(mut settings: Settings, held: DataFolder, reach: &Reach) -> Result<Self, Failure> {
        telemetry::start_logs("warn", &settings.telemetry.format)?;
        let folder = settings.data_dir.clone();
        ServerFile::remove(&folder);
        settings.stages = if settings.log.is_shared() { Stages::API } else { Stages::WITHOUT_SMTP };
        // What is due waits for a server: a command calls nobody.
        settings.forward.calls = false;
        settings.http_listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        settings.hosts = api::http::Hosts::LoopbackAnd(Vec::new());
        let parts = house::parts(settings)?;
        let engine = Engine::open(&parts).await?;
        if !engine.settle(SETTLE_LIMIT).await {
            let stopped = engine.stop().await;
            return Err(stopped
                .err()
                .unwrap_or_else(|| anyhow!("what stands on the log could not be processed"))
                .into());
        }
        let address = parts.listeners.file().http.context("the server has no HTTP address")?;
        Ok(Self::to(format!("http://{address}"), key(reach, Some(&folder))?, Some((engine, held)))?)
    }

    fn to(base: String, key: String, own: Option<(Engine, DataFolder)>) -> anyhow::Result<Self> {
        if base.starts_with("https://") {
            bail!("{base}: this build speaks http only; reach the server by a tunnel, or run the command beside it");
        }
        let mut key = HeaderValue::from_str(&key).context("the API key can't stand in a header")?;
        key.set_sensitive(true);
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { client, base, key, own })
    }

    /// Opens, does what is to be done, and closes whatever came of it.
    pub async fn visit<R>(
        place: &Place,
        reach: &Reach,
        call: impl AsyncFnOnce(&Self) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let door = Self::open(place, reach).await?;
        let done = call(&door).await;
        let closed = door.close().await;
        let result = done?;
        closed?;
        Ok(result)
    }

    /// The same for what only reads: on a folder without data there is nothing to read, and nothing is made.
    pub async fn visit_what_is<R>(
        place: &Place,
        reach: &Reach,
        call: impl AsyncFnOnce(&Self) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        if reach.url.is_none() {
            let folder = place.settings(Vec::new())?.data_dir;
            if is_empty(&folder) {
                let folder = folder.display();
                return Err(anyhow!("there is no data in {folder}: name the folder by --data-dir").into());
            }
        }
        Self::visit(place, reach, call).await
    }

    /// Ends what was started for the command. What it wrote is processed before.
    async fn close(self) -> Result<(), Failure> {
        if let Some((engine, held)) = self.own {
            engine.settle(SETTLE_LIMIT).await;
            engine.stop().await?;
            drop(held);
        }
        Ok(())
    }

    /// A call whose whole answer is read. No answer but a good one is returned.
    pub async fn call(&self, method: Method, path: &str, body: Vec<u8>) -> anyhow::Result<Bytes> {
        let response = self.send(method, path, body).await?;
        let (status, body) = (response.status(), read(response.into_body()).await?);
        if status.is_success() { Ok(body) } else { Err(refusal(status, &body).into()) }
    }

    pub async fn json(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> anyhow::Result<serde_json::Value> {
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let answer = self.call(method, path, body).await?;
        if answer.is_empty() {
            return Ok(serde_json::Value::Null);
        }
        serde_json::from_slice(&answer).with_context(|| format!("{}{path} does not answer with JSON", self.base))
    }

    /// A call whose answer is read line by line while it comes; `take` says whether to go on.
    pub async fn lines(
        &self,
        method: Method,
        path: &str,
        take: impl FnMut(&[u8]) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        self.lines_of(method, path, Vec::new(), take).await
    }

    /// The same with a body.
    pub async fn lines_of(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        mut take: impl FnMut(&[u8]) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let response = self.send(method, path, body).await?;
        let (status, mut body) = (response.status(), response.into_body());
        if !status.is_success() {
            return Err(refusal(status, &read(body).await?).into());
        }
        let mut rest = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.context("the server has broken off its answer")?;
            let Ok(data) = frame.into_data() else { continue };
            rest.extend_from_slice(&data);
            let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') else { continue };
            let behind = rest.split_off(end + 1);
            for line in std::mem::replace(&mut rest, behind).split_inclusive(|byte| *byte == b'\n') {
                if !take(line)? {
                    return Ok(());
                }
            }
        }
        if !rest.is_empty() {
            take(&rest)?;
        }
        Ok(())
    }

    async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> anyhow::Result<Response<Incoming>> {
        let uri: Uri =
            format!("{}{path}", self.base).parse().with_context(|| format!("{}{path} is no URL", self.base))?;
        let mut request = Request::builder().method(method).uri(uri).header(KEY_HEADER, self.key.clone());
        if body.first() == Some(&b'{') {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let sent = self.client.request(request.body(Full::new(Bytes::from(body)))?).await;
        sent.with_context(|| format!("the server at {} does not answer", self.base))
    }
}

/// Whether the server there is ready; what is missing, if it isn't.
pub async fn ask_ready(url: &str) -> Result<(), Vec<String>> {
    let asked = async {
        let door = Door::to(url.to_owned(), String::new(), None)?;
        let response = door.send(Method::GET, "/readyz", Vec::new()).await?;
        anyhow::Ok((response.status(), read(response.into_body()).await?))
    };
    let (status, body) = match tokio::time::timeout(READY_LIMIT, asked).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(vec![format!("{error:#}")]),
        Err(_) => return Err(vec![format!("the server at {url} does not answer in time")]),
    };
    if status.is_success() {
        return Ok(());
    }
    let json: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let missing = json.get("missing").and_then(serde_json::Value::as_array);
    let missing: Vec<String> =
        missing.into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect();
    Err(if missing.is_empty() { vec![refusal(status, &body).said] } else { missing })
}

async fn read(body: Incoming) -> anyhow::Result<Bytes> {
    let limited = http_body_util::Limited::new(body, MAX_ANSWER_BYTES);
    let collected = limited.collect().await.map_err(|error| anyhow!("the answer can't be read: {error}"))?;
    Ok(collected.to_bytes())
}

fn refusal(status: StatusCode, body: &[u8]) -> Refused {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let message = json.get("message").and_then(serde_json::Value::as_str);
    let mut said = message.map_or_else(|| String::from_utf8_lossy(body).trim().to_owned(), str::to_owned);
    let faults = json.get("validationErrors").and_then(serde_json::Value::as_array);
    let faults = faults.into_iter().flatten().filter_map(serde_json::Value::as_str);
    // One fault alone is the message already.
    for fault in faults.filter(|fault| *fault != message.unwrap_or_default()) {
        said.push_str("; ");
        said.push_str(fault);
    }
    let said = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            format!("{said} (give the key of an administrator by --key or POSTLOG_KEY)")
        }
        _ if said.is_empty() => format!("the server answers {status}"),
        _ => said,
    };
    Refused { status, said }
}

/// The address of the server that holds the folder; it may be starting.
pub async fn running(folder: &Path) -> anyhow::Result<SocketAddr> {
    let found = tokio::time::timeout(START_LIMIT, async {
        loop {
            if let Some(address) = ServerFile::read(folder).and_then(|server| server.http) {
                return address;
            }
            tokio::time::sleep(GLANCE).await;
        }
    });
    found.await.map_err(|_| {
        anyhow!(
            "another process uses {} and serves no HTTP there: wait until it has ended, or run its stage api",
            folder.display()
        )
    })
}

/// Whether nothing is there. What can't be looked at is told by who opens it.
fn is_empty(folder: &Path) -> bool {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

fn key(reach: &Reach, folder: Option<&Path>) -> Result<String, Failure> {
    if let Some(key) = &reach.key {
        return Ok(key.trim().to_owned());
    }
    if let Some(key) = std::env::var(ADMIN_KEY).ok().filter(|key| !key.trim().is_empty()) {
        return Ok(key.trim().to_owned());
    }
    let kept = folder.and_then(|folder| std::fs::read_to_string(folder.join(ADMIN_KEY_FILE)).ok());
    kept.map(|key| key.trim().to_owned())
        .ok_or_else(|| Failure::Usage(format!("no API key is known: give one by --key, POSTLOG_KEY or {ADMIN_KEY}")))
}

/// A part of a path, whatever it holds.
pub fn segment(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_path_can_not_leave_its_place() {
        assert_eq!(segment("a/../b?c=1#d e+f@x.org"), "a%2F..%2Fb%3Fc%3D1%23d%20e%2Bf@x.org");
    }

    #[test]
    fn a_refusal_says_what_the_server_says() {
        let body = br#"{"message":"Invalid.","error":"Bad Request","validationErrors":["to is not an address"]}"#;
        assert_eq!(refusal(StatusCode::BAD_REQUEST, body).said, "Invalid.; to is not an address");
        assert_eq!(refusal(StatusCode::BAD_GATEWAY, b"").said, "the server answers 502 Bad Gateway");
    }
}
