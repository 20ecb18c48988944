//! The names in the environment: a variable of ours that stands for nothing is most often a setting that is misspelt.

use std::collections::BTreeMap;

use super::Fault;
use super::key::{Key, PREFIX};
use super::read::unknown;

/// Variables that are no settings: where the file is, which server a command speaks to, and as whom.
const OTHERS: [&str; 5] = ["POSTLOG_CONFIG", "POSTLOG_ADMIN_KEY", "POSTLOG_SEAL_KEY", "POSTLOG_URL", "POSTLOG_KEY"];

/// Every variable that begins as ours do and is none.
pub fn faults(environment: &BTreeMap<String, String>, keys: &[Key]) -> Vec<Fault> {
    let is_known = |name: &str| OTHERS.contains(&name) || keys.iter().any(|key| key.variable() == name);
    let strange = environment.iter().filter(|(name, value)| !is_known(name) && !is_of_a_service(name, value));
    strange.map(|(name, _)| fault(name, keys)).collect()
}

fn fault(name: &str, keys: &[Key]) -> Fault {
    let path = name.trim_start_matches(PREFIX).to_lowercase();
    let spelt = keys.iter().find(|key| key.path.replace('.', "_") == path);
    let cause = match spelt {
        Some(key) => format!("there is no such variable; {} is called {}", key.path, key.variable()),
        // The name in its section is what a misspelling leaves alone most often.
        None => {
            let guess =
                path.split_once('_').map_or_else(|| path.clone(), |(section, rest)| format!("{section}.{rest}"));
            unknown(&guess, "", keys).cause.replace("such key", "such variable")
        }
    };
    Fault { key: name.to_owned(), source: Some("environment".to_owned()), cause }
}

/// Kubernetes gives every container such variables for each service beside it, and a service may well be named so:
/// `POSTLOG_SERVICE_HOST`, `POSTLOG_SMTP_SERVICE_PORT_MAIL`, `POSTLOG_PORT_25_TCP_ADDR`.
fn is_of_a_service(name: &str, value: &str) -> bool {
    let is_url = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let has_port = name.split_once("_PORT_").is_some_and(|(_, rest)| {
        let rest = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
        ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| rest.starts_with(protocol))
    });
    name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT") || (name.ends_with("_PORT") && is_url) || has_port
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn named(pairs: &[(&str, &str)]) -> Vec<String> {
        let environment = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        faults(&environment, &Config::keys()).iter().map(Fault::to_string).collect()
    }

    #[test]
    fn a_variable_that_stands_for_nothing_is_a_fault() {
        let said = named(&[("POSTLOG_SMPT_LISTEN", "x"), ("POSTLOG_SMTP_LISTEN", "x"), ("POSTLOG_LOG_KIND", "x")]);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("POSTLOG_LOG_KIND") && said[0].contains("called POSTLOG_LOG "), "{said:?}");
        assert!(said[1].contains("POSTLOG_SMPT_LISTEN") && said[1].contains("is smtp.listen meant"), "{said:?}");
    }

    #[test]
    fn variables_that_are_no_settings_and_those_of_services_are_none() {
        assert_eq!(named(&OTHERS.map(|name| (name, "x"))), [""; 0]);
        let service = [
            ("POSTLOG_SERVICE_HOST", "10.0.0.1"),
            ("POSTLOG_SMTP_SERVICE_PORT", "25"),
            ("POSTLOG_SMTP_SERVICE_PORT_MAIL", "25"),
            ("POSTLOG_PORT", "tcp://10.0.0.1:25"),
            ("POSTLOG_PORT_25_TCP", "tcp://10.0.0.1:25"),
            ("POSTLOG_PORT_25_TCP_ADDR", "10.0.0.1"),
        ];
        assert_eq!(named(&service), [""; 0]);
        assert_eq!(named(&[("POSTLOG_PORT", "25")]).len(), 1, "somebody's wish");
    }
}
