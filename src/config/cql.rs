//! The servers and the keyspace of a store on CQL as `store.kind` names them: `cql://host:port,host:port/keyspace`.

use super::brokers::is_broker;
use super::{Config, Fault, StoreSettings};

pub const SCHEME: &str = "cql:";
/// The password in the environment, so that it need not stand in a file.
pub const PASSWORD: &str = "POSTLOG_CQL_PASSWORD";
const EMBEDDED: &str = "embedded";
const FORM: &str = "cql://host:port,host:port/keyspace";
/// Of a keyspace's name, on either server.
const LONGEST_NAME: usize = 48;

/// Whether servers are named, rightly or not.
pub fn is_cql(config: &Config) -> bool {
    config.store.kind.starts_with(SCHEME)
}

/// What is wrong with the kind of store.
pub fn kind_fault(kind: &str) -> Option<String> {
    if kind == EMBEDDED {
        return None;
    }
    if !kind.starts_with(SCHEME) {
        return Some(format!("it must be embedded or {FORM}, not {kind:?}"));
    }
    if !cfg!(feature = "cql") {
        return Some("this build has no CQL: it was made without the feature `cql`".to_owned());
    }
    parse(kind).err()
}

/// The servers and the keyspace.
fn parse(text: &str) -> Result<(Vec<String>, String), String> {
    let fault = || format!("it must be {FORM}, not {text:?}");
    let list = text.strip_prefix(SCHEME).and_then(|rest| rest.strip_prefix("//")).ok_or_else(fault)?;
    let (hosts, keyspace) = list.split_once('/').ok_or_else(|| format!("it names no keyspace; {}", fault()))?;
    let nodes: Vec<String> = hosts.split(',').map(|node| node.trim().to_owned()).collect();
    if let Some(node) = nodes.iter().find(|node| !is_broker(node)) {
        return Err(format!("{node:?} is no host:port; {}", fault()));
    }
    let is_of_a_name = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_';
    let begins_well = keyspace.starts_with(|first: char| first.is_ascii_lowercase());
    if !begins_well || keyspace.len() > LONGEST_NAME || !keyspace.bytes().all(is_of_a_name) {
        return Err(format!(
            "{keyspace:?} is no name of a keyspace: a small letter, then small letters, digits and _, {LONGEST_NAME} at most"
        ));
    }
    Ok((nodes, keyspace.to_owned()))
}

/// A number of copies, or data centres with theirs.
pub fn is_replication(text: &str) -> bool {
    let is_number = |text: &str| text.parse::<u8>().is_ok_and(|number| number > 0);
    let is_centre = |part: &str| {
        let Some((centre, copies)) = part.split_once(':') else { return false };
        let is_of_a_name = |letter: u8| letter.is_ascii_alphanumeric() || b"._-".contains(&letter);
        !centre.is_empty() && centre.bytes().all(is_of_a_name) && is_number(copies)
    };
    is_number(text) || text.split(',').all(is_centre)
}

#[cfg(feature = "cql")]
pub fn build(config: &Config) -> Result<StoreSettings, Fault> {
    use std::time::Duration;

    if !is_cql(config) {
        return Ok(StoreSettings::Embedded);
    }
    let fault = |key: &str, cause| Fault { key: key.to_owned(), source: None, cause };
    let (nodes, keyspace) = parse(&config.store.kind).map_err(|cause| fault("store.kind", cause))?;
    let section = &config.cql;
    let replication = section.replication.clone().unwrap_or_else(|| nodes.len().clamp(1, 3).to_string());
    let settings = mailstore::cql::CqlSettings {
        replication,
        login: login(config)?,
        ca_pem: certificates(config)?,
        datacenter: section.datacenter.clone(),
        migrate: section.migrate,
        request_limit: Duration::from_secs(section.request_seconds.into()),
        in_flight: section.in_flight,
        ..mailstore::cql::CqlSettings::new(nodes, keyspace)
    };
    let settings = Box::new(settings);
    Ok(StoreSettings::Cql { settings, start_wait: Duration::from_secs(section.start_wait_seconds.into()) })
}

