//! What can't work is said before anything is touched: pure, and every fault at once.

use std::net::SocketAddr;

use super::stages::Stages;
use super::{Config, Fault, brokers, cql};

/// Twice this, and some KiB, is the log's largest record: a dead letter may have to hold a whole one.
pub const LARGEST_MESSAGE_BYTES: u64 = 30 << 20;
const SMALLEST_MESSAGE_BYTES: u64 = 64 << 10;
const SMALLEST_SEGMENT_BYTES: u64 = 64 << 10;
const MOST_PARTITIONS: u32 = 256;
/// A topic's name has 249 letters at most.
const LONGEST_PREFIX: usize = 200;
/// Under the limit that the engine sets to any call.
const MOST_ANSWER_SECONDS: u64 = 50;
const MOST_SECONDS: u32 = 24 * 60 * 60;

/// Everything that is wrong, each with its key.
pub fn validate(config: &Config) -> Vec<Fault> {
    let mut check = Check { faults: Vec::new() };
    check_top(config, &mut check);
    check_log_and_store(config, &mut check);
    check_smtp(config, &mut check);
    check.address("http.listen", &config.http.listen);
    check_forward(config, &mut check);
    check_registry(config, &mut check);
    check.range("upkeep.every_seconds", config.upkeep.every_seconds.into(), 1, MOST_SECONDS.into());
    check.range("processors.batch_records", config.processors.batch_records as u64, 1, 100_000);
    check.range("processors.batch_bytes", config.processors.batch_bytes as u64, 1, 1 << 30);
    check.range("processors.workers", config.processors.workers as u64, 0, 1024);
    check.address("telemetry.listen", &config.telemetry.listen);
    let format = &config.telemetry.format;
    if !["auto", "human", "json"].contains(&format.as_str()) {
        check.fault("telemetry.format", format!("it must be auto, human or json, not {format:?}"));
    }
    if let Err(error) = config.telemetry.log.parse::<tracing_subscriber::EnvFilter>() {
        check.fault("telemetry.log", format!("{:?} is no filter: {error}", config.telemetry.log));
    }
    check.faults
}

struct Check {
    faults: Vec<Fault>,
}

impl Check {
    fn fault(&mut self, key: &str, cause: impl Into<String>) {
        self.faults.push(Fault { key: key.to_owned(), source: None, cause: cause.into() });
    }

    fn range(&mut self, key: &str, value: u64, least: u64, most: u64) {
        if !(least..=most).contains(&value) {
            self.fault(key, format!("it must be from {least} to {most}, not {value}"));
        }
    }

    fn address(&mut self, key: &str, text: &str) {
        if address(text).is_none() {
            self.fault(key, format!("{text:?} is not an address with a port, such as 127.0.0.1:1025 or [::1]:1025"));
        }
    }
}

/// An address to listen on. Names are not looked up, but for `localhost`, which stands for one address everywhere.
pub fn address(text: &str) -> Option<SocketAddr> {
    if let Some(port) = text.strip_prefix("localhost:") {
        return format!("127.0.0.1:{port}").parse().ok();
    }
    text.parse().ok()
}

fn check_top(config: &Config, check: &mut Check) {
    let top = &config.top;
    if top.data_dir.trim().is_empty() {
        check.fault("data_dir", "it names no folder");
    }
    check.range("shutdown_seconds", top.shutdown_seconds.into(), 0, MOST_SECONDS.into());
    match Stages::parse(&top.stages) {
        Ok(stages) => stages.faults(is_kafka(config)).into_iter().for_each(|cause| check.fault("stages", cause)),
        Err(cause) => check.fault("stages", cause),
    }
}

fn check_log_and_store(config: &Config, check: &mut Check) {
    if let Some(cause) = cql::kind_fault(&config.store.kind) {
        check.fault("store.kind", cause);
    }
    if cql::is_cql(config) {
        check_cql(config, check);
    }
    let log = &config.log;
    if is_kafka(config) {
        check_kafka(config, check);
    } else if log.kind != "embedded" {
        check.fault("log.kind", format!("it must be embedded or kafka://host:port,host:port, not {:?}", log.kind));
    }
    if let Some(partitions) = log.partitions {
        check.range("log.partitions", partitions.into(), 1, MOST_PARTITIONS.into());
    }
    check.range("log.segment_bytes", log.segment_bytes, SMALLEST_SEGMENT_BYTES, 1 << 30);
    check.range("log.segment_hours", log.segment_hours.into(), 1, 24 * 365);
    check.range("log.queue_bytes", log.queue_bytes as u64, config.smtp.message_bytes, 1 << 30);
    check.range("log.journal_bytes", log.journal_bytes, 64 << 20, 64 << 30);
    if log.retention_days == Some(0) {
        check.fault("log.retention_days", "it must be 1 or more; leave it out to keep mail as long as the store does");
    }
    if config.store.retention_days == Some(0) {
        check.fault("store.retention_days", "it must be 1 or more; leave it out to keep mail");
    }
}

