//! Moves bytes: connections with a cap, heads with a time limit, answers that stall cut off, and a shutdown that lets
//! what is in flight end within a limit.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::accept::accept_until;
use wire::{Caps, Guest, Guests, TooMany};

use super::metric;

/// Connections at a time. One that is over the cap is closed at once.
const CAPS: Caps = Caps { total: 2048, per_address: 1024, per_network: 2048 };
/// For the head of a request, and between two requests.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// Bytes of the head of a request: hyper answers 431 above it.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// How long a peer may take nothing of an answer.
const STALL_LIMIT: Duration = Duration::from_secs(30);
/// What is in flight at the shutdown may take so long.
const GRACE: Duration = Duration::from_secs(5);

/// Serves until `shutdown`; returns when what was in flight has ended, or the limit has passed.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) -> io::Result<()> {
    let guests = Guests::new(CAPS);
    let tasks = TaskTracker::new();
    accept_until(&shutdown, listener, &guests, |stream, peer, guest| match guest {
        Ok(guest) => {
            tasks.spawn(connection(stream, guest, router.clone(), shutdown.clone()));
        }
        Err(TooMany::Altogether | TooMany::FromAddress | TooMany::FromNetwork) => {
            tracing::debug!(%peer, "an HTTP connection over the cap is closed");
        }
    })
    .await;
    tasks.close();
    if tokio::time::timeout(GRACE, tasks.wait()).await.is_err() {
        tracing::warn!("HTTP requests in flight were cut off at the shutdown");
    }
    Ok(())
}

async fn connection(stream: TcpStream, _guest: Guest, router: Router, shutdown: CancellationToken) {
    metrics::gauge!(metric::CONNECTIONS).increment(1.0);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT).max_buf_size(MAX_HEAD_BYTES);
    let service = TowerToHyperService::new(router);
    let mut connection =
        std::pin::pin!(builder.serve_connection(TokioIo::new(Impatient::new(stream)), service).with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(GRACE, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection ended early");
    }
    metrics::gauge!(metric::CONNECTIONS).decrement(1.0);
}

/// A stream whose writes fail when the peer takes nothing for too long.
struct Impatient {
    stream: TcpStream,
    stalled: Pin<Box<Sleep>>,
    waiting: bool,
}

impl Impatient {
    fn new(stream: TcpStream) -> Self {
        Self { stream, stalled: Box::pin(tokio::time::sleep(STALL_LIMIT)), waiting: false }
    }

    fn watch<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.waiting = false;
            return polled;
        }
        if !self.waiting {
            self.waiting = true;
            self.stalled.as_mut().reset(Instant::now() + STALL_LIMIT);
        }
        match self.stalled.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Impatient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(context, polled)
    }
}
