//! What a store on CQL is opened with.

use std::fmt;
use std::time::Duration;

use crate::{Result, StoreError};

/// Names of keyspaces are not longer on either server.
const KEYSPACE_LENGTH: usize = 48;

#[derive(Clone)]
pub struct CqlSettings {
    /// `host:port`; one is enough to find the others.
    pub nodes: Vec<String>,
    pub keyspace: String,
    /// How a keyspace that is made here is replicated: `3` in every data centre, or `dc1:3,dc2:2`.
    pub replication: String,
    pub login: Option<(String, String)>,
    /// Certificates in PEM: one of them has signed each server's own, which names the address that it is reached at.
    /// With them every connection is encrypted, without them none.
    pub ca_pem: Option<Vec<u8>>,
    /// The data centre whose nodes are asked, and no others. All processes of an installation name the same.
    pub datacenter: Option<String>,
    /// Whether steps that the tables lack are taken at the start.
    pub migrate: bool,
    /// How long one try of a statement may take.
    pub request_limit: Duration,
    /// Statements under way at once; further ones wait.
    pub in_flight: usize,
    /// Rows that a partition of a list takes before a narrower one is begun.
    pub bucket_rows: i64,
    /// Tables that a rebuild fills are given up when nothing has been heard of it for so long.
    pub abandoned_after: Duration,
}

impl CqlSettings {
    pub fn new(nodes: Vec<String>, keyspace: impl Into<String>) -> Self {
        Self {
            nodes,
            keyspace: keyspace.into(),
            replication: "1".to_owned(),
            login: None,
            ca_pem: None,
            datacenter: None,
            migrate: true,
            request_limit: Duration::from_secs(5),
            in_flight: 128,
            bucket_rows: 10_000,
            abandoned_after: Duration::from_secs(60),
        }
    }

    /// `host:port,host:port/keyspace`, as it stands behind `cql://`.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || StoreError::Damaged(format!("{text:?} is not host:port,host:port/keyspace"));
        let (hosts, keyspace) = text.split_once('/').ok_or_else(wrong)?;
        let nodes: Vec<String> = hosts.split(',').map(str::to_owned).collect();
        let is_node = |node: &String| {
            node.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        if !nodes.iter().all(is_node) || !is_name(keyspace) {
            return Err(wrong());
        }
        Ok(Self::new(nodes, keyspace))
    }

    /// Names can't be given as values of statements, so they are checked.
    pub(super) fn check(&self) -> Result<()> {
        if !is_name(&self.keyspace) {
            let cause = format!("{:?} is no name of a keyspace: a letter, then letters, digits and _", self.keyspace);
            return Err(StoreError::Damaged(cause));
        }
        self.replication_text().map(drop)
    }

    pub(super) fn replication_text(&self) -> Result<String> {
        let wrong = || {
            let cause =
                format!("{:?} says no replication: a number, or data centres as in dc1:3,dc2:2", self.replication);
            StoreError::Damaged(cause)
        };
        let number = |text: &str| text.parse::<u8>().ok().filter(|number| *number > 0);
        let mut parts = vec!["'class': 'NetworkTopologyStrategy'".to_owned()];
        match number(&self.replication) {
            Some(number) => parts.push(format!("'replication_factor': {number}")),
            None => {
                for part in self.replication.split(',') {
                    let (centre, factor) = part.split_once(':').ok_or_else(wrong)?;
                    let factor = number(factor).ok_or_else(wrong)?;
                    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
                    if centre.is_empty() || !centre.bytes().all(is_known) {
                        return Err(wrong());
                    }
                    parts.push(format!("'{centre}': {factor}"));
                }
            }
        }
        Ok(format!("{{{}}}", parts.join(", ")))
    }
}

/// Without the password.
impl fmt::Debug for CqlSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.login.as_ref().map(|(user, _)| user);
        write!(
            f,
            "CqlSettings({:?} keyspace {} replication {} user {user:?})",
            self.nodes, self.keyspace, self.replication
        )
    }
}

fn is_name(text: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.len() <= KEYSPACE_LENGTH
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(is_known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_nodes_and_a_keyspace() {
        let settings = CqlSettings::parse("one:9042,[::1]:9043/mail_1").unwrap();
        assert_eq!((settings.nodes.len(), &*settings.keyspace), (2, "mail_1"));
        for text in
            ["one:9042", "one/mail", "one:9042/", "one:9042/Mail", "one:9042/1mail", ":1/mail", "one:x/m", ",/m"]
        {
            assert!(CqlSettings::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn replication_is_a_number_or_data_centres() {
        let mut settings = CqlSettings::new(Vec::new(), "mail");
        for (text, expected) in [
            ("3", Some("{'class': 'NetworkTopologyStrategy', 'replication_factor': 3}")),
            ("dc1:3,dc-2:1", Some("{'class': 'NetworkTopologyStrategy', 'dc1': 3, 'dc-2': 1}")),
            ("0", None),
            ("", None),
            ("dc1", None),
            ("d'c:1", None),
        ] {
            settings.replication = text.to_owned();
            assert_eq!(settings.replication_text().ok().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let settings = CqlSettings {
            login: Some(("ann".to_owned(), "secret".to_owned())),
            ..CqlSettings::new(Vec::new(), "mail")
        };
        assert!(!format!("{settings:?}").contains("secret"));
    }
}
