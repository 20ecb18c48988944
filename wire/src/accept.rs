//! Takes connections: so many altogether, so many from one address and so many from one network. What is over a cap is
//! handed on as well, with the cause, so that the protocol can say so. A failing accept (no descriptors left) backs off.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const FIRST_BACK_OFF: Duration = Duration::from_millis(10);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(1);
/// So many of the places may be on their way out at a time, as a part of all.
const LEAVING_PART: usize = 8;

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
    /// Who rests, in the order in which they began to.
    resting: BTreeMap<u64, Resting>,
    /// How often anybody has begun to rest.
    rests: u64,
    /// Guests whose place another has, and who are not gone yet.
    leaving: usize,
}

#[derive(Debug)]
struct Resting {
    ip: IpAddr,
    wanted: CancellationToken,
}

/// A connection's place among the guests; dropping it frees the place.
#[derive(Debug)]
pub struct Guest {
    guests: Arc<Guests>,
    ip: IpAddr,
    /// Cancelled when another has the place.
    wanted: CancellationToken,
}

/// For as long as this lasts, a guest may lose its place to another: whoever has rested longest goes first.
#[derive(Debug)]
pub struct Rest<'a> {
    guest: &'a Guest,
    turn: u64,
}

impl Guests {
    pub fn new(caps: Caps) -> Arc<Self> {
        Arc::new(Self { caps, counts: Mutex::default() })
    }

    /// A place for a peer with this address. Where all places are taken, it is that of the guest who has rested longest.
    pub fn admit(self: &Arc<Self>, ip: IpAddr) -> Result<Guest, TooMany> {
        let mut counts = self.lock();
        counts.has_room(&self.caps, ip).or_else(|cause| {
            // Guests on their way out hold a socket each, so there may not be many of them.
            let may_leave = cause == TooMany::Altogether && counts.leaving < self.caps.total.div_ceil(LEAVING_PART);
            let longest = if may_leave { counts.resting.pop_first() } else { None };
            let (_, resting) = longest.ok_or(cause)?;
            resting.wanted.cancel();
            counts.leave(resting.ip);
            counts.leaving += 1;
            counts.has_room(&self.caps, ip)
        })?;
        counts.come(ip);
        Ok(Guest { guests: Arc::clone(self), ip, wanted: CancellationToken::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn total(&self) -> usize {
        self.lock().total
    }
}

impl Counts {
    fn has_room(&self, caps: &Caps, ip: IpAddr) -> Result<(), TooMany> {
        let count = |of: &HashMap<IpAddr, usize>, key: IpAddr| of.get(&key).copied().unwrap_or(0);
        if count(&self.by_address, address_of(ip)) >= caps.per_address {
            return Err(TooMany::FromAddress);
        }
        if count(&self.by_network, network_of(ip)) >= caps.per_network {
            return Err(TooMany::FromNetwork);
        }
        if self.total >= caps.total { Err(TooMany::Altogether) } else { Ok(()) }
    }

    fn come(&mut self, ip: IpAddr) {
        self.total += 1;
        *self.by_address.entry(address_of(ip)).or_default() += 1;
        *self.by_network.entry(network_of(ip)).or_default() += 1;
    }

    fn leave(&mut self, ip: IpAddr) {
        self.total = self.total.saturating_sub(1);
        leave(&mut self.by_address, address_of(ip));
        leave(&mut self.by_network, network_of(ip));
    }
}

impl Guest {
    /// Says that this guest has nothing under way, until the answer is dropped.
    pub fn rest(&self) -> Rest<'_> {
        let mut counts = self.guests.lock();
        let turn = counts.rests;
        counts.rests += 1;
        if !self.wanted.is_cancelled() {
            counts.resting.insert(turn, Resting { ip: self.ip, wanted: self.wanted.clone() });
        }
        Rest { guest: self, turn }
    }
}

impl Rest<'_> {
    /// Waits until the place is another's.
    pub async fn ended(&self) {
        self.guest.wanted.cancelled().await;
    }
}

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        self.guest.guests.lock().resting.remove(&self.turn);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut counts = self.guests.lock();
        if self.wanted.is_cancelled() {
            counts.leaving = counts.leaving.saturating_sub(1);
        } else {
            counts.leave(self.ip);
        }
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

    #[test]
    fn whoever_has_rested_longest_makes_room_and_nobody_at_work_does() {
        let guests = Guests::new(Caps { total: 3, per_address: 2, per_network: 3 });
        let [first, second, third] =
            ["192.0.2.1", "192.0.2.2", "192.0.2.2"].map(|text| guests.admit(ip(text)).unwrap());
        drop(first.rest());
        let newcomer = || guests.admit(ip("198.51.100.1"));
        assert_eq!(newcomer().unwrap_err(), TooMany::Altogether, "all are at work");
        let (second_rests, third_rests) = (second.rest(), third.rest());
        let guest = newcomer().unwrap();
        assert!(second.wanted.is_cancelled() && !third.wanted.is_cancelled() && !first.wanted.is_cancelled());
        assert_eq!(newcomer().unwrap_err(), TooMany::Altogether, "one at a time may be on its way out");
        drop(second_rests);
        drop(second);
        assert_eq!(guests.total(), 3);
        drop(third_rests);
        drop((first, third, guest));
        let counts = guests.counts.lock().unwrap();
        assert_eq!((counts.total, counts.leaving, counts.resting.len(), counts.by_address.len()), (0, 0, 0, 0));
    }

    #[tokio::test]
    async fn connections_over_a_cap_are_handed_on_with_the_cause_until_the_shutdown() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let guests = Guests::new(Caps { total: 1, per_address: 2, per_network: 2 });
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
