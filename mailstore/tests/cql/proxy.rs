//! A way to the server that can be held: what a store sends stops at the gate, as if its process were frozen, and
//! goes on when it is opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Proxy {
    pub address: String,
    gate: Arc<Gate>,
}

struct Gate {
    /// Bytes that still pass before the gate closes by itself.
    left: AtomicI64,
    closed: watch::Sender<bool>,
}

impl Proxy {
    pub async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let gate = Arc::new(Gate { left: AtomicI64::new(i64::MAX), closed: watch::Sender::new(false) });
        let kept = Arc::clone(&gate);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(pass(from_client, to_server, Some(Arc::clone(&kept))));
                tokio::spawn(pass(from_server, to_client, None));
            }
        });
        Self { address, gate }
    }

    /// After so many more bytes nothing passes, be it in the middle of a statement.
    pub fn close_after(&self, bytes: usize) {
        self.gate.left.store(bytes.try_into().unwrap(), Ordering::SeqCst);
    }

    pub async fn closed(&self) {
        self.gate.closed.subscribe().wait_for(|closed| *closed).await.unwrap();
    }

    pub fn open(&self) {
        self.gate.left.store(i64::MAX, Ordering::SeqCst);
        self.gate.closed.send_replace(false);
    }
}

async fn pass(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, gate: Option<Arc<Gate>>) {
    let mut piece = vec![0; 64 * 1024];
    while let Ok(length) = from.read(&mut piece).await {
        if length == 0 {
            break;
        }
        let mut passed = 0;
        if let Some(gate) = &gate {
            let left = gate.left.fetch_sub(length.try_into().unwrap(), Ordering::SeqCst);
            if left < length.try_into().unwrap() {
                passed = left.max(0).try_into().unwrap();
                gate.closed.send_replace(true);
                to.write_all(&piece[..passed]).await.unwrap();
                gate.closed.subscribe().wait_for(|closed| !closed).await.unwrap();
            }
        }
        if to.write_all(&piece[passed..length]).await.is_err() {
            break;
        }
    }
}
