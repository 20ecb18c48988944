//! Where nothing may be sent: a canary on loopback hears nothing, whatever the URL or the name says.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use schemas::event::ForwardKind;
use sinks::forward::{Called, Courier};
use sinks::guard::{Guard, SETTING};
use sinks::post::{MAX_ADDRESSES, Resolve, SystemResolver, Trust};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::mail::{Answers, at_home, delivery, poster, webhook};
use crate::receiver::{Receiver, Reply, serve};

const OK: &str = "200 OK";

async fn called(courier: &impl Courier, url: &str) -> Called {
    courier.deliver(&delivery(ForwardKind::Webhook, url)).await.outcome
}

/// Hosts that lead to loopback, or to the metadata service of a cloud, in every disguise.
const HOSTS: [&str; 40] = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "0x7f.1",
    "0x7f000001",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "127.0.0.1.",
    "127。0。0。1",
    "127．0．0．1",
    "①②⑦.0.0.1",
    "%31%32%37.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "ｌｏｃａｌｈｏｓｔ",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:7f00:1]",
    "[::ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::]",
    "[2001::80ff:fffe]",
    "[2001:0:7f00:1::]",
    "[2a00:1450:1:2:0:5efe:7f00:1]",
    "[fe80::5efe:7f00:1]",
    "[fec0::1]",
    "[fd00::1]",
    "169.254.169.254",
    "100.100.100.200",
];

#[tokio::test]
async fn no_url_reaches_loopback_and_each_attempt_says_why() {
    let canary = Receiver::start(Reply::status(OK)).await;
    let loopback: Vec<IpAddr> = vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
    let names = ["localhost", "localhost."].map(|name| (name.to_owned(), vec![loopback.clone()]));
    let names = Answers { names: names.into(), ..Answers::default() };
    let courier = webhook(poster(Guard::default(), Arc::new(names)));
    for host in HOSTS {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{}/hook", canary.address.port());
            let outcome = called(&courier, &url).await;
            let Called::Refused { cause, off: false } = outcome else { panic!("{url}: {outcome:?}") };
            assert!(cause.contains(SETTING), "{url}: {cause}");
        }
    }
    for url in ["ftp://127.0.0.1/", "http://a@127.0.0.1/", "file:///etc/passwd", "http://[::1%25lo]/", "//127.0.0.1"] {
        let outcome = called(&courier, url).await;
        assert!(matches!(outcome, Called::Refused { off: false, .. }), "{url}: {outcome:?}");
    }
    assert_eq!(canary.connections(), 0);
}

/// The control: the same canary is heard when loopback is permitted, by the spellings that the system can connect to.
#[tokio::test]
async fn the_canary_sings_when_loopback_is_permitted() {
    let canary = Receiver::start(Reply::status(OK)).await;
    let port = canary.address.port();
    let courier = webhook(poster(Guard { loopback: true, ..Guard::default() }, Arc::new(SystemResolver::default())));
    let hosts = ["127.0.0.1", "127.1", "0x7f.1", "127。0。0。1", "[::ffff:7f00:1]", "localhost"];
    for host in hosts {
        assert_eq!(called(&courier, &format!("http://{host}:{port}/")).await, Called::Delivered, "{host}");
    }
    assert_eq!(canary.received().len(), hosts.len());
}

#[tokio::test]
async fn a_network_that_the_allow_list_names_is_called() {
    let canary = Receiver::start(Reply::status(OK)).await;
    let guard = Guard { allow: vec!["127.0.0.1".parse().unwrap()], loopback: false };
    let courier = webhook(poster(guard, Answers::to("hook.example", &[&["127.0.0.2", "127.0.0.1"]])));
    let url = format!("http://hook.example:{}/", canary.address.port());
    assert_eq!(called(&courier, &url).await, Called::Delivered);
    assert_eq!(canary.received()[0].headers["host"], format!("hook.example:{}", canary.address.port()));
}

#[tokio::test]
async fn a_name_is_looked_up_once_and_only_what_was_judged_is_connected_to() {
    let canary = Receiver::start(Reply::status(OK)).await;
    let port = canary.address.port();
    // What a second look-up would find is loopback; what the first one finds takes no connection.
    let allowed = "127.0.0.2";
    let names = Answers::to("rebound.example", &[&[allowed], &["127.0.0.1"]]);
    let guard = || Guard { allow: vec![allowed.parse().unwrap()], loopback: false };
    let courier = webhook(poster(guard(), Arc::clone(&names) as _));
    let url = format!("http://rebound.example:{port}/");
    let outcome = called(&courier, &url).await;
    assert!(matches!(outcome, Called::Later { .. }), "{outcome:?}");
    assert_eq!(names.asked(), 1);
    let outcome = called(&courier, &url).await;
    assert!(
        matches!(&outcome, Called::Refused { cause, .. } if cause.contains("127.0.0.1 is a loopback")),
        "{outcome:?}"
    );
    assert_eq!((names.asked(), canary.connections()), (2, 0));
}

