//! What the rooms take, made of a configuration that has been checked.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use eventlog::embedded::{DatabaseSettings, EmbeddedSettings};
use eventlog::runner::{BatchLimits, RunSettings};
use sinks::forward::Limits;
use sinks::guard::{Guard, Network};

use super::registry::RegistrySettings;
use super::sections::{SmtpSection, TelemetrySection};
use super::stages::Stages;
use super::validate::address;
use super::{Config, Fault, registry};

/// Of a log that is made where no number is set.
const PARTITIONS: u32 = 1;
#[cfg(feature = "kafka")]
const PARTITIONS_ON_KAFKA: u32 = 12;
const EMBEDDED: &str = "embedded";
/// A recipient in a record, at its longest, and everything else there but the content.
#[cfg(feature = "kafka")]
const RECIPIENT_BYTES: usize = 400;
#[cfg(feature = "kafka")]
const ENVELOPE_BYTES: usize = 64 << 10;
/// Facts and dead letters need as much, however small the mail has to be.
#[cfg(feature = "kafka")]
const SMALLEST_RECORD_LIMIT: usize = 4 << 20;

/// Everything that the assembly needs.
#[derive(Clone, Debug)]
pub struct Settings {
    pub data_dir: PathBuf,
    pub stages: Stages,
    pub admin_key_file: Option<PathBuf>,
    pub seal_key_file: Option<PathBuf>,
    pub seal_key_lost: bool,
    pub log: LogSettings,
    pub store: StoreSettings,
    pub database: DatabaseSettings,
    pub processors: RunSettings,
    pub retention: RetentionSettings,
    pub forward: ForwardSettings,
    pub smtp_listen: SocketAddr,
    pub smtp: ingest::Settings,
    pub http_listen: SocketAddr,
    pub hosts: api::http::Hosts,
    pub origins: Vec<String>,
    pub registry: Option<RegistrySettings>,
    /// For a process without HTTP of its own.
    pub probes_listen: SocketAddr,
    pub telemetry: TelemetrySection,
}

/// Which log, and how it is made.
#[derive(Clone, Debug)]
pub enum LogSettings {
    Embedded {
        settings: EmbeddedSettings,
        /// Whether somebody has set `log.partitions`: a folder that was made with another number is refused then, and
        /// counts with its own otherwise.
        partitions_given: bool,
    },
    /// Without the node's id, which stands in the data folder.
    #[cfg(feature = "kafka")]
    Kafka(eventlog::kafka::KafkaSettings),
}

impl LogSettings {
    /// Where it is, if not in the data folder.
    pub fn place(&self) -> Option<String> {
        match self {
            Self::Embedded { .. } => None,
            #[cfg(feature = "kafka")]
            Self::Kafka(kafka) => Some(format!("kafka://{} {}", kafka.brokers, kafka.prefix).trim_end().to_owned()),
        }
    }

    /// Whether several nodes may stand on it.
    pub const fn is_shared(&self) -> bool {
        !matches!(self, Self::Embedded { .. })
    }
}

/// Which store.
#[derive(Clone, Debug)]
pub enum StoreSettings {
    /// In the data folder.
    Embedded,
    #[cfg(feature = "cql")]
    Cql {
        settings: Box<mailstore::cql::CqlSettings>,
        /// How long the start waits for a server.
        start_wait: Duration,
    },
}

impl StoreSettings {
    /// Where it is, if not in the data folder.
    pub fn place(&self) -> Option<String> {
        match self {
            Self::Embedded => None,
            #[cfg(feature = "cql")]
            Self::Cql { settings, .. } => Some(format!("cql://{}/{}", settings.nodes.join(","), settings.keyspace)),
        }
    }

    /// Whether several nodes may read and write the same one.
    pub const fn is_shared(&self) -> bool {
        !matches!(self, Self::Embedded)
    }
}

/// What goes, and how often that is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionSettings {
    pub every: Duration,
    pub store_age: Option<Duration>,
    pub store_bytes: Option<u64>,
    /// `None`: as long as the store.
    pub log_age: Option<Duration>,
    pub log_bytes: Option<u64>,
}

/// Whom forwards may call, and how.
#[derive(Clone, Debug)]
pub struct ForwardSettings {
    /// Whether this process calls anybody: a command that started a server for itself does not.
    pub calls: bool,
    pub guard: Guard,
    pub answer_wait: Duration,
    pub engine: sinks::forward::Settings,
    pub public_url: Option<String>,
}

