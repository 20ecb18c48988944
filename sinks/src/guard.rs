//! What a connection may reach. Whoever can set a webhook's URL must not reach through this server what they could
//! not reach themselves: the machine, its network, the metadata service of its cloud.
//!
//! Everything that is not a public address is refused, in each spelling that IPv6 has for an IPv4 address. Pure: the
//! address that is judged is the one that is connected to (see `post::connect`), never a name.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The setting that opens networks, as a refusal names it.
pub const SETTING: &str = "forward.allow";

/// What an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Public,
    Loopback,
    /// Everything else, and what it is called.
    Special(&'static str),
}

/// IANA's registry of special addresses (RFC 6890), with what routers treat so though it is not listed.
const SPECIAL_V4: [(Ipv4Addr, u8, &str); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "an address of this network (RFC 1122)"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, PRIVATE),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "an address behind a carrier's NAT (RFC 6598)"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, LINK_LOCAL),
    (Ipv4Addr::new(172, 16, 0, 0), 12, PRIVATE),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "an address for protocols (RFC 6890)"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, DOCUMENTATION),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a relay for 6to4 (RFC 7526)"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, PRIVATE),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "an address for benchmarks (RFC 2544)"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, DOCUMENTATION),
    (Ipv4Addr::new(203, 0, 113, 0), 24, DOCUMENTATION),
    (Ipv4Addr::new(224, 0, 0, 0), 4, MULTICAST),
    (Ipv4Addr::BROADCAST, 32, "the broadcast address"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "a reserved address (RFC 1112)"),
];

/// Of what is not in 2000::/3, only what a refusal shall call by its name; of what is, all that is special.
const SPECIAL_V6: [(Ipv6Addr, u8, &str); 14] = [
    (Ipv6Addr::UNSPECIFIED, 128, "the unspecified address"),
    (Ipv6Addr::UNSPECIFIED, 96, "an IPv4 address in IPv6 (RFC 4291, IPv4-compatible)"),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, "an address for local translation (RFC 8215)"),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64, "an address that is discarded (RFC 6666)"),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, "a Teredo address (RFC 4380)"),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "an address for protocols (RFC 2928)"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, DOCUMENTATION),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "a 6to4 address (RFC 3056)"),
    (Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0), 16, "a reserved address (RFC 3701, 6bone)"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, DOCUMENTATION),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, "a private address (RFC 4193)"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, LINK_LOCAL),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, "a site-local address (RFC 3879)"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, MULTICAST),
];

const PRIVATE: &str = "a private address (RFC 1918)";
const LINK_LOCAL: &str = "a link-local address";
const DOCUMENTATION: &str = "an address for documentation";
const MULTICAST: &str = "a multicast address";
const ISATAP: &str = "an ISATAP address (RFC 5214)";
const TRANSLATED: &str = "a translated address (RFC 6052) of one that is not public";
const NOT_GLOBAL: &str = "no global unicast address (RFC 4291)";

/// RFC 6052 2.1: what a NAT64 reaches the IPv4 internet by.
const NAT64: (Ipv6Addr, u8) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);
/// RFC 4291 2.4: all that is given out as global unicast.
const GLOBAL_UNICAST: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Under this, a public server speaks HTTP on 80 and 443 only.
const FIRST_FREE_PORT: u16 = 1024;
/// Ports above it where other protocols listen: those that browsers refuse (WHATWG fetch, "bad port"), and two that
/// take a request's lines for commands (Redis, memcached).
const OTHER_PORTS: [u16; 21] = [
    1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697,
    10080, 11211,
];

/// What an address is, whatever it is wrapped into.
pub fn class(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(address) => class_v4(address),
        IpAddr::V6(address) => class_v6(address),
    }
}

fn class_v4(address: Ipv4Addr) -> Class {
    if address.is_loopback() {
        return Class::Loopback;
    }
    let bits = u128::from(address.to_bits());
    let found = SPECIAL_V4.iter().find(|(base, length, _)| same(u128::from(base.to_bits()), bits, 32, *length));
    found.map_or(Class::Public, |(.., what)| Class::Special(what))
}

