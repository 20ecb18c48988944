//! The connection: a name is looked up once, what was found is judged, and exactly what passed is connected to. There
//! is no second look-up between check and use that could answer otherwise, no proxy and no pool, so that every call
//! passes the guard.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use wire::Trust;

use super::PostError;
use super::place::{Name, Place};
use crate::guard::Guard;

/// Addresses of a name that are tried.
pub const MAX_ADDRESSES: usize = 8;
/// How long one address may take to answer, so that there is time for the next.
pub const ADDRESS_LIMIT: Duration = Duration::from_secs(5);

/// Looks up names.
#[async_trait]
pub trait Resolve: Send + Sync + 'static {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// Look-ups at a time. One that is given up goes on in its thread until the system's own limit: names that are slow
/// on purpose must not take the threads that others need.
pub const MAX_LOOK_UPS: usize = 32;

/// The machine's resolver, with its hosts file and search list.
pub struct SystemResolver {
    running: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { running: Arc::new(Semaphore::new(MAX_LOOK_UPS)) }
    }
}

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let turn = Arc::clone(&self.running).acquire_owned().await.map_err(io::Error::other)?;
        let name = name.to_owned();
        let looking = tokio::task::spawn_blocking(move || {
            let found = (name.as_str(), 0).to_socket_addrs().map(|found| found.map(|one| one.ip()).collect());
            drop(turn);
            found
        });
        looking.await.map_err(io::Error::other)?
    }
}

pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Connects to a place that the guard permits.
pub async fn connect(
    place: &Place,
    guard: &Guard,
    resolver: &dyn Resolve,
    trust: Option<&Trust>,
) -> Result<Box<dyn Stream>, PostError> {
    let permitted = permitted(place, guard, resolver).await?;
    let stream = reach(&permitted, guard).await?;
    // One request a connection: what is written is not to wait for an answer to what was written before.
    let _ = stream.set_nodelay(true);
    if !place.is_tls {
        return Ok(Box::new(stream));
    }
    let trust = trust.ok_or(PostError::NoTrust)?;
    let stream =
        trust.connect(&place.server_name(), stream).await.map_err(|error| PostError::Tls(error.to_string()))?;
    Ok(Box::new(stream))
}

/// The addresses of a place that may be called; at least one.
async fn permitted(place: &Place, guard: &Guard, resolver: &dyn Resolve) -> Result<Vec<SocketAddr>, PostError> {
    let found = match &place.host {
        Name::Address(address) => vec![*address],
        Name::Domain(name) => resolver.resolve(name).await.map_err(|error| PostError::Unresolved(error.to_string()))?,
    };
    let mut refusal = None;
    let mut permitted = Vec::new();
    for address in found {
        let address = SocketAddr::new(address, place.port);
        match guard.permits(address) {
            Ok(()) if permitted.len() < MAX_ADDRESSES && !permitted.contains(&address) => permitted.push(address),
            Ok(()) => {}
            Err(refused) => refusal = refusal.or(Some(refused)),
        }
    }
    match (permitted.is_empty(), refusal) {
        (false, _) => Ok(permitted),
        (true, Some(refusal)) => Err(PostError::Guarded(refusal)),
        (true, None) => Err(PostError::Unresolved("the name has no address".to_owned())),
    }
}

/// The first address that answers.
async fn reach(addresses: &[SocketAddr], guard: &Guard) -> Result<TcpStream, PostError> {
    let mut last = PostError::Unresolved("the name has no address".to_owned());
    for address in addresses {
        match timeout(ADDRESS_LIMIT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // What is connected is what was judged; asked of the socket itself, whatever becomes of the code above.
                let peer = stream.peer_addr().map_err(|error| PostError::Unreachable(error.to_string()))?;
                guard.permits(peer).map_err(PostError::Guarded)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = PostError::Unreachable(error.to_string()),
            Err(_) => last = PostError::Unreachable(format!("no answer within {} s", ADDRESS_LIMIT.as_secs())),
        }
    }
    Err(last)
}