/// Only what the check can't see is an error here.
pub fn build(config: &Config) -> Result<Settings, Vec<Fault>> {
    let fault = |key: &str, cause: String| vec![Fault { key: key.to_owned(), source: None, cause }];
    let stages = Stages::parse(&config.top.stages).map_err(|cause| fault("stages", cause))?;
    let listen = |key: &str, text: &str| address(text).ok_or_else(|| fault(key, format!("{text:?} is no address")));
    let shutdown_wait = seconds(config.top.shutdown_seconds);
    let http_listen = listen("http.listen", &config.http.listen)?;
    Ok(Settings {
        data_dir: PathBuf::from(&config.top.data_dir),
        stages,
        admin_key_file: config.top.admin_key_file.as_ref().map(PathBuf::from),
        seal_key_file: config.top.seal_key_file.as_ref().map(PathBuf::from),
        seal_key_lost: config.top.seal_key_lost,
        log: log(config)?,
        store: super::cql::build(config).map_err(|fault| vec![fault])?,
        database: DatabaseSettings {
            cache_bytes: config.log.cache_bytes,
            journal_bytes: config.log.journal_bytes,
            ..DatabaseSettings::default()
        },
        processors: processors(config),
        retention: RetentionSettings {
            every: seconds(config.upkeep.every_seconds),
            store_age: days(config.store.retention_days),
            store_bytes: config.store.retention_bytes,
            log_age: days(config.log.retention_days),
            log_bytes: config.log.retention_bytes,
        },
        forward: forward(config, http_listen)?,
        smtp_listen: listen("smtp.listen", &config.smtp.listen)?,
        smtp: smtp(&config.smtp, shutdown_wait),
        http_listen,
        hosts: hosts(&config.http.hosts, http_listen),
        origins: config.http.origins.clone(),
        registry: registry::build(&config.schema_registry)?,
        probes_listen: listen("telemetry.listen", &config.telemetry.listen)?,
        telemetry: config.telemetry.clone(),
    })
}

fn days(days: Option<u32>) -> Option<Duration> {
    days.map(|days| Duration::from_secs(u64::from(days) * 24 * 60 * 60))
}

fn log(config: &Config) -> Result<LogSettings, Vec<Fault>> {
    let section = &config.log;
    if section.kind != EMBEDDED {
        return on_kafka(config).map_err(|fault| vec![fault]);
    }
    let settings = EmbeddedSettings {
        partitions: section.partitions.unwrap_or(PARTITIONS),
        segment_bytes: section.segment_bytes,
        segment_age: Duration::from_secs(u64::from(section.segment_hours) * 60 * 60),
        queue_bytes: section.queue_bytes,
        reserve_bytes: section.reserve_bytes,
        ..EmbeddedSettings::default()
    };
    Ok(LogSettings::Embedded { settings, partitions_given: section.partitions.is_some() })
}

#[cfg(feature = "kafka")]
fn on_kafka(config: &Config) -> Result<LogSettings, Fault> {
    let fault = |cause| Fault { key: "log.kind".to_owned(), source: None, cause };
    let (log, kafka) = (&config.log, &config.kafka);
    let message_bytes = usize::try_from(config.smtp.message_bytes).unwrap_or(usize::MAX);
    let envelope_bytes = config.smtp.recipients.saturating_mul(RECIPIENT_BYTES) + ENVELOPE_BYTES;
    Ok(LogSettings::Kafka(eventlog::kafka::KafkaSettings {
        brokers: super::brokers::parse(&log.kind).map_err(fault)?,
        prefix: kafka.prefix.clone(),
        node_id: None,
        partitions: log.partitions.unwrap_or(PARTITIONS_ON_KAFKA),
        // Below zero the cluster decides.
        replication: kafka.replication.map_or(-1, |copies| i32::try_from(copies).unwrap_or(i32::MAX)),
        retention: days(log.retention_days.or(config.store.retention_days)),
        max_record_bytes: message_bytes.saturating_add(envelope_bytes).max(SMALLEST_RECORD_LIMIT),
        message_timeout: seconds(kafka.message_timeout_seconds),
        start_timeout: seconds(kafka.start_wait_seconds),
        client: kafka.client.resolve()?,
    }))
}

#[cfg(not(feature = "kafka"))]
fn on_kafka(_: &Config) -> Result<LogSettings, Fault> {
    let cause = "this build has no Kafka".to_owned();
    Err(Fault { key: "log.kind".to_owned(), source: None, cause })
}

fn forward(config: &Config, http_listen: SocketAddr) -> Result<ForwardSettings, Vec<Fault>> {
    let section = &config.forward;
    let mut allow = Vec::new();
    for network in &section.allow {
        let read: Result<Network, String> = network.parse();
        let fault = |cause| vec![Fault { key: "forward.allow".to_owned(), source: None, cause }];
        allow.push(read.map_err(fault)?);
    }
    let defaults = sinks::forward::Settings::default();
    let limits = Limits { in_all: section.calls, per_target: section.calls_per_target, ..defaults.limits.clone() };
    Ok(ForwardSettings {
        calls: true,
        // Whoever can set a webhook on such a server is on this machine already.
        guard: Guard { allow, loopback: http_listen.ip().is_loopback() },
        answer_wait: seconds(section.answer_seconds),
        engine: sinks::forward::Settings { limits, finish: seconds(config.top.shutdown_seconds), ..defaults },
        public_url: section.public_url.clone(),
    })
}

