//! Servers to be called: one that notes each request and answers what it was told to, whatever that is.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

#[derive(Clone, Debug)]
pub struct Received {
    pub line: String,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

pub type Make = dyn Fn(&Received) -> Vec<u8> + Send + Sync;

/// What is answered to a request.
#[derive(Clone)]
pub enum Reply {
    Bytes(Vec<u8>),
    /// These bytes, and then these others for ever.
    Endless(Vec<u8>, Vec<u8>),
    /// These bytes, and then nothing for ever.
    Silent(Vec<u8>),
    Made(Arc<Make>),
}

impl Reply {
    pub fn status(status: &str) -> Self {
        Self::bytes(&format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"))
    }

    pub fn bytes(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

/// Listens until it is dropped.
pub struct Receiver {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    /// Connections, with a request or without.
    connections: Arc<Mutex<usize>>,
    serving: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Receiver {
    pub async fn start(reply: Reply) -> Self {
        Self::on("127.0.0.1:0", reply).await
    }

    pub async fn on(address: &str, reply: Reply) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (received, connections) = (Arc::<Mutex<Vec<Received>>>::default(), Arc::<Mutex<usize>>::default());
        let (notes, count) = (Arc::clone(&received), Arc::clone(&connections));
        let serving = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                *count.lock().unwrap() += 1;
                tokio::spawn(serve(stream, Arc::clone(&notes), reply.clone()));
            }
        });
        Self { address, received, connections, serving }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

/// Reads one request, notes it, and answers.
pub async fn serve<S>(mut stream: S, notes: Arc<Mutex<Vec<Received>>>, reply: Reply)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(received) = read(&mut stream).await else { return };
    notes.lock().unwrap().push(received.clone());
    let (first, then) = match reply {
        Reply::Bytes(bytes) => (bytes, None),
        Reply::Endless(first, then) => (first, Some(then)),
        Reply::Silent(first) => (first, Some(Vec::new())),
        Reply::Made(make) => (make(&received), None),
    };
    if stream.write_all(&first).await.is_err() {
        return;
    }
    match then {
        Some(then) if then.is_empty() => tokio::time::sleep(Duration::from_secs(3600)).await,
        Some(then) => while stream.write_all(&then).await.is_ok() {},
        None => {
            let _ = stream.shutdown().await;
        }
    }
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Received> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap().to_owned();
    let headers: BTreeMap<String, String> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Received { line, headers, body })
}
