//! Moves bytes: connections with caps, heads with a time limit, answers that stall cut off, and a shutdown that lets
//! what is in flight end within a limit.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
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

/// For the first head of a connection.
const FIRST_HEAD_LIMIT: Duration = Duration::from_secs(10);
/// For the head of a later request, and between two requests.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// Bytes of the head of a request: hyper answers 431 above it.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// How long a peer may take nothing of an answer.
const STALL_LIMIT: Duration = Duration::from_secs(30);
/// What is in flight at the shutdown may take so long.
const GRACE: Duration = Duration::from_secs(5);

/// Connections at a time. One that is over a cap is closed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    pub all: Caps,
    /// Of those that have not sent the whole head of a request yet: they are nobody's but who opened them, so that half
    /// a request a connection can't fill the house.
    pub without_head: Caps,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            all: Caps { total: 8192, per_address: 4096, per_network: 6144 },
            without_head: Caps { total: 4096, per_address: 256, per_network: 1024 },
        }
    }
}

/// Serves with the caps that fit most, until `shutdown`.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) -> io::Result<()> {
    serve_within(Connections::default(), listener, router, shutdown).await
}

/// Serves until `shutdown`; returns when what was in flight has ended, or the limit has passed.
pub async fn serve_within(
    connections: Connections,
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
) -> io::Result<()> {
    metric::register();
    let (guests, newcomers) = (Guests::new(connections.all), Guests::new(connections.without_head));
    let tasks = TaskTracker::new();
    accept_until(&shutdown, listener, &guests, |stream, peer, guest| match both(guest, &newcomers, peer) {
        Ok((guest, newcomer)) => {
            let newcomer = Newcomer::new(newcomer);
            tasks.spawn(connection(stream, guest, newcomer, router.clone(), shutdown.clone()));
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

fn both(guest: Result<Guest, TooMany>, newcomers: &Arc<Guests>, peer: SocketAddr) -> Result<(Guest, Guest), TooMany> {
    Ok((guest?, newcomers.admit(peer.ip())?))
}

/// The place among those without a head, until the first head has come.
#[derive(Clone)]
struct Newcomer {
    place: Arc<Mutex<Option<Guest>>>,
    arrived: CancellationToken,
}

impl Newcomer {
    fn new(place: Guest) -> Self {
        Self { place: Arc::new(Mutex::new(Some(place))), arrived: CancellationToken::new() }
    }

    fn arrive(&self) {
        if !self.arrived.is_cancelled() {
            self.arrived.cancel();
            self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }

    /// Returns when no head has come in time, and never where one has.
    async fn late(&self) {
        if tokio::time::timeout(FIRST_HEAD_LIMIT, self.arrived.cancelled()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    }
}

async fn connection(stream: TcpStream, _guest: Guest, newcomer: Newcomer, router: Router, shutdown: CancellationToken) {
    metrics::gauge!(metric::CONNECTIONS).increment(1.0);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT).max_buf_size(MAX_HEAD_BYTES);
    let (router, known) = (TowerToHyperService::new(router), newcomer.clone());
    let service = service_fn(move |request| {
        known.arrive();
        router.call(request)
    });
    let mut connection =
        std::pin::pin!(builder.serve_connection(TokioIo::new(Impatient::new(stream)), service).with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = newcomer.late() => Ok(()),
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
