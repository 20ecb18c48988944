//! Everything that runs on an open data folder, once: log, store, tables, stages, doors. It is opened and stopped as a
//! whole, in the order in which the pieces lean on each other.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use accounts::Table;
use anyhow::Context;
use api::http::{Classifier, Doors};
use eventlog::embedded::EmbeddedLog;
use eventlog::runner::{BatchLimits, project, run_group};
use eventlog::{Follower, Log, Progress};
use ingest::Unanswered;
use mailstore::embedded::EmbeddedStore;
use metrics_exporter_prometheus::PrometheusHandle;
use processors::spam::Models;
use schemas::{Position, Topic};
use sinks::store::StoreSink;
use tokio::sync::Mutex as Gate;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::first_start::{Secrets, furnish};
use super::folder::open_folder;
use super::forwards::{self, Forwards};
use super::health::{Health, watched};
use super::projection::{StoreProjection, TOPICS};
use super::rebuild::Rebuild;
use super::replay::Replay;
use super::stage::{GROUP, Processors};
use super::trainer::Trainer;
use super::upkeep::Upkeep;
use super::websocket::{Feed, Sockets};
use super::{Listeners, tables};
use crate::config::{Settings, Stages};

/// For what stands on the log to be processed and shown when the server stops; the next start does the rest.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);
/// For the last holders of a stopped engine to let go of it.
const RELEASE_LIMIT: Duration = Duration::from_secs(10);
const GLANCE: Duration = Duration::from_millis(5);

/// What an engine is made of, again and again.
pub struct Parts {
    pub settings: Settings,
    pub listeners: Listeners,
    pub secrets: Secrets,
    pub metrics: PrometheusHandle,
}

/// See the module.
pub struct Engine {
    log: Arc<EmbeddedLog>,
    store: Arc<EmbeddedStore>,
    shown: Arc<Progress>,
    health: Arc<Health>,
    stages: Stages,
    /// Ends the doors, then the calls of the forwards, then what both lean on.
    doors_stop: CancellationToken,
    calls_stop: CancellationToken,
    work_stop: CancellationToken,
    doors: JoinSet<()>,
    calls: JoinSet<()>,
    work: JoinSet<()>,
    /// The first account's key, when this start has made it.
    pub new_key: Option<String>,
}

impl Engine {
    /// Opens the folder's log and store and starts the stages that the settings name.
    pub async fn open(parts: &Parts) -> anyhow::Result<Self> {
        let opening = parts.settings.clone();
        let (log, store) = tokio::task::spawn_blocking(move || open_folder(&opening)).await??;
        let opened = Self::start(parts, &log, store).await;
        if opened.is_err() {
            // A log that is left open would keep the next try from opening it.
            tokio::task::spawn_blocking(move || log.close()).await?;
        }
        opened
    }

    async fn start(parts: &Parts, log: &Arc<EmbeddedLog>, store: Arc<EmbeddedStore>) -> anyhow::Result<Self> {
        let as_log: Arc<dyn Log> = Arc::<EmbeddedLog>::clone(log);
        let new_key = furnish(as_log.as_ref(), &parts.secrets).await?;
        let mut engine = Self {
            log: Arc::clone(log),
            store,
            shown: Arc::new(Progress::new()),
            health: Arc::default(),
            stages: parts.settings.stages,
            doors_stop: CancellationToken::new(),
            calls_stop: CancellationToken::new(),
            work_stop: CancellationToken::new(),
            doors: JoinSet::new(),
            calls: JoinSet::new(),
            work: JoinSet::new(),
            new_key,
        };
        let started = engine.start_stages(parts, as_log).await;
        if let Err(error) = started {
            engine.calls_stop.cancel();
            engine.work_stop.cancel();
            engine.doors_stop.cancel();
            engine.calls.shutdown().await;
            while engine.doors.join_next().await.is_some() {}
            while engine.work.join_next().await.is_some() {}
            return Err(error);
        }
        Ok(engine)
    }

