//! Over real sockets: connections up to their cap, and the end of the server.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ingest::{Settings, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wire::Caps;

use crate::fake_log::FakeLog;

struct Server {
    address: SocketAddr,
    log: Arc<FakeLog>,
    shutdown: CancellationToken,
    task: JoinHandle<io::Result<()>>,
}

async fn start(settings: Settings) -> Server {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (address, log, shutdown) = (listener.local_addr().unwrap(), FakeLog::new(), CancellationToken::new());
    let task = tokio::spawn(serve(listener, log.clone(), Arc::new(settings), Arc::default(), shutdown.clone()));
    Server { address, log, shutdown, task }
}

/// Reads until so many lines have come, or to the end.
async fn lines(stream: &mut TcpStream, count: usize) -> String {
    let (mut heard, mut byte) = (String::new(), [0]);
    while heard.matches('\n').count() < count && stream.read(&mut byte).await.unwrap() == 1 {
        heard.push(char::from(byte[0]));
    }
    heard
}

#[tokio::test]
async fn the_server_ends_once_messages_that_are_begun_have_ended() {
    let server = start(Settings::default()).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    lines(&mut idle, 1).await;
    lines(&mut busy, 1).await;
    busy.write_all(b"HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n").await.unwrap();
    assert!(lines(&mut busy, 4).await.ends_with("<CRLF>.<CRLF>\r\n"));
    server.shutdown.cancel();
    let mut farewell = String::new();
    idle.read_to_string(&mut farewell).await.unwrap();
    assert!(farewell.starts_with("421 4.3.2"), "{farewell}");
    drop(idle);
    busy.write_all(b"text\r\n.\r\n").await.unwrap();
    let mut rest = String::new();
    busy.read_to_string(&mut rest).await.unwrap();
    assert!(rest.starts_with("250 2.0.0 OK: queued as") && rest.contains("\r\n421 4.3.2"), "{rest}");
    drop(busy);
    server.task.await.unwrap().unwrap();
    assert_eq!(server.log.take().len(), 1);
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_message_that_does_not_end_in_time_does_not_keep_the_server() {
    let server = start(Settings { shutdown_wait: Duration::from_millis(50), ..Settings::default() }).await;
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    busy.write_all(b"HELO x\r\nMAIL FROM:<a@b>\r\n").await.unwrap();
    lines(&mut busy, 3).await;
    server.shutdown.cancel();
    server.task.await.unwrap().unwrap();
    assert!(server.log.take().is_empty());
}

#[tokio::test]
async fn a_connection_over_the_cap_is_told_so_and_the_others_are_served() {
    let connections = Caps { total: 1, per_address: 1, per_network: 1 };
    let server = start(Settings { connections, ..Settings::default() }).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    lines(&mut first, 1).await;
    let mut second = TcpStream::connect(server.address).await.unwrap();
    let mut heard = String::new();
    second.read_to_string(&mut heard).await.unwrap();
    assert!(heard.starts_with("421 4.7.0 Too many connections"), "{heard}");
    first.write_all(b"NOOP\r\nQUIT\r\n").await.unwrap();
    assert_eq!(lines(&mut first, 2).await, "250 2.0.0 OK\r\n221 2.0.0 Bye\r\n");
    drop(first);
    server.shutdown.cancel();
    server.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn where_all_places_are_taken_whoever_is_idle_longest_makes_room_and_no_transaction_does() {
    let connections = Caps { total: 2, per_address: 9, per_network: 9 };
    let server = start(Settings { connections, ..Settings::default() }).await;
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    busy.write_all(b"HELO x\r\nMAIL FROM:<a@b>\r\n").await.unwrap();
    lines(&mut busy, 3).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    lines(&mut idle, 1).await;
    // A piece of a line is no sign of life.
    idle.write_all(b"NO").await.unwrap();
    let mut newcomer = TcpStream::connect(server.address).await.unwrap();
    assert!(lines(&mut newcomer, 1).await.starts_with("220 "));
    let mut farewell = String::new();
    idle.read_to_string(&mut farewell).await.unwrap();
    assert!(farewell.starts_with("421 4.3.2"), "{farewell}");
    busy.write_all(b"RCPT TO:<c@d>\r\nDATA\r\ntext\r\n.\r\n").await.unwrap();
    assert!(lines(&mut busy, 3).await.contains("250 2.0.0 OK: queued as"));
    drop((busy, newcomer));
    server.shutdown.cancel();
    server.task.await.unwrap().unwrap();
}