fn processors(config: &Config) -> RunSettings {
    let defaults = RunSettings::default();
    let section = &config.processors;
    RunSettings {
        limits: BatchLimits { records: section.batch_records, bytes: section.batch_bytes },
        workers: if section.workers == 0 { defaults.workers } else { section.workers },
        markers: Some(PathBuf::from(&config.top.data_dir).join("markers")),
    }
}

fn smtp(section: &SmtpSection, shutdown_wait: Duration) -> ingest::Settings {
    let domains: BTreeSet<String> =
        section.domains.iter().filter_map(|domain| accounts::normalise_domain(domain).ok()).collect();
    ingest::Settings {
        server_name: section.server_name.clone(),
        domains: if domains.is_empty() { ingest::Domains::Every } else { ingest::Domains::Listed(domains) },
        message_bytes: section.message_bytes,
        recipients: section.recipients,
        commands_without_mail: u32::try_from(section.recipients.saturating_mul(2)).unwrap_or(u32::MAX),
        connections: wire::Caps {
            total: section.connections,
            per_address: section.connections_per_address,
            per_network: section.connections_per_network,
        },
        buffered_bytes: section.buffered_bytes,
        command_wait: seconds(section.command_wait_seconds),
        content_wait: seconds(section.content_wait_seconds),
        session_time: seconds(section.session_seconds),
        append_wait: seconds(section.append_wait_seconds),
        shutdown_wait,
        ..ingest::Settings::default()
    }
}

fn hosts(names: &[String], listen: SocketAddr) -> api::http::Hosts {
    let any = names.iter().any(|name| name == "*") || (names.is_empty() && !listen.ip().is_loopback());
    if any { api::http::Hosts::Any } else { api::http::Hosts::LoopbackAnd(names.to_vec()) }
}

const fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_a_loopback_address_answers_to_local_names_only() {
        let listen = |text: &str| text.parse().unwrap();
        assert_eq!(hosts(&[], listen("0.0.0.0:8025")), api::http::Hosts::Any);
        assert_eq!(hosts(&[], listen("127.0.0.1:8025")), api::http::Hosts::LoopbackAnd(Vec::new()));
        assert_eq!(hosts(&["*".to_owned()], listen("127.0.0.1:8025")), api::http::Hosts::Any);
    }

    #[test]
    fn loopback_may_be_called_while_http_listens_on_loopback_only() {
        let permits = |listen: &str, allow: &[&str]| {
            let mut config = Config::default();
            config.http.listen = listen.to_owned();
            config.forward.allow = allow.iter().map(|network| (*network).to_owned()).collect();
            let guard = build(&config).unwrap().forward.guard;
            guard.permits("127.0.0.1:9000".parse().unwrap()).is_ok()
        };
        assert!(permits("127.0.0.1:8025", &[]));
        assert!(!permits("0.0.0.0:8025", &[]));
        assert!(permits("0.0.0.0:8025", &["127.0.0.0/8"]));
    }

    #[test]
    fn the_defaults_build() {
        let settings = build(&Config::default()).unwrap();
        assert_eq!(settings.smtp, ingest::Settings::default());
    }

    #[test]
    fn a_number_of_partitions_that_nobody_has_set_is_told_from_one_that_is_set() {
        for set in [None, Some(1)] {
            let mut config = Config::default();
            config.log.partitions = set;
            let log = build(&config).unwrap().log;
            let LogSettings::Embedded { settings, partitions_given } = log else { panic!("{log:?}") };
            assert_eq!((settings.partitions, partitions_given), (1, set.is_some()));
        }
    }

    #[test]
    #[cfg(feature = "kafka")]
    fn the_log_on_kafka_takes_the_largest_mail_with_all_its_recipients() {
        let mut config = Config::default();
        config.log.kind = "kafka://one:9092,two:9093".to_owned();
        config.store.retention_days = Some(2);
        let log = build(&config).unwrap().log;
        let LogSettings::Kafka(kafka) = log else { panic!("{log:?}") };
        assert_eq!((kafka.brokers.as_str(), kafka.partitions, kafka.replication), ("one:9092,two:9093", 12, -1));
        assert_eq!(kafka.retention, Some(Duration::from_secs(2 * 24 * 60 * 60)));
        assert!(kafka.max_record_bytes > (25 << 20) + 256 * 1000);
    }
}