/// Whether brokers are named, rightly or not.
fn is_kafka(config: &Config) -> bool {
    config.log.kind.starts_with(brokers::SCHEME)
}

fn check_kafka(config: &Config, check: &mut Check) {
    if !cfg!(feature = "kafka") {
        check.fault("log.kind", "this build has no Kafka: it was made without the feature `kafka`");
    }
    if let Err(cause) = brokers::parse(&config.log.kind) {
        check.fault("log.kind", cause);
    }
    if config.log.retention_bytes.is_some() {
        let cause = "the log on Kafka goes by age: set retention.bytes of the topic at the cluster instead";
        check.fault("log.retention_bytes", cause);
    }
    let kafka = &config.kafka;
    let is_of_a_name = |letter: u8| letter.is_ascii_alphanumeric() || b"._-".contains(&letter);
    if kafka.prefix.len() > LONGEST_PREFIX || !kafka.prefix.bytes().all(is_of_a_name) {
        let cause = format!("it must be letters, digits, dots, dashes and underscores, {LONGEST_PREFIX} at most");
        check.fault("kafka.prefix", cause);
    }
    if let Some(replication) = kafka.replication {
        check.range("kafka.replication", replication.into(), 1, 1000);
    }
    let answered_by = u64::from(config.smtp.append_wait_seconds).saturating_sub(1);
    check.range("kafka.message_timeout_seconds", kafka.message_timeout_seconds.into(), 1, answered_by.max(1));
    check.range("kafka.start_wait_seconds", kafka.start_wait_seconds.into(), 0, MOST_SECONDS.into());
    for (name, cause) in kafka.client.faults() {
        check.fault("kafka.client", format!("{name}: {cause}"));
    }
}

fn check_cql(config: &Config, check: &mut Check) {
    let section = &config.cql;
    if let Some(replication) = section.replication.as_deref().filter(|text| !cql::is_replication(text)) {
        let cause = format!("it must be a number, or data centres as in dc1:3,dc2:2, not {replication:?}");
        check.fault("cql.replication", cause);
    }
    if section.password_file.is_some() && section.user.is_none() {
        check.fault("cql.user", "a password is given, and no name to log in with");
    }
    check.range("cql.request_seconds", section.request_seconds.into(), 1, 60);
    check.range("cql.in_flight", section.in_flight as u64, 1, 10_000);
    check.range("cql.start_wait_seconds", section.start_wait_seconds.into(), 0, MOST_SECONDS.into());
}

fn check_forward(config: &Config, check: &mut Check) {
    let forward = &config.forward;
    for network in &forward.allow {
        if let Err(cause) = network.parse::<sinks::guard::Network>() {
            check.fault("forward.allow", cause);
        }
    }
    check.range("forward.answer_seconds", forward.answer_seconds.into(), 1, MOST_ANSWER_SECONDS);
    check.range("forward.calls", forward.calls as u64, 1, 10_000);
    check.range("forward.calls_per_target", forward.calls_per_target as u64, 1, 10_000);
    if forward.public_url.as_ref().is_some_and(|url| !is_url(url)) {
        check.fault("forward.public_url", "it must begin with http:// or https:// and name a host");
    }
}

fn is_url(url: &str) -> bool {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && !host.starts_with('/') && !host.chars().any(char::is_whitespace))
}

fn check_registry(config: &Config, check: &mut Check) {
    let Some(url) = &config.schema_registry.url else { return };
    if !is_url(url) {
        check.fault("schema_registry.url", "it must begin with http:// or https:// and name a host");
    } else if url.contains('@') || url.contains('?') {
        let cause = "it takes no credentials and no query: give user:password by schema_registry.credentials_file";
        check.fault("schema_registry.url", cause);
    }
}

