//! One kept HTTP/1.1 connection: a path out, a status and a body back.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Largest answer that is read: a list of a large mailbox, not more.
const MAX_ANSWER_BYTES: usize = 256 << 20;

pub struct Http {
    sender: SendRequest<Empty<Bytes>>,
    host: String,
    key: Option<String>,
}

impl Http {
    pub async fn connect(address: SocketAddr, key: Option<String>) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // The connection ends with its sender; a fault of it is seen by the request that it breaks.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, host: address.to_string(), key })
    }

    pub async fn get(&mut self, path: &str) -> Result<(StatusCode, Bytes)> {
        timeout(PATIENCE, self.exchange(path)).await.with_context(|| format!("no answer in time to GET {path}"))?
    }

    async fn exchange(&mut self, path: &str) -> Result<(StatusCode, Bytes)> {
        self.sender.ready().await?;
        let mut request = Request::get(path).header(header::HOST, &self.host);
        if let Some(key) = &self.key {
            request = request.header("Mailsac-Key", key);
        }
        let response =
            self.sender.send_request(request.body(Empty::new())?).await.with_context(|| format!("GET {path}"))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("reading GET {path}: {error}"))?;
        Ok((status, body.to_bytes()))
    }
}
