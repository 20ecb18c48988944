use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::*;

fn of(text: &str) -> Class {
    class(text.parse().unwrap())
}

fn refused(guard: &Guard, to: &str) -> String {
    guard.permits(to.parse().unwrap()).expect_err(to).to_string()
}

/// First and last address of each network that is not public, and its neighbours outside where those are public.
const V4_EDGES: [(&str, &str, &str, &str); 14] = [
    ("0.0.0.0", "0.255.255.255", "", "1.0.0.0"),
    ("10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"),
    ("100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0"),
    ("127.0.0.0", "127.255.255.255", "126.255.255.255", "128.0.0.0"),
    ("169.254.0.0", "169.254.255.255", "169.253.255.255", "169.255.0.0"),
    ("172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0"),
    ("192.0.0.0", "192.0.0.255", "191.255.255.255", "192.0.1.0"),
    ("192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0"),
    ("192.88.99.0", "192.88.99.255", "192.88.98.255", "192.88.100.0"),
    ("192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0"),
    ("198.18.0.0", "198.19.255.255", "198.17.255.255", "198.20.0.0"),
    ("198.51.100.0", "198.51.100.255", "198.51.99.255", "198.51.101.0"),
    ("203.0.113.0", "203.0.113.255", "203.0.112.255", "203.0.114.0"),
    ("224.0.0.0", "255.255.255.255", "223.255.255.255", ""),
];

#[test]
fn every_network_that_is_not_public_ends_where_it_ends() {
    for (first, last, before, after) in V4_EDGES {
        for inside in [first, last] {
            assert_ne!(of(inside), Class::Public, "{inside}");
        }
        for outside in [before, after].into_iter().filter(|text| !text.is_empty()) {
            assert_eq!(of(outside), Class::Public, "{outside}");
        }
    }
}

/// Every form of IPv6 that holds an IPv4 address.
fn wrapped(address: Ipv4Addr) -> Vec<(&'static str, Ipv6Addr)> {
    let v4 = address.to_bits();
    let low = u128::from(v4);
    let from = |prefix: &str, bits: u128| Ipv6Addr::from_bits(prefix.parse::<Ipv6Addr>().unwrap().to_bits() | bits);
    let split = u128::from(v4 >> 16) << 64 | u128::from(v4 & 0xffff) << 40;
    vec![
        ("mapped", address.to_ipv6_mapped()),
        ("compatible", from("::", low)),
        ("SIIT", from("::ffff:0:0:0", low)),
        ("NAT64", from("64:ff9b::", low)),
        ("local NAT64 /96", from("64:ff9b:1::", low)),
        ("local NAT64 /48", from("64:ff9b:1::", split)),
        ("6to4", from("2002::", low << 80)),
        ("Teredo client", from("2001::", u128::from(!v4))),
        ("Teredo server", from("2001::", low << 64)),
        ("ISATAP", from("2a00:1450:1:2:0:5efe::", low)),
        ("ISATAP, universal", from("2a00:1450:1:2:200:5efe::", low)),
        ("ISATAP, link-local", from("fe80::5efe:0:0", low)),
    ]
}

#[test]
fn no_form_of_ipv6_hides_an_address_that_is_not_public() {
    for (first, last, ..) in V4_EDGES {
        for hidden in [first, last, "169.254.169.254", "127.0.0.1"] {
            for (form, address) in wrapped(hidden.parse().unwrap()) {
                assert_ne!(class(IpAddr::V6(address)), Class::Public, "{hidden} as {form}: {address}");
            }
        }
    }
}

#[test]
fn a_public_address_is_public_mapped_or_translated_and_in_no_other_wrapping() {
    for (form, address) in wrapped(Ipv4Addr::new(8, 8, 8, 8)) {
        let public = matches!(form, "mapped" | "NAT64");
        assert_eq!(class(IpAddr::V6(address)) == Class::Public, public, "{form}: {address}");
    }
}