/// The control: a client that checks a name and then lets the connection look it up again is caught by this canary.
#[tokio::test]
async fn a_check_before_a_second_look_up_would_be_deceived() {
    let canary = Receiver::start(Reply::status(OK)).await;
    let names = Answers::to("rebound.example", &[&["8.8.8.8"], &["127.0.0.1"]]);
    let port = canary.address.port();
    let checked = names.resolve("rebound.example").await.unwrap()[0];
    assert_eq!(Guard::default().permits((checked, 443).into()), Ok(()));
    let connected = names.resolve("rebound.example").await.unwrap()[0];
    TcpStream::connect((connected, port)).await.unwrap().write_all(b"POST / HTTP/1.1\r\n\r\n").await.unwrap();
    while canary.received().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn of_several_addresses_only_those_that_are_permitted_are_called() {
    let canary = Receiver::start(Reply::status(OK)).await;
    let all = ["10.0.0.1", "127.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "0.0.0.0"];
    for answers in [&all[..], &all[1..2], &all[2..3]] {
        let courier = webhook(poster(Guard::default(), Answers::to("mixed.example", &[answers])));
        let outcome = called(&courier, &format!("http://mixed.example:{}/", canary.address.port())).await;
        assert!(matches!(outcome, Called::Refused { off: false, .. }), "{answers:?}: {outcome:?}");
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn a_name_without_an_address_and_a_port_where_nobody_listens_are_tried_again() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let courier = webhook(poster(Guard { loopback: true, ..Guard::default() }, Answers::to("empty.example", &[&[]])));
    for url in ["http://empty.example/", "http://unknown.example/", &format!("http://{free}/")] {
        let outcome = called(&courier, url).await;
        let Called::Later { cause, retry_after: None } = outcome else { panic!("{url}: {outcome:?}") };
        assert!(!cause.contains("http://"), "{cause}");
    }
}

#[tokio::test]
async fn of_many_addresses_the_first_eight_are_tried() {
    let canary = Receiver::start(Reply::status(OK)).await;
    let url = format!("http://many.example:{}/", canary.address.port());
    let silent: Vec<String> = (2..20).map(|last| format!("127.0.0.{last}")).collect();
    for (place, reached) in [(MAX_ADDRESSES, true), (MAX_ADDRESSES + 1, false)] {
        let mut addresses: Vec<&str> = silent.iter().map(String::as_str).collect();
        addresses.insert(place - 1, "127.0.0.1");
        // What is not permitted takes nobody's place.
        addresses.insert(0, "10.0.0.1");
        let guard = Guard { loopback: true, ..Guard::default() };
        let courier = webhook(poster(guard, Answers::to("many.example", &[&addresses])));
        assert_eq!(called(&courier, &url).await == Called::Delivered, reached, "{place}");
    }
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_leads_nowhere() {
    let canary = Receiver::start(Reply::status(OK)).await;
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let location = canary.url("/secret");
        let reply = format!("HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let redirecting = Receiver::start(Reply::bytes(&reply)).await;
        let outcome = called(&webhook(at_home()), &redirecting.url("/")).await;
        assert!(matches!(&outcome, Called::Later { cause, .. } if cause.contains("not followed")), "{outcome:?}");
        assert_eq!(redirecting.received().len(), 1);
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn over_tls_only_the_server_that_proves_its_name_hears_anything() {
    let made = rcgen::generate_simple_self_signed(["hook.example".to_owned()]).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![made.cert.der().clone()],
            PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into(),
        )
        .unwrap();
    let (acceptor, notes) = (TlsAcceptor::from(Arc::new(config)), Arc::new(Mutex::default()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let noted = Arc::clone(&notes);
    let serving = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, Arc::clone(&noted), Reply::status(OK)).await;
            }
        }
    });
    let names = || {
        let mut names = Answers::default();
        for name in ["hook.example", "other.example"] {
            names.names.insert(name.to_owned(), vec![vec!["127.0.0.1".parse().unwrap()]]);
        }
        Arc::new(names)
    };
    let mut poster = poster(Guard { loopback: true, ..Guard::default() }, names());
    poster.trust = Some(Trust::only([made.cert.der().to_vec()]).unwrap());
    let courier = webhook(poster);
    assert_eq!(called(&courier, &format!("https://hook.example:{port}/")).await, Called::Delivered);
    for url in [format!("https://other.example:{port}/"), format!("https://127.0.0.1:{port}/")] {
        let outcome = called(&courier, &url).await;
        assert!(
            matches!(&outcome, Called::Later { cause, .. } if cause == "no TLS: the certificate is for another name"),
            "{outcome:?}"
        );
    }
    assert_eq!(notes.lock().unwrap().len(), 1);
    serving.abort();
}