fn check_smtp(config: &Config, check: &mut Check) {
    let smtp = &config.smtp;
    check.address("smtp.listen", &smtp.listen);
    let name = &smtp.server_name;
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-[]:".contains(&byte)) {
        check.fault("smtp.server_name", format!("{name:?} is not the name of a server"));
    }
    for domain in &smtp.domains {
        if let Err(error) = accounts::normalise_domain(domain) {
            check.fault("smtp.domains", format!("{domain:?} is not a domain: {error}"));
        }
    }
    check.range("smtp.message_bytes", smtp.message_bytes, SMALLEST_MESSAGE_BYTES, LARGEST_MESSAGE_BYTES);
    check.range("smtp.recipients", smtp.recipients as u64, 100, 100_000);
    check.range("smtp.connections", smtp.connections as u64, 1, 1_000_000);
    check.range("smtp.connections_per_address", smtp.connections_per_address as u64, 1, 1_000_000);
    check.range("smtp.connections_per_network", smtp.connections_per_network as u64, 1, 1_000_000);
    check.range("smtp.buffered_bytes", smtp.buffered_bytes as u64, smtp.message_bytes, 1 << 40);
    for (key, seconds) in [
        ("smtp.command_wait_seconds", smtp.command_wait_seconds),
        ("smtp.content_wait_seconds", smtp.content_wait_seconds),
        ("smtp.session_seconds", smtp.session_seconds),
        ("smtp.append_wait_seconds", smtp.append_wait_seconds),
    ] {
        check.range(key, seconds.into(), 1, MOST_SECONDS.into());
    }
    if config.http.listen == smtp.listen && !smtp.listen.ends_with(":0") {
        check.fault("http.listen", format!("SMTP listens on {} already", smtp.listen));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(config: &Config) -> Vec<String> {
        validate(config).into_iter().map(|fault| fault.key).collect()
    }

    #[test]
    fn the_defaults_have_no_fault() {
        assert_eq!(validate(&Config::default()), []);
    }

    #[test]
    fn every_fault_is_named_with_its_key() {
        let mut config = Config::default();
        config.top.stages = vec!["ingest".to_owned(), "apis".to_owned()];
        config.log.kind = "kafka:".to_owned();
        config.log.partitions = Some(0);
        config.store.kind = "cql".to_owned();
        config.smtp.listen = "1025".to_owned();
        config.smtp.domains = vec!["exa mple".to_owned()];
        config.http.listen = "nowhere".to_owned();
        config.telemetry.format = "xml".to_owned();
        assert_eq!(
            keys(&config),
            [
                "stages",
                "store.kind",
                "log.kind",
                "log.partitions",
                "smtp.listen",
                "smtp.domains",
                "http.listen",
                "telemetry.format"
            ]
        );
    }

    #[test]
    fn a_network_that_is_none_and_a_public_url_that_is_none_are_faults() {
        let mut config = Config::default();
        config.forward.allow = vec!["10.0.0.0/8".to_owned(), "fd00::/8".to_owned(), "127.0.0.1".to_owned()];
        config.forward.public_url = Some("https://mail.example.com".to_owned());
        assert_eq!(validate(&config), []);
        config.forward.allow.push("10.0.0.1/8".to_owned());
        config.forward.public_url = Some("mail.example.com".to_owned());
        assert_eq!(keys(&config), ["forward.allow", "forward.public_url"]);
    }

    #[test]
    fn the_largest_message_may_be_30_mib_and_not_a_byte_more() {
        let with = |message_bytes| {
            let mut config = Config::default();
            config.smtp.message_bytes = message_bytes;
            keys(&config)
        };
        assert!(with(LARGEST_MESSAGE_BYTES).is_empty());
        assert_eq!(with(LARGEST_MESSAGE_BYTES + 1), ["smtp.message_bytes"]);
    }

    #[test]
    #[cfg(feature = "kafka")]
    fn what_can_not_work_on_a_kafka_is_named_and_every_subset_of_stages_can() {
        let mut config = Config::default();
        config.log.kind = "kafka://one:9092,[::1]:9093".to_owned();
        config.top.stages = vec!["ingest".to_owned(), "api".to_owned()];
        assert_eq!(validate(&config), []);
        config.log.kind = "kafka://one:9092,two".to_owned();
        config.log.retention_bytes = Some(1);
        config.kafka.prefix = "a/b".to_owned();
        config.kafka.message_timeout_seconds = config.smtp.append_wait_seconds;
        assert_eq!(keys(&config), ["log.kind", "log.retention_bytes", "kafka.prefix", "kafka.message_timeout_seconds"]);
    }

    #[test]
    fn both_doors_on_one_address_can_not_work() {
        let mut config = Config::default();
        config.http.listen = config.smtp.listen.clone();
        assert_eq!(keys(&config), ["http.listen"]);
    }

    #[test]
    fn localhost_is_an_address_and_other_names_are_not() {
        assert_eq!(address("localhost:25"), address("127.0.0.1:25"));
        assert!(address("[::1]:0").is_some());
        assert!(address("mail.example.com:25").is_none());
    }
}
