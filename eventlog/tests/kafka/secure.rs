//! TLS and SASL are librdkafka's, by its own settings: a broker that takes nobody without them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eventlog::kafka::{KafkaLog, KafkaSettings};
use eventlog::{Log, LogError};
use rcgen::{CertificateParams, KeyPair};
use schemas::{NewRecord, Topic};

use super::bench::settings;
use super::broker::Broker;
use super::nodes;

const USER: &str = "postlog";
const PASSWORD: &str = "a-password-of-the-test";
const CERTIFICATE: &str = "certificate.pem";

/// A listener with TLS and SASL on the second port behind the broker's, under a certificate of its own.
fn secured(folder: &Path, port: u16) -> String {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.subject_alt_names.push(rcgen::SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()));
    let certificate = pem("CERTIFICATE", params.self_signed(&key).unwrap().der());
    let keystore = folder.join("keystore.pem");
    std::fs::write(&keystore, format!("{}{certificate}", pem("PRIVATE KEY", &key.serialize_der()))).unwrap();
    std::fs::write(folder.join(CERTIFICATE), certificate).unwrap();
    let (control, secure) = (port + 1, port + 2);
    let listeners = format!("PLAINTEXT://127.0.0.1:{port},SASL_SSL://127.0.0.1:{secure}");
    let login = "org.apache.kafka.common.security.plain.PlainLoginModule";
    let settings = [
        format!("listeners={listeners},CONTROLLER://127.0.0.1:{control}"),
        format!("advertised.listeners={listeners}"),
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT".to_owned(),
        "sasl.enabled.mechanisms=PLAIN".to_owned(),
        format!("listener.name.sasl_ssl.plain.sasl.jaas.config={login} required user_{USER}=\"{PASSWORD}\";"),
        "ssl.keystore.type=PEM".to_owned(),
        format!("ssl.keystore.location={}", keystore.display()),
    ];
    settings.join("\n") + "\n"
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn client(broker: &Broker, password: &str, certificate: Option<&Path>) -> KafkaSettings {
    let mut client = BTreeMap::from([
        ("security.protocol".to_owned(), "SASL_SSL".to_owned()),
        ("sasl.mechanism".to_owned(), "PLAIN".to_owned()),
        ("sasl.username".to_owned(), USER.to_owned()),
        ("sasl.password".to_owned(), password.to_owned()),
    ]);
    if let Some(path) = certificate {
        client.insert("ssl.ca.location".to_owned(), path.display().to_string());
    }
    let start_timeout = Duration::from_secs(10);
    KafkaSettings { client, start_timeout, ..settings(format!("127.0.0.1:{}", broker.port + 2), 1) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_behind_tls_and_a_password_is_read_and_written_by_whoever_has_both() {
    let broker = Broker::start_with(secured).await;
    let certificate = broker.folder().join(CERTIFICATE);
    let log = KafkaLog::open(client(&broker, PASSWORD, Some(&certificate))).await.unwrap();
    log.append(vec![NewRecord::new(Topic::MailRaw, "key", "mail").in_partition(0)]).await.unwrap();
    // Members, transactions and tails go the same way.
    let mut member = log.join("g", &[Topic::MailRaw]).await.unwrap();
    let polled = nodes::poll(member.as_mut(), 1).await;
    let fact = NewRecord::new(nodes::FACTS, "key", "fact").in_partition(0);
    member.commit(vec![fact], &[polled[0].position.next()]).await.unwrap();
    nodes::until_seen_in(&log, nodes::FACTS, 1, 1).await;

    for (password, certificate) in [("another", Some(certificate.as_path())), (PASSWORD, None)] {
        let refused = KafkaLog::open(client(&broker, password, certificate)).await.err();
        assert!(matches!(refused, Some(LogError::Unavailable(_))), "{refused:?}");
    }
}

#[test]
fn the_client_library_has_what_clusters_ask_for() {
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] {
        assert_eq!(eventlog::kafka::client_fault("sasl.mechanism", Some(mechanism)), None);
    }
    assert_eq!(eventlog::kafka::client_fault("ssl.ca.location", Some("/etc/ssl/certs")), None);
}
