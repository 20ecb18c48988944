//! The door: connections in, one task a session, and an orderly end.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use eventlog::Log;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use wire::{Guest, Guests, TooMany};

use crate::converse::{House, converse};
use crate::policy::Settings;
use crate::unanswered::Unanswered;
use crate::{metric, reply};

/// Takes mail on `listener` and puts it on `log` until `shutdown`. Then nobody is accepted any more, idle sessions are
/// told so, those inside a transaction may end it within a limit, and this returns.
pub async fn serve(
    listener: TcpListener,
    log: Arc<dyn Log>,
    settings: Arc<Settings>,
    unanswered: Arc<Unanswered>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    metric::register();
    let guests = Guests::new(settings.connections);
    let house = Arc::new(House::new(log, Arc::clone(&settings), unanswered, shutdown.clone()));
    let sessions = TaskTracker::new();
    let abandon = CancellationToken::new();
    wire::accept::accept_until(&shutdown, listener, &guests, |stream, peer, admission| match admission {
        Ok(guest) => {
            let (house, abandon) = (Arc::clone(&house), abandon.clone());
            sessions.spawn(async move {
                let session = session(stream, peer, &guest, &house).instrument(tracing::info_span!("smtp", %peer));
                abandon.run_until_cancelled(session).await;
            });
        }
        Err(cause) => turn_away(stream, peer, cause),
    })
    .await;
    sessions.close();
    if tokio::time::timeout(settings.shutdown_wait, sessions.wait()).await.is_err() {
        tracing::warn!(sessions = sessions.len(), "sessions are cut off, since the server stops");
        abandon.cancel();
        sessions.wait().await;
    }
    Ok(())
}

async fn session(stream: TcpStream, peer: SocketAddr, guest: &Guest, house: &House) {
    let _open = Open::new();
    match converse(stream, peer, guest, house).await {
        Ok(()) => tracing::debug!("session ended"),
        Err(error) => tracing::debug!(%error, "peer vanished"),
    }
}

/// Counts a session for as long as it lasts, however it ends.
struct Open;

impl Open {
    fn new() -> Self {
        metrics::counter!(metric::SESSIONS).increment(1);
        metrics::gauge!(metric::SESSIONS_OPEN).increment(1.0);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        metrics::gauge!(metric::SESSIONS_OPEN).decrement(1.0);
    }
}

/// Says why in one line, without a task and without waiting: the buffer of a new socket is empty.
fn turn_away(stream: TcpStream, peer: SocketAddr, cause: TooMany) {
    let cap = match cause {
        TooMany::Altogether => "total",
        TooMany::FromAddress => "address",
        TooMany::FromNetwork => "network",
    };
    metrics::counter!(metric::CONNECTIONS_REFUSED, "cap" => cap).increment(1);
    let mut line = BytesMut::new();
    reply::TOO_MANY_CONNECTIONS.write(&mut line);
    let written = stream.into_std().and_then(|mut socket| socket.write_all(&line));
    tracing::debug!(%peer, cap, told = written.is_ok(), "connection over a cap");
}
