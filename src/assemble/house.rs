//! Keeps an engine running on a data folder: binds the doors once, opens the engine, and opens it again when the log has
//! closed itself after a failed write or sync. The folder is held from beginning to end.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use eventlog::embedded::DataFolder;
use eventlog::runner::Backoff;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::stand_in::stand_in;
use super::{ADMIN_KEY_FILE, Engine, Listeners, Parts, Secrets, ServerFile};
use crate::config::{LogSettings, Settings};
use crate::telemetry;

/// Free space that opening the log takes, whatever the reserve.
const REOPEN_BYTES: u64 = 8 << 20;
/// Histograms are drained this often, whether somebody asks for metrics or not.
const METRICS_EVERY: Duration = Duration::from_secs(5);

/// Serves until a signal asks to stop.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    let begun = Instant::now();
    let held = DataFolder::open(&settings.data_dir)?;
    let folder = settings.data_dir.clone();
    ServerFile::remove(&folder);
    let parts = parts(settings)?;
    let Some(mut engine) = first_engine(&parts, &stop).await? else { return Ok(()) };
    let server = parts.listeners.file();
    server.write(&folder)?;
    announce(&parts, &server, engine.new_key.as_deref());
    tracing::info!(duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX), "the server is ready");
    tokio::spawn(drain_metrics(parts.metrics.clone()));
    loop {
        let cause = tokio::select! {
            () = stop.cancelled() => break,
            cause = engine.failed() => cause,
        };
        tracing::error!(cause, "the log has closed itself: mail is refused until it is open again");
        let mut backoff = Backoff::default();
        if stop.run_until_cancelled(until_worth_a_try(&parts, &mut backoff)).await.is_none() {
            break;
        }
        stop_engine(engine).await?;
        match reopen(&parts, &stop, &mut backoff).await? {
            Some(opened) => engine = opened,
            None => {
                ServerFile::remove(&folder);
                return Ok(());
            }
        }
    }
    tracing::info!("the server stops");
    stop_engine(engine).await?;
    ServerFile::remove(&folder);
    drop(held);
    Ok(())
}

/// What every engine on this folder is made of.
pub fn parts(settings: Settings) -> anyhow::Result<Parts> {
    let listeners = Listeners::bind(&settings)?;
    let secrets = Secrets::settle(&settings)?;
    Ok(Parts { settings, listeners, secrets, metrics: telemetry::start_metrics()? })
}

async fn stop_engine(engine: Engine) -> anyhow::Result<()> {
    if !engine.stop().await? {
        tracing::warn!("a part of the server is still held");
    }
    Ok(())
}

/// Until then the old engine goes on: reading works, and mail is refused for now.
async fn until_worth_a_try(parts: &Parts, backoff: &mut Backoff) {
    loop {
        backoff.wait().await;
        let needed = reserve_bytes(&parts.settings).max(REOPEN_BYTES);
        if free_bytes(&parts.settings.data_dir).is_none_or(|free| free >= needed) {
            return;
        }
    }
}

/// Brokers may take their time to come up, and whoever comes meanwhile is told so. `None` when the server was asked to
/// stop before they did.
async fn first_engine(parts: &Parts, stop: &CancellationToken) -> anyhow::Result<Option<Engine>> {
    if !parts.settings.log.is_shared() {
        return Ok(Some(Engine::open(parts).await?));
    }
    let opened = CancellationToken::new();
    let opening = async {
        let engine = stop.run_until_cancelled(Engine::open(parts)).await.transpose();
        opened.cancel();
        engine
    };
    let (engine, stood_in) = tokio::join!(opening, stand_in(&parts.listeners, &opened));
    stood_in?;
    engine
}

const fn reserve_bytes(settings: &Settings) -> u64 {
    match &settings.log {
        LogSettings::Embedded { settings, .. } => settings.reserve_bytes,
        #[cfg(feature = "kafka")]
        LogSettings::Kafka(_) => 0,
    }
}

/// `None` when the server was asked to stop meanwhile.
async fn reopen(parts: &Parts, stop: &CancellationToken, backoff: &mut Backoff) -> anyhow::Result<Option<Engine>> {
    let opened = CancellationToken::new();
    let opening = async {
        let engine = loop {
            match Engine::open(parts).await {
                Ok(engine) => break Some(engine),
                Err(error) => tracing::error!(error = format!("{error:#}"), "the log can't be reopened for now"),
            }
            if stop.run_until_cancelled(backoff.wait()).await.is_none() {
                break None;
            }
        };
        opened.cancel();
        engine
    };
    let (engine, stood_in) = tokio::join!(opening, stand_in(&parts.listeners, &opened));
    stood_in?;
    if engine.is_some() {
        tracing::info!("the log is open again");
    }
    Ok(engine)
}

fn free_bytes(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

async fn drain_metrics(metrics: metrics_exporter_prometheus::PrometheusHandle) {
    let mut ticks = tokio::time::interval(METRICS_EVERY);
    loop {
        ticks.tick().await;
        metrics.run_upkeep();
    }
}

/// The first signal asks to stop; the second ends the process at once.
pub fn stop_signal() -> anyhow::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM can't be waited for")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT can't be waited for")?;
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        for _ in 0..2 {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if asked.is_cancelled() {
                tracing::warn!("asked to stop twice: the server ends at once");
                std::process::exit(1);
            }
            asked.cancel();
        }
    });
    Ok(stop)
}

/// One block on standard output, once everything listens.
fn announce(parts: &Parts, server: &ServerFile, new_key: Option<&str>) {
    let folder = &parts.settings.data_dir;
    let mut block = format!("Postlog {} is ready\n", server.version);
    if let Some(smtp) = server.smtp {
        block += &format!("  SMTP  {smtp}\n");
    }
    if let Some(http) = server.http {
        block += &format!("  HTTP  http://{http}\n");
    }
    if let Some(place) = parts.settings.log.place() {
        block += &format!("  log   {place}\n");
    }
    block += &format!("  data  {}\n", folder.display());
    match new_key {
        Some(key) => {
            block += &format!(
                "  key   {key}\n        (the first account's API key, kept in {})\n",
                folder.join(ADMIN_KEY_FILE).display()
            );
        }
        None if folder.join(ADMIN_KEY_FILE).exists() => {
            block += &format!("  key   in {}\n", folder.join(ADMIN_KEY_FILE).display());
        }
        None => {}
    }
    let mut out = std::io::stdout().lock();
    // Nobody may be reading: the addresses stand in server.json as well.
    let _ = out.write_all(block.as_bytes()).and_then(|()| out.flush());
}
