//! Connections that are encrypted, and servers that are asked because of where they stand.

use std::path::Path;
use std::process::Command;

use mailstore::cql::{CqlSettings, CqlStore};
use mailstore::{Store, StoreError};

use crate::server::{Server, keyspace, settings};

/// Of the folder's key store and its certificate; the script looks for the first.
const KEY_STORE: &str = "keystore.p12";
const CERTIFICATE: &str = "certificate.pem";

fn keytool(folder: &Path, arguments: &[&str]) {
    let store = ["-alias", "node", "-keystore", KEY_STORE, "-storetype", "PKCS12", "-storepass", "cassandra"];
    let output = Command::new("keytool").args(arguments).args(store).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// For a server at this address.
fn make_certificate(folder: &Path, address: &str) {
    let named = format!("san=ip:{address}");
    let about = ["-dname", "CN=cassandra.example", "-ext", &named, "-validity", "2"];
    keytool(folder, &[&["-genkeypair", "-keyalg", "RSA"], &about[..]].concat());
    keytool(folder, &["-exportcert", "-rfc", "-file", CERTIFICATE]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_server_whose_certificate_is_known_is_spoken_to_when_it_has_to_be() {
    let server = Server::start_with(|folder| make_certificate(folder, "127.0.0.1")).await;
    let known = std::fs::read(server.folder().join(CERTIFICATE)).unwrap();
    let strangers = tempfile::tempdir().unwrap();
    make_certificate(strangers.path(), "127.0.0.1");
    let strange = std::fs::read(strangers.path().join(CERTIFICATE)).unwrap();
    let with = |ca_pem| CqlSettings { ca_pem, ..CqlSettings::new(vec![server.address.clone()], "mail") };
    for refused in [None, Some(strange)] {
        let opened = CqlStore::open(&with(refused), "log").await.err();
        assert!(matches!(opened, Some(StoreError::Unavailable(_))), "{opened:?}");
    }
    let store = CqlStore::open(&with(Some(known)), "log").await.unwrap();
    assert_eq!(store.positions().await.unwrap(), []);
    let unreadable = CqlStore::open(&with(Some(b"-----BEGIN CERTIFICATE-----".to_vec())), "log").await.err();
    assert!(matches!(unreadable, Some(StoreError::Damaged(_))), "{unreadable:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_nodes_of_the_data_centre_that_is_named_are_asked() {
    let of = async |datacenter: &str| {
        let datacenter = Some(datacenter.to_owned());
        CqlStore::open(&CqlSettings { datacenter, ..settings(&keyspace()).await }, "log").await.err()
    };
    assert!(of("datacenter1").await.is_none());
    let elsewhere = of("elsewhere").await;
    assert!(matches!(elsewhere, Some(StoreError::Unavailable(_))), "{elsewhere:?}");
}
