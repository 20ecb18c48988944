//! The replies to one burst leave in one write, whatever is in it (RFC 2920 3.2).

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use ingest::Settings;
use ingest::converse::{House, converse};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio_util::sync::CancellationToken;

use crate::fake_log::FakeLog;
use crate::peer::lone_guest;

/// Counts the writes.
struct Counted {
    stream: DuplexStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_session_in_one_burst_is_answered_in_one_write() {
    let (mut client, server) = tokio::io::duplex(64 * 1024);
    let writes = Arc::new(AtomicUsize::new(0));
    let stream = Counted { stream: server, writes: Arc::clone(&writes) };
    let log = FakeLog::new();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let house = House::new(log.clone(), Arc::new(Settings::default()), Arc::default(), CancellationToken::new());
    let mut burst = b"EHLO client.example\r\n".to_vec();
    for _ in 0..10 {
        burst.extend_from_slice(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nBDAT 6 LAST\r\ntext\r\n");
    }
    burst.extend_from_slice(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\ntext\r\n.\r\nQUIT\r\n");
    client.write_all(&burst).await.unwrap();
    let server = tokio::spawn(async move { converse(stream, address, &lone_guest(address), &house).await });
    let mut heard = String::new();
    client.read_to_string(&mut heard).await.unwrap();
    drop(client);
    server.await.unwrap().unwrap();
    assert_eq!(heard.matches("queued as").count(), 11);
    assert!(heard.ends_with("221 2.0.0 Bye\r\n"));
    assert_eq!(log.take().len(), 11);
    assert_eq!(writes.load(Ordering::Relaxed), 2, "the greeting, and everything else");
}
