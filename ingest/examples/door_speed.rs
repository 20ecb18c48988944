//! How many messages a second the door takes with a log that forgets them at once, its clients in the same process:
//! `cargo run --release -p ingest --example door_speed -- [FOLDER of .eml files]`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use eventlog::{Bounds, Log, LogError, LogId, Member, Result, Tail};
use ingest::Settings;
use schemas::{NewRecord, Position, Topic};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const CONNECTIONS: usize = 16;
const MESSAGES: usize = 32_000;
const MESSAGE_BYTES: usize = 7 * 1024;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> std::io::Result<()> {
    let mails = Arc::new(match std::env::args_os().nth(1) {
        Some(folder) => read(Path::new(&folder))?,
        None => vec![stuffed(
            &b"A line of text, as long as lines of text are in mail, more or less.\r\n".repeat(MESSAGE_BYTES / 69),
        )],
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let shutdown = CancellationToken::new();
    let settings = Arc::new(Settings::default());
    let server = tokio::spawn(ingest::serve(
        listener,
        Arc::new(Forgetful(LogId(String::new()))),
        settings,
        Arc::default(),
        shutdown.clone(),
    ));
    let begun = Instant::now();
    let clients: Vec<_> =
        (0..CONNECTIONS).map(|first| tokio::spawn(send(address, Arc::clone(&mails), first))).collect();
    let mut accepted = 0;
    for client in clients {
        accepted += client.await.map_err(std::io::Error::other)??;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let per_second = f64::from(u32::try_from(accepted).unwrap_or(0)) / seconds;
    println!("{accepted} messages in {seconds:.2} s, {per_second:.0} a second, {CONNECTIONS} connections");
    shutdown.cancel();
    server.await.map_err(std::io::Error::other)?
}

/// Sends its share; the envelope goes out in one write, the content with its end in another.
async fn send(address: SocketAddr, mails: Arc<Vec<Vec<u8>>>, first: usize) -> std::io::Result<usize> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    stream.write_all(b"HELO speed.example\r\n").await?;
    stream.read_line(&mut line).await?;
    let mut accepted = 0;
    for number in (first..MESSAGES).step_by(CONNECTIONS) {
        let Some(mail) = mails.get(number % mails.len()) else { break };
        stream.write_all(b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n").await?;
        for _ in 0..3 {
            stream.read_line(&mut line).await?;
        }
        stream.write_all(mail).await?;
        line.clear();
        stream.read_line(&mut line).await?;
        accepted += usize::from(line.starts_with("250"));
    }
    Ok(accepted)
}

fn read(folder: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    let (mut mails, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next)? {
            let path: PathBuf = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "eml") {
                mails.push(stuffed(&std::fs::read(path)?));
            }
        }
    }
    Ok(mails)
}

/// With CRLF line ends, dots before dots, and the end.
fn stuffed(mail: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(mail.len() * 2);
    for line in mail.split(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        if text.starts_with(b".") {
            bytes.push(b'.');
        }
        bytes.extend(text.iter().filter(|byte| **byte != b'\r'));
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b".\r\n");
    bytes
}

struct Forgetful(LogId);

#[async_trait]
impl Log for Forgetful {
    fn id(&self) -> &LogId {
        &self.0
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<Position>> {
        Ok(records.iter().map(|record| Position::new(record.topic, 0, 0)).collect())
    }

    async fn join(&self, group: &str, _topics: &[Topic]) -> Result<Box<dyn Member>> {
        Err(LogError::Fenced(group.to_owned()))
    }

    async fn tail(&self, _from: &[Position]) -> Result<Box<dyn Tail>> {
        Err(LogError::Unavailable("it forgets".to_owned()))
    }

    async fn bounds(&self, _topic: Topic) -> Result<Vec<Bounds>> {
        Ok(Vec::new())
    }

    async fn offsets_at(&self, _topic: Topic, _timestamp_ms: i64) -> Result<Vec<Position>> {
        Ok(Vec::new())
    }

    async fn truncate(&self, _before: &[Position]) -> Result<()> {
        Ok(())
    }

    async fn committed(&self, _group: &str) -> Result<Vec<Position>> {
        Ok(Vec::new())
    }
}