fn class_v6(address: Ipv6Addr) -> Class {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return class_v4(mapped);
    }
    if address == Ipv6Addr::LOCALHOST {
        return Class::Loopback;
    }
    let within = |base: Ipv6Addr, length| same(base.to_bits(), address.to_bits(), 128, length);
    if let Some((.., what)) = SPECIAL_V6.iter().find(|(base, length, _)| within(*base, *length)) {
        return Class::Special(what);
    }
    let [.., fifth, sixth, seventh, eighth] = address.segments();
    // Below any prefix: an interface whose id is 0:5efe or 200:5efe, then the IPv4 address.
    if fifth & !0x0200 == 0 && sixth == 0x5efe {
        return Class::Special(ISATAP);
    }
    if within(NAT64.0, NAT64.1) {
        let ([a, b], [c, d]) = (seventh.to_be_bytes(), eighth.to_be_bytes());
        let translated = class_v4(Ipv4Addr::new(a, b, c, d));
        return if translated == Class::Public { Class::Public } else { Class::Special(TRANSLATED) };
    }
    if within(GLOBAL_UNICAST.0, GLOBAL_UNICAST.1) { Class::Public } else { Class::Special(NOT_GLOBAL) }
}

/// Whether the first `length` of `width` bits are the same.
const fn same(one: u128, other: u128, width: u8, length: u8) -> bool {
    match (one ^ other).checked_shr((width - length) as u32) {
        Some(differing) => differing == 0,
        // No bit is asked for.
        None => true,
    }
}

/// A network, as the allow-list names it: `10.1.0.0/16`, `fd00::/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    base: IpAddr,
    length: u8,
}

impl Network {
    /// Whether the address is in it. An IPv4 address written as IPv6 (`::ffff:`) is that IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                same(u128::from(base.to_bits()), u128::from(address.to_bits()), 32, self.length)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => same(base.to_bits(), address.to_bits(), 128, self.length),
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is no network; write 10.1.0.0/16, fd00::/8 or one address");
        let (base, length) = text.split_once('/').map_or((text, None), |(base, length)| (base, Some(length)));
        let base: IpAddr = base.trim().parse().map_err(|_| wrong())?;
        let width = if base.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => width,
            Some(length) => length.trim().parse().ok().filter(|length| *length <= width).ok_or_else(wrong)?,
        };
        let bits = match base {
            IpAddr::V4(base) => u128::from(base.to_bits()),
            IpAddr::V6(base) if base.to_ipv4_mapped().is_some() => {
                return Err(format!("{text:?}: name the IPv4 network itself"));
            }
            IpAddr::V6(base) => base.to_bits(),
        };
        let host = 1_u128.checked_shl(u32::from(width - length)).map_or(u128::MAX, |first| first - 1);
        if bits & host != 0 {
            return Err(format!(
                "{text:?} names an address inside of a network; zero what is behind its {length} bits"
            ));
        }
        Ok(Self { base, length })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.length)
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

/// Judges where a connection leads.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Networks that may be called whatever they are, on any port ([`SETTING`]).
    pub allow: Vec<Network>,
    /// Loopback may be called: so while the HTTP door listens on loopback only, when whoever sets a forward is on this
    /// machine already.
    pub loopback: bool,
}

/// Why a connection is not made. It names the setting that would permit it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{address} is {what}, and the setting {SETTING} doesn't name its network")]
    Address { address: IpAddr, what: &'static str },
    #[error("port {port} of {address} is no port for HTTP, and the setting {SETTING} doesn't name its network")]
    Port { address: IpAddr, port: u16 },
}

impl Guard {
    pub fn permits(&self, to: SocketAddr) -> Result<(), Refusal> {
        let (address, port) = (to.ip(), to.port());
        if self.allow.iter().any(|network| network.contains(address)) {
            return Ok(());
        }
        match class(address) {
            Class::Loopback if self.loopback => Ok(()),
            Class::Loopback => Err(Refusal::Address { address, what: "a loopback address" }),
            Class::Special(what) => Err(Refusal::Address { address, what }),
            Class::Public if is_for_http(port) => Ok(()),
            Class::Public => Err(Refusal::Port { address, port }),
        }
    }
}

fn is_for_http(port: u16) -> bool {
    if port < FIRST_FREE_PORT { matches!(port, 80 | 443) } else { !OTHER_PORTS.contains(&port) }
}

#[cfg(test)]
mod tests;
