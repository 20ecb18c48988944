//! What the program says about itself: log lines for people on a terminal and for programs otherwise, and the recorder
//! of the metrics that every room counts.

use std::io::IsTerminal;

use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// Of every histogram that measures time, in seconds.
const SECONDS: [f64; 14] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Of every histogram that counts.
const COUNTS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
/// The database tells of its every file at `info`, and the client of Kafka of each end of a partition as an error; what
/// is to be known is said by those who use them. What is asked for behind this wins.
const QUIET: &str = "fjall=warn,lsm_tree=warn,rdkafka=off,";
const BUILD_INFO: &str = "postlog_build_info";

/// Log lines go to standard error from here on: standard output is for what was asked for.
pub fn start_logs(filter: &str, format: &str) -> anyhow::Result<()> {
    let terminal = std::io::stderr().is_terminal();
    let filter = format!("{QUIET}{filter}");
    let filter = filter.parse::<EnvFilter>().with_context(|| format!("telemetry.log: {filter:?} is no filter"))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let human = format == "human" || (format == "auto" && terminal);
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let started = if human {
        lines.with_ansi(colour).with_target(false).try_init()
    } else {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    };
    started.map_err(|error| anyhow::anyhow!("log lines can't be written: {error}"))
}

/// Counts from here on, in the whole process.
pub fn start_metrics() -> anyhow::Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(|builder| builder.set_buckets(&COUNTS))
        .context("the buckets of the metrics")?;
    let handle = builder.install_recorder().context("metrics can't be counted")?;
    metrics::gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}