#[cfg(not(feature = "cql"))]
pub fn build(_: &Config) -> Result<StoreSettings, Fault> {
    Ok(StoreSettings::Embedded)
}

#[cfg(feature = "cql")]
fn login(config: &Config) -> Result<Option<(String, String)>, Fault> {
    let fault = |key: &str, cause| Fault { key: key.to_owned(), source: None, cause };
    let Some(user) = config.cql.user.clone() else { return Ok(None) };
    let password = match &config.cql.password_file {
        Some(path) => {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|error| fault("cql.password_file", format!("{path} can't be read: {error}")))?;
            text.lines().next().unwrap_or_default().to_owned()
        }
        None => std::env::var(PASSWORD)
            .map_err(|_| fault("cql.user", format!("neither {PASSWORD} nor cql.password_file gives a password")))?,
    };
    Ok(Some((user, password)))
}

#[cfg(feature = "cql")]
fn certificates(config: &Config) -> Result<Option<Vec<u8>>, Fault> {
    let Some(path) = &config.cql.tls_ca_file else { return Ok(None) };
    let fault = |cause| Fault { key: "cql.tls_ca_file".to_owned(), source: None, cause };
    let pem = std::fs::read(path).map_err(|error| fault(format!("{path} can't be read: {error}")))?;
    if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
        return Err(fault(format!("{path} holds no certificate in PEM")));
    }
    Ok(Some(pem))
}

#[cfg(test)]
#[cfg(feature = "cql")]
mod tests {
    use super::*;

    #[test]
    fn servers_and_a_keyspace_are_taken_as_they_stand() {
        let nodes = vec!["one:9042".to_owned(), "[::1]:9043".to_owned()];
        assert_eq!(parse("cql://one:9042, [::1]:9043/mail_1"), Ok((nodes, "mail_1".to_owned())));
        for text in
            ["cql:", "cql://one:9042", "cql://one/mail", "cql:///mail", "cql://one:9042/", "cql://one:9042/Mail"]
        {
            assert!(kind_fault(text).is_some(), "{text}");
        }
        assert!(kind_fault("scylla://one:9042/mail").is_some());
    }

    #[test]
    fn copies_are_a_number_or_stand_with_data_centres() {
        assert!(["1", "3", "dc1:3", "dc1:3,eu-west.2:1"].into_iter().all(is_replication));
        assert!(!["", "0", "dc1", "dc1:0", "dc1:3,", "d'c:1"].into_iter().any(is_replication));
    }

    #[test]
    fn as_many_copies_are_made_as_servers_are_named_and_three_at_most() {
        for (kind, copies) in [("cql://a:1/m", "1"), ("cql://a:1,b:1/m", "2"), ("cql://a:1,b:1,c:1,d:1/m", "3")] {
            let mut config = Config::default();
            config.store.kind = kind.to_owned();
            let StoreSettings::Cql { settings, .. } = build(&config).unwrap() else { panic!("{kind}") };
            assert_eq!(settings.replication, copies);
        }
    }

    #[test]
    fn a_password_is_read_from_its_file_and_asked_for_where_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "s3cret\n").unwrap();
        let mut config = Config::default();
        config.cql.user = Some("ann".to_owned());
        config.cql.password_file = Some(path.display().to_string());
        assert_eq!(login(&config).unwrap(), Some(("ann".to_owned(), "s3cret".to_owned())));
        config.cql.password_file = None;
        assert!(login(&config).unwrap_err().cause.contains(PASSWORD));
    }

    #[test]
    fn certificates_are_read_and_a_file_without_any_is_a_fault() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let mut config = Config::default();
        assert_eq!(certificates(&config).unwrap(), None);
        config.cql.tls_ca_file = Some(path.display().to_string());
        assert_eq!(certificates(&config).unwrap_err().key, "cql.tls_ca_file");
        std::fs::write(&path, "none").unwrap();
        assert!(certificates(&config).unwrap_err().cause.contains("no certificate"));
        let pem = "-----BEGIN CERTIFICATE-----\n";
        std::fs::write(&path, pem).unwrap();
        assert_eq!(certificates(&config).unwrap(), Some(pem.as_bytes().to_vec()));
    }
}
