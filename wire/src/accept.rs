//! Takes connections: so many altogether, so many from one address and so many from one network. What is over a cap is
//! handed on as well, with the cause, so that the protocol can say so. A failing accept (no descriptors left) backs off.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const FIRST_BACK_OFF: Duration = Duration::from_millis(10);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(1);

/// How many connections may be open at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    pub total: usize,
    /// From one IPv4 address, or one IPv6 /64, which is one customer's.
    pub per_address: usize,
    /// From one IPv4 /24, or one IPv6 /48.
    pub per_network: usize,
}

/// Which cap a connection was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooMany {
    Altogether,
    FromAddress,
    FromNetwork,
}

/// Who is connected.
#[derive(Debug)]
pub struct Guests {
    caps: Caps,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
    by_network: HashMap<IpAddr, usize>,
}

/// A connection's place among the guests; dropping it frees the place.
#[derive(Debug)]
pub struct Guest {
    guests: Arc<Guests>,
    ip: IpAddr,
}

impl Guests {
    pub fn new(caps: Caps) -> Arc<Self> {
        Arc::new(Self { caps, counts: Mutex::default() })
    }

    /// A place for a peer with this address.
    pub fn admit(self: &Arc<Self>, ip: IpAddr) -> Result<Guest, TooMany> {
        let (address, network) = (address_of(ip), network_of(ip));
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |of: &HashMap<IpAddr, usize>, key| of.get(key).copied().unwrap_or(0);
        if counts.total >= self.caps.total {
            return Err(TooMany::Altogether);
        }
        if count(&counts.by_address, &address) >= self.caps.per_address {
            return Err(TooMany::FromAddress);
        }
        if count(&counts.by_network, &network) >= self.caps.per_network {
            return Err(TooMany::FromNetwork);
        }
        counts.total += 1;
        *counts.by_address.entry(address).or_default() += 1;
        *counts.by_network.entry(network).or_default() += 1;
        Ok(Guest { guests: Arc::clone(self), ip })
    }

    pub fn total(&self) -> usize {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).total
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut counts = self.guests.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total = counts.total.saturating_sub(1);
        leave(&mut counts.by_address, address_of(self.ip));
        leave(&mut counts.by_network, network_of(self.ip));
    }
}

fn leave(counts: &mut HashMap<IpAddr, usize>, key: IpAddr) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

fn address_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(prefix(v6, 64)),
    }
}

fn network_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & (u32::MAX << 8))),
        IpAddr::V6(v6) => IpAddr::V6(prefix(v6, 48)),
    }
}

const fn prefix(ip: Ipv6Addr, bits: u32) -> Ipv6Addr {
    Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << (128 - bits)))
}

/// Accepts until `shutdown`, with Nagle's algorithm off (a reply that waits for an acknowledgement stalls a pipelining
/// peer for 40 ms), and hands each connection on. The listener is closed when this returns.
pub async fn accept_until(
    shutdown: &CancellationToken,
    listener: TcpListener,
    guests: &Arc<Guests>,
    mut hand_on: impl FnMut(TcpStream, SocketAddr, Result<Guest, TooMany>),
) {
    let mut back_off = FIRST_BACK_OFF;
    while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, address)) => {
                back_off = FIRST_BACK_OFF;
                let peer = SocketAddr::new(address.ip().to_canonical(), address.port());
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%peer, %error, "connection gone before it was served");
                    continue;
                }
                hand_on(stream, peer, guests.admit(peer.ip()));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, wait_ms = back_off.as_millis(), "can't accept connections for now");
                if shutdown.run_until_cancelled(tokio::time::sleep(back_off)).await.is_none() {
                    break;
                }
                back_off = (back_off * 2).min(LONGEST_BACK_OFF);
            }
        }
    }
}

/// Whether only the one connection failed that was to be accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_cap_admits_up_to_its_number_and_not_one_more() {
        let guests = Guests::new(Caps { total: 5, per_address: 2, per_network: 3 });
        let mut inside = vec![guests.admit(ip("192.0.2.1")).unwrap(), guests.admit(ip("192.0.2.1")).unwrap()];
        assert_eq!(guests.admit(ip("192.0.2.1")).unwrap_err(), TooMany::FromAddress);
        assert_eq!(guests.admit(ip("::ffff:192.0.2.1")).unwrap_err(), TooMany::FromAddress);
        inside.push(guests.admit(ip("192.0.2.2")).unwrap());
        assert_eq!(guests.admit(ip("192.0.2.3")).unwrap_err(), TooMany::FromNetwork);
        inside.push(guests.admit(ip("2001:db8::1")).unwrap());
        inside.push(guests.admit(ip("2001:db8::2")).unwrap());
        assert_eq!(guests.admit(ip("198.51.100.1")).unwrap_err(), TooMany::Altogether);
        inside.clear();
        assert_eq!(guests.total(), 0);
        assert!(guests.counts.lock().unwrap().by_network.is_empty());
    }

    #[test]
    fn one_ipv6_customer_is_one_address_and_his_site_one_network() {
        let guests = Guests::new(Caps { total: 9, per_address: 1, per_network: 2 });
        let _first = guests.admit(ip("2001:db8:0:1::1")).unwrap();
        assert_eq!(guests.admit(ip("2001:db8:0:1:ffff::1")).unwrap_err(), TooMany::FromAddress);
        let _second = guests.admit(ip("2001:db8:0:2::1")).unwrap();
        assert_eq!(guests.admit(ip("2001:db8:0:3::1")).unwrap_err(), TooMany::FromNetwork);
        let _other = guests.admit(ip("2001:db8:1::1")).unwrap();
    }

    #[tokio::test]
    async fn connections_over_a_cap_are_handed_on_with_the_cause_until_the_shutdown() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let guests = Guests::new(Caps { total: 1, per_address: 1, per_network: 1 });
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let clients = tokio::spawn(async move {
            (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap())
        });
        let mut seen = Vec::new();
        accept_until(&shutdown, listener, &guests, |stream, _, admission| {
            assert!(stream.nodelay().unwrap());
            seen.push(admission.map(|guest| (stream, guest)));
            if seen.len() == 2 {
                stop.cancel();
            }
        })
        .await;
        clients.await.unwrap();
        assert!(seen[0].is_ok());
        assert_eq!(seen[1].as_ref().unwrap_err(), &TooMany::Altogether);
        assert!(TcpStream::connect(address).await.is_err(), "the listener is closed");
    }
}
