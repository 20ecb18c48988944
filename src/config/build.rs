//! What the rooms take, made of a configuration that has been checked.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use eventlog::embedded::{DatabaseSettings, EmbeddedSettings};
use eventlog::runner::{BatchLimits, RunSettings};
use sinks::forward::Limits;
use sinks::guard::{Guard, Network};

use super::sections::{SmtpSection, TelemetrySection};
use super::validate::address;
use super::{Config, Fault};

/// Of a log that is made where no number is set.
const PARTITIONS: u32 = 1;

/// Everything that the assembly needs.
#[derive(Clone, Debug)]
pub struct Settings {
    pub data_dir: PathBuf,
    pub stages: Stages,
    pub admin_key_file: Option<PathBuf>,
    pub log: EmbeddedSettings,
    /// Whether somebody has set `log.partitions`: a folder that was made with another number is refused then, and
    /// counts with its own otherwise.
    pub partitions_given: bool,
    pub database: DatabaseSettings,
    pub processors: RunSettings,
    pub retention: RetentionSettings,
    pub forward: ForwardSettings,
    pub smtp_listen: SocketAddr,
    pub smtp: ingest::Settings,
    pub http_listen: SocketAddr,
    pub hosts: api::http::Hosts,
    pub origins: Vec<String>,
    pub telemetry: TelemetrySection,
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

/// Which stages this process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stages {
    pub ingest: bool,
    pub processors: bool,
    pub sinks: bool,
    pub api: bool,
}

const NAMES: [&str; 4] = ["ingest", "processors", "sinks", "api"];

impl Stages {
    /// What an operator's command needs when nobody else runs on the folder: everything but SMTP.
    pub const WITHOUT_SMTP: Self = Self { ingest: false, processors: true, sinks: true, api: true };

    pub fn parse(names: &[String]) -> Result<Self, String> {
        let unknown: Vec<&str> = names.iter().map(String::as_str).filter(|name| !NAMES.contains(name)).collect();
        if !unknown.is_empty() {
            return Err(format!("there is no stage {}; the stages are {}", unknown.join(", "), NAMES.join(", ")));
        }
        let has = |name: &str| names.iter().any(|known| known == name);
        Ok(Self { ingest: has("ingest"), processors: has("processors"), sinks: has("sinks"), api: has("api") })
    }

    /// Which subsets can't work. The embedded log belongs to one process, so nobody else can run what is left out.
    pub fn faults(self) -> Vec<String> {
        let mut faults = Vec::new();
        if self == (Self { ingest: false, processors: false, sinks: false, api: false }) {
            faults.push("no stage is named: there is nothing to run".to_owned());
        }
        let alone = "the embedded log is used by one process, so no other can";
        if self.api && !self.sinks {
            faults.push(format!("api shows what sinks writes, and without it no change would show; {alone} run it"));
        }
        if self.sinks && !self.processors {
            faults.push(format!("sinks stores what processors concludes; {alone} run it"));
        }
        faults
    }
}

/// Only what the check can't see is an error here.
pub fn build(config: &Config) -> Result<Settings, Vec<Fault>> {
    let fault = |key: &str, cause: String| vec![Fault { key: key.to_owned(), source: None, cause }];
    let stages = Stages::parse(&config.top.stages).map_err(|cause| fault("stages", cause))?;
    let listen = |key: &str, text: &str| address(text).ok_or_else(|| fault(key, format!("{text:?} is no address")));
    let shutdown_wait = seconds(config.top.shutdown_seconds);
    let http_listen = listen("http.listen", &config.http.listen)?;
    let days = |days: Option<u32>| days.map(|days| Duration::from_secs(u64::from(days) * 24 * 60 * 60));
    Ok(Settings {
        data_dir: PathBuf::from(&config.top.data_dir),
        stages,
        admin_key_file: config.top.admin_key_file.as_ref().map(PathBuf::from),
        partitions_given: config.log.partitions.is_some(),
        log: EmbeddedSettings {
            partitions: config.log.partitions.unwrap_or(PARTITIONS),
            segment_bytes: config.log.segment_bytes,
            segment_age: Duration::from_secs(u64::from(config.log.segment_hours) * 60 * 60),
            queue_bytes: config.log.queue_bytes,
            reserve_bytes: config.log.reserve_bytes,
            ..EmbeddedSettings::default()
        },
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
        telemetry: config.telemetry.clone(),
    })
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

    fn faults(names: &[&str]) -> usize {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Stages::parse(&names).unwrap().faults().len()
    }

    #[test]
    fn a_subset_of_the_stages_runs_where_nobody_is_missed() {
        assert_eq!(faults(&NAMES), 0);
        assert_eq!(faults(&["ingest"]), 0, "mail is taken now and computed later");
        assert_eq!(faults(&["ingest", "processors"]), 0);
        assert_eq!(faults(&["processors", "sinks", "api"]), 0, "reading without taking mail");
    }

    #[test]
    fn a_subset_without_what_it_leans_on_is_refused() {
        assert_eq!(faults(&[]), 1);
        assert_eq!(faults(&["ingest", "api"]), 1);
        assert_eq!(faults(&["ingest", "sinks"]), 1);
        assert!(Stages::parse(&["apis".to_owned()]).unwrap_err().contains("apis"));
    }

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
        let mut config = Config::default();
        let settings = build(&config).unwrap();
        assert_eq!((settings.log.partitions, settings.partitions_given), (1, false));
        config.log.partitions = Some(1);
        let settings = build(&config).unwrap();
        assert_eq!((settings.log.partitions, settings.partitions_given), (1, true));
    }
}