#[test]
fn ipv6_is_public_only_where_it_is_global_unicast() {
    for text in ["2606:4700::1111", "2a00:1450:4001:80b::200e", "2001:4860:4860::8888", "2001:200::1", "2003::1"] {
        assert_eq!(of(text), Class::Public, "{text}");
    }
    for text in [
        "::",
        "::2",
        "100::1",
        "2001::1",
        "2001:1ff::1",
        "2001:db8::1",
        "2002::1",
        "3fff::1",
        "3ffe::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fdff::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "feff::1",
        "ff02::1",
        "1fff::1",
        "200::1",
    ] {
        assert!(matches!(of(text), Class::Special(_)), "{text}");
    }
    assert_eq!(of("::1"), Class::Loopback);
}

#[test]
fn loopback_is_permitted_only_by_the_switch_and_in_no_disguise() {
    let open = Guard { loopback: true, ..Guard::default() };
    for to in ["127.0.0.1:1", "127.8.9.10:8025", "[::1]:25", "[::ffff:127.0.0.1]:80"] {
        assert_eq!(open.permits(to.parse().unwrap()), Ok(()), "{to}");
        assert!(refused(&Guard::default(), to).contains(SETTING));
    }
    for to in ["0.0.0.0:80", "[::]:80", "[::127.0.0.1]:80", "[64:ff9b::7f00:1]:80", "[2002:7f00:1::]:80"] {
        assert!(refused(&open, to).contains(SETTING), "{to}");
    }
}

#[test]
fn a_network_that_is_allowed_is_reached_on_any_port_and_its_neighbour_is_not() {
    let allow = ["10.1.0.0/16", "fd00:1::/32", "192.168.7.7", "64:ff9b::/96"].map(|text| text.parse().unwrap());
    let guard = Guard { allow: allow.to_vec(), loopback: false };
    for to in ["10.1.255.255:25", "[::ffff:10.1.0.0]:80", "[fd00:1::9]:80", "192.168.7.7:1", "[64:ff9b::a00:1]:80"] {
        assert_eq!(guard.permits(to.parse().unwrap()), Ok(()), "{to}");
    }
    for to in ["10.2.0.0:80", "10.0.255.255:80", "[fd00:2::9]:80", "192.168.7.8:80", "127.0.0.1:80", "[2002:a01::]:80"]
    {
        assert!(refused(&guard, to).contains(SETTING), "{to}");
    }
}

#[test]
fn a_public_server_is_called_where_http_is_spoken() {
    let guard = Guard::default();
    let to = |port| SocketAddr::new(Ipv4Addr::new(8, 8, 8, 8).into(), port);
    for port in [80, 443, 1024, 3000, 8080, 8443, 65_535] {
        assert_eq!(guard.permits(to(port)), Ok(()), "{port}");
    }
    for port in [0, 1, 22, 25, 79, 81, 442, 444, 587, 1023, 6379, 6667, 11_211] {
        assert!(matches!(guard.permits(to(port)), Err(Refusal::Port { .. })), "{port}");
    }
}

#[test]
fn a_refusal_names_address_reason_and_setting() {
    assert_eq!(
        refused(&Guard::default(), "169.254.169.254:80"),
        "169.254.169.254 is a link-local address, and the setting forward.allow doesn't name its network"
    );
}

#[test]
fn networks_are_read_exactly() {
    for (text, written) in [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("10.1.2.3", "10.1.2.3/32"),
        ("fd00::1", "fd00::1/128"),
        (" 10.0.0.0 / 8", "10.0.0.0/8"),
    ] {
        assert_eq!(text.parse::<Network>().unwrap().to_string(), written, "{text}");
    }
    for text in [
        "",
        "10",
        "10.0.0.0/33",
        "::/129",
        "10.0.0.1/8",
        "fd00::1/8",
        "10.0.0.0/",
        "10.0.0.0/-1",
        "x/8",
        "0x7f.1",
        "::ffff:10.0.0.0/104",
        "10.0.0.0/8/8",
        "127.1",
    ] {
        assert!(text.parse::<Network>().is_err(), "{text}");
    }
    let all: Network = "0.0.0.0/0".parse().unwrap();
    assert!(all.contains("255.255.255.255".parse().unwrap()) && !all.contains("::1".parse().unwrap()));
}