    async fn start_stages(&mut self, parts: &Parts, log: Arc<dyn Log>) -> anyhow::Result<()> {
        let stop = self.work_stop.clone();
        let accounts =
            Follower::start(Arc::clone(&log), Topic::Accounts, Table::default(), 0, tables::fold_account, stop.clone());
        let earliest = log.bounds(Topic::SpamModels).await?.first().map_or(0, |bounds| bounds.earliest);
        let models =
            Follower::start(Arc::clone(&log), Topic::SpamModels, Models::default(), earliest, tables::fold_model, stop);
        accounts.catch_up().await.context("the table of accounts")?;
        models.catch_up().await.context("the table of models")?;
        let (gate, turn) = (Arc::new(Gate::new(())), Arc::new(Gate::new(())));
        let stages = parts.settings.stages;
        if stages.processors || stages.sinks {
            forwards::begin(log.as_ref()).await.context("the place of the forwards")?;
        }
        if stages.processors {
            self.start_processors(parts, &log, Arc::clone(&accounts), Arc::clone(&models));
        }
        if stages.sinks {
            self.start_store_sink(&log, Arc::clone(&gate));
            self.start_forwards(parts, &log, Arc::clone(&accounts));
            self.start_upkeep(parts, Arc::clone(&turn));
        }
        let unanswered = Arc::new(Unanswered::default());
        if let Some(listener) = parts.listeners.http()? {
            let operations =
                Rebuild { log: Arc::clone(&log), store: self.store.clone(), gate, turn, under_way: Gate::new(()) };
            let replays = Replay {
                log: Arc::clone(&log),
                store: self.store.clone(),
                accounts: Arc::clone(&accounts),
                models,
                stop: self.doors_stop.clone(),
                under_way: Gate::new(()),
            };
            let sockets = self.start_sockets(&log, &accounts, &unanswered).await?;
            let doors = self.doors_of(parts, &log, accounts, operations, replays, sockets);
            let serving = api::http::serve(listener, api::http::router(Arc::new(doors)), self.doors_stop.clone());
            self.spawn_door("api", serving);
        }
        if let Some(listener) = parts.listeners.smtp()? {
            let own_log = Arc::clone(&self.log);
            let room = ingest::Room::new(move || own_log.has_room());
            let settings = Arc::new(ingest::Settings { room, ..parts.settings.smtp.clone() });
            let serving = ingest::serve(listener, log, settings, unanswered, self.doors_stop.clone());
            self.spawn_door("ingest", serving);
        }
        Ok(())
    }

    fn start_processors(
        &mut self,
        parts: &Parts,
        log: &Arc<dyn Log>,
        accounts: Arc<Follower<Table>>,
        models: Arc<Follower<Models>>,
    ) {
        let (log, stop, settings) = (Arc::clone(log), self.work_stop.clone(), parts.settings.processors.clone());
        let trainer = Trainer { log: Arc::clone(&log), models: Arc::clone(&models) };
        self.spawn_work("trainer", trainer.run(stop.clone()));
        let stage = Arc::new(Processors { accounts, models });
        self.spawn_work(
            "processors",
            async move { run_group(log, GROUP, &[Topic::MailRaw], stage, settings, stop).await },
        );
    }

    fn start_store_sink(&mut self, log: &Arc<dyn Log>, gate: Arc<Gate<()>>) {
        let sink = StoreSink::new(self.store.clone());
        let projection = Arc::new(StoreProjection { log: Arc::clone(log), sink, gate });
        let (log, stop, shown) = (Arc::clone(log), self.work_stop.clone(), Arc::clone(&self.shown));
        self.spawn_work("sinks", async move {
            project(log, &TOPICS, projection, BatchLimits::default(), None, Some(shown), stop).await
        });
    }

    fn start_forwards(&mut self, parts: &Parts, log: &Arc<dyn Log>, accounts: Arc<Follower<Table>>) {
        let run = parts.settings.processors.clone();
        self.spawn_work("forwards", Forwards::make_due(Arc::clone(log), run, self.work_stop.clone()));
        if !parts.settings.forward.calls {
            return;
        }
        let forwards = Forwards {
            log: Arc::clone(log),
            store: self.store.clone(),
            accounts,
            shown: Arc::clone(&self.shown),
            sealer: parts.secrets.sealer.clone(),
            settings: parts.settings.forward.clone(),
        };
        let (health, stop) = (Arc::clone(&self.health), self.calls_stop.clone());
        self.calls.spawn(watched("deliveries", forwards.deliver(stop.clone()), health, stop));
    }

    fn start_upkeep(&mut self, parts: &Parts, turn: Arc<Gate<()>>) {
        let upkeep = Upkeep {
            log: Arc::clone(&self.log),
            store: self.store.clone(),
            retention: parts.settings.retention.clone(),
            has_processors: parts.settings.stages.processors,
            turn,
        };
        let stop = self.work_stop.clone();
        self.spawn_work("upkeep", async move {
            upkeep.run(&stop).await;
            Ok::<(), std::convert::Infallible>(())
        });
    }

    /// Before the doors open, so that nothing comes between.
    async fn start_sockets(
        &mut self,
        log: &Arc<dyn Log>,
        accounts: &Arc<Follower<Table>>,
        unanswered: &Arc<Unanswered>,
    ) -> anyhow::Result<Sockets> {
        let (store, shown, stop) = (self.store.clone(), Arc::clone(&self.shown), self.doors_stop.clone());
        let feed = Feed::new(Arc::clone(log), store, Arc::clone(accounts), shown, Arc::clone(unanswered), stop).await?;
        self.spawn_door("websocket", Arc::clone(&feed).run());
        Ok(Sockets(feed))
    }

