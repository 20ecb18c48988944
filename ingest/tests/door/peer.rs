//! A client over a stream in memory, on paused time: the server has nothing more to say when the clock moves.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ingest::Settings;
use ingest::converse::{House, converse};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wire::{Caps, Guest, Guests};

use crate::fake_log::FakeLog;

pub const BUFFER_BYTES: usize = 64 * 1024;

pub struct Peer {
    pub log: Arc<FakeLog>,
    pub stopping: CancellationToken,
    stream: DuplexStream,
    session: JoinHandle<std::io::Result<()>>,
}

impl Peer {
    pub fn connect(settings: Settings) -> Self {
        Self::connect_to(FakeLog::new(), settings)
    }

    pub fn connect_to(log: Arc<FakeLog>, settings: Settings) -> Self {
        let stopping = CancellationToken::new();
        let house = House::new(log.clone(), Arc::new(settings), Arc::default(), stopping.clone());
        let (near, far) = tokio::io::duplex(BUFFER_BYTES);
        let address = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 4711));
        let session = tokio::spawn(async move { converse(far, address, &lone_guest(address), &house).await });
        Self { log, stopping, stream: near, session }
    }

    /// After the greeting and this sequence of commands, whose replies are dropped.
    pub async fn after(settings: Settings, commands: &str) -> Self {
        let mut peer = Self::connect(settings);
        peer.send(commands.as_bytes()).await;
        peer.hear().await;
        peer
    }

    /// `false` where the server has hung up.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// What the server says until it waits for more, and whether it has closed.
    pub async fn hear(&mut self) -> (String, bool) {
        let mut heard = Vec::new();
        let mut buffer = [0; 4096];
        let closed = loop {
            match tokio::time::timeout(Duration::from_millis(10), self.stream.read(&mut buffer)).await {
                Ok(Ok(0) | Err(_)) => break true,
                Ok(Ok(count)) => heard.extend_from_slice(&buffer[..count]),
                Err(_) => break false,
            }
        };
        (String::from_utf8(heard).unwrap(), closed)
    }

    /// The codes of the replies to these bytes.
    pub async fn ask(&mut self, bytes: &[u8]) -> Vec<u16> {
        self.send(bytes).await;
        codes(&self.hear().await.0)
    }

    /// Hangs up, and returns once the session has ended without a panic.
    pub async fn vanish(self) {
        drop(self.stream);
        let _vanished = self.session.await.unwrap();
    }

    /// Waits for the server to end the session.
    pub async fn ended(self) {
        drop(self.stream);
        self.session.await.unwrap().unwrap();
    }
}

/// A guest whom nobody presses.
pub fn lone_guest(address: SocketAddr) -> Guest {
    Guests::new(Caps { total: 1, per_address: 1, per_network: 1 }).admit(address.ip()).unwrap()
}

pub fn codes(heard: &str) -> Vec<u16> {
    let last_lines = heard.lines().filter(|line| line.as_bytes().get(3) != Some(&b'-'));
    last_lines.map(|line| line[..3].parse().unwrap()).collect()
}