    fn doors_of(
        &self,
        parts: &Parts,
        log: &Arc<dyn Log>,
        accounts: Arc<Follower<Table>>,
        operations: Rebuild,
        replays: Replay,
        sockets: Sockets,
    ) -> Doors {
        let (metrics, health, own_log) = (parts.metrics.clone(), Arc::clone(&self.health), Arc::clone(&self.log));
        let models = Arc::clone(&replays.models);
        Doors {
            log: Arc::clone(log),
            store: self.store.clone(),
            accounts,
            shown: Arc::clone(&self.shown),
            sealer: parts.secrets.sealer.clone(),
            settings: api::http::Settings {
                server_name: parts.settings.smtp.server_name.clone(),
                max_message_bytes: usize::try_from(parts.settings.smtp.message_bytes).unwrap_or(usize::MAX),
                hosts: parts.settings.hosts.clone(),
                origins: parts.settings.origins.clone(),
            },
            delivery_id: sinks::forward::delivery_id,
            operations: Arc::new(operations),
            replays: Arc::new(replays),
            classifier: Classifier::new(move || models.read(Models::current)),
            incoming: Arc::new(sockets),
            metrics: Box::new(move || metrics.render()),
            ready: Box::new(move || health.missing_with(own_log.as_ref())),
            shutdown: self.doors_stop.clone(),
        }
    }

    fn spawn_door<E: std::fmt::Display + Send + 'static>(
        &mut self,
        name: &'static str,
        serving: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let (health, stop) = (Arc::clone(&self.health), self.doors_stop.clone());
        self.doors.spawn(watched(name, serving, health, stop));
    }

    fn spawn_work<E: std::fmt::Display + Send + 'static>(
        &mut self,
        name: &'static str,
        working: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let (health, stop) = (Arc::clone(&self.health), self.work_stop.clone());
        self.work.spawn(watched(name, working, health, stop));
    }

    /// Resolves with the cause when the log has closed itself: it has to be reopened.
    pub async fn failed(&self) -> String {
        let cause = self.log.failed().await;
        self.health.end("log", cause.clone());
        cause
    }

    /// Waits until everything that stands on the log now is processed and shown: `false` when that takes too long.
    pub async fn settle(&self, limit: Duration) -> bool {
        matches!(tokio::time::timeout(limit, self.settled()).await, Ok(Ok(())))
    }

    async fn settled(&self) -> eventlog::Result<()> {
        if !self.stages.processors {
            return Ok(());
        }
        let ends = ends(self.log.as_ref(), &[Topic::MailRaw]).await?;
        while !self.log.committed(GROUP).await.is_ok_and(|at| has_reached(&at, &ends)) {
            tokio::time::sleep(GLANCE).await;
        }
        if !self.stages.sinks {
            return Ok(());
        }
        for end in self::ends(self.log.as_ref(), &TOPICS).await? {
            while !self.shown.reach(end, DRAIN_LIMIT).await {}
        }
        Ok(())
    }

    /// Stops the doors and the calls of the forwards and lets what is in flight end, then what they lean on, then the
    /// log. `false` when somebody still holds a part of it.
    pub async fn stop(mut self) -> anyhow::Result<bool> {
        self.doors_stop.cancel();
        while self.doors.join_next().await.is_some() {}
        self.calls_stop.cancel();
        if self.health.missing().is_empty() {
            self.settle(DRAIN_LIMIT).await;
            while self.calls.join_next().await.is_some() {}
        }
        // Where the log can't record what they did, calls are cut off, and made again after the next start.
        self.calls.shutdown().await;
        self.work_stop.cancel();
        while self.work.join_next().await.is_some() {}
        let (log, held) = (Arc::clone(&self.log), (Arc::downgrade(&self.log), Arc::downgrade(&self.store)));
        drop(self);
        // The log belongs to whoever drops it last; closing it here makes its end certain.
        tokio::task::spawn_blocking(move || log.close()).await?;
        Ok(released(held).await)
    }
}

/// Where nobody holds log or store any more, the folder can be opened again.
async fn released((log, store): (Weak<EmbeddedLog>, Weak<EmbeddedStore>)) -> bool {
    let begun = Instant::now();
    while log.strong_count() + store.strong_count() > 0 {
        if begun.elapsed() > RELEASE_LIMIT {
            return false;
        }
        tokio::time::sleep(GLANCE).await;
    }
    true
}

/// The end of every partition of these topics.
pub async fn ends(log: &dyn Log, topics: &[Topic]) -> eventlog::Result<Vec<Position>> {
    let mut ends = Vec::new();
    for &topic in topics {
        let bounds = log.bounds(topic).await?;
        ends.extend(bounds.iter().map(|bounds| Position::new(topic, bounds.partition, bounds.end)));
    }
    Ok(ends)
}

/// Whether these positions have reached every end; an empty partition needs none.
pub fn has_reached(positions: &[Position], ends: &[Position]) -> bool {
    ends.iter().all(|end| end.offset == 0 || positions.iter().any(|at| is_at_or_behind(at, end)))
}

fn is_at_or_behind(at: &Position, end: &Position) -> bool {
    (at.topic, at.partition) == (end.topic, end.partition) && at.offset >= end.offset
}
