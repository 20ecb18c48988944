//! Everything that runs on an open data folder, once: log, store, tables, stages, doors. It is opened and stopped as a
//! whole, in the order in which the pieces lean on each other.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use accounts::Table;
use anyhow::Context;
use api::http::{Classifier, Doors};
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

use super::first_start::{first_account, settle_schemas};
use super::forwards::{self, Forwards};
use super::health::{Health, watched};
use super::own::{Held, OwnLog, OwnStore};
use super::projection::{StoreProjection, TOPICS};
use super::rebuild::Rebuild;
use super::replay::Replay;
use super::secrets::Secrets;
use super::stage::{GROUP, Processors};
use super::sweep::Sweep;
use super::trainer::Trainer;
use super::upkeep::Upkeep;
use super::websocket::{Feed, Sockets};
use super::{Listeners, folder, tables};
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

struct Tables {
    accounts: Arc<Follower<Table>>,
    models: Arc<Follower<Models>>,
}

/// See the module.
pub struct Engine {
    log: OwnLog,
    store: OwnStore,
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
    /// Opens log and store and starts the stages that the settings name.
    pub async fn open(parts: &Parts) -> anyhow::Result<Self> {
        let (log, store) = folder::open(&parts.settings).await?;
        let opened = Self::start(parts, log.clone(), store).await;
        if opened.is_err() {
            // A log that is left open would keep the next try from opening it.
            log.close().await?;
        }
        opened
    }

    async fn start(parts: &Parts, log: OwnLog, store: OwnStore) -> anyhow::Result<Self> {
        let mut engine = Self {
            log,
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
            new_key: None,
        };
        let started = engine.start_stages(parts).await;
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

    /// Before anything else, since every stage looks things up in them.
    async fn start_tables(&mut self, parts: &Parts, log: &Arc<dyn Log>) -> anyhow::Result<Tables> {
        settle_schemas(log.as_ref()).await.context("the topic schemas")?;
        let stop = self.work_stop.clone();
        let accounts =
            Follower::start(Arc::clone(log), Topic::Accounts, Table::default(), 0, tables::fold_account, stop.clone());
        let earliest = log.bounds(Topic::SpamModels).await?.first().map_or(0, |bounds| bounds.earliest);
        let models =
            Follower::start(Arc::clone(log), Topic::SpamModels, Models::default(), earliest, tables::fold_model, stop);
        tables::caught_up(&accounts).await.context("the table of accounts")?;
        tables::caught_up(&models).await.context("the table of models")?;
        let is_shared = self.log.is_shared();
        self.new_key = first_account(log.as_ref(), &parts.secrets, &accounts, is_shared).await?;
        tables::caught_up(&accounts).await.context("the table of accounts")?;
        accounts.read(|table| parts.secrets.check(table))?;
        if accounts.read(|table| parts.secrets.given_key_is_unknown(table)) {
            tracing::warn!(
                "the administrator's key that was given opens no account: it counts at the first start only"
            );
        }
        Ok(Tables { accounts, models })
    }

    async fn start_stages(&mut self, parts: &Parts) -> anyhow::Result<()> {
        let log = self.log.log();
        self.watch_broker();
        let Tables { accounts, models } = self.start_tables(parts, &log).await?;
        let (gate, turn) = (Arc::new(Gate::new(())), Arc::new(Gate::new(())));
        let stages = parts.settings.stages;
        if stages.processors || stages.sinks {
            forwards::begin(log.as_ref()).await.context("the place of the forwards")?;
        }
        if stages.processors {
            self.start_processors(parts, &log, Arc::clone(&accounts), Arc::clone(&models));
        }
        let unanswered = Arc::new(Unanswered::default());
        if let Some(store) = self.store.embedded().cloned().filter(|_| stages.need_store()) {
            self.start_store_sink(&log, &store, Arc::clone(&gate));
            self.start_upkeep(parts, &store, Arc::clone(&turn));
            if stages.sinks {
                self.start_forwards(parts, &log, &store, Arc::clone(&accounts));
            }
            if let Some(listener) = parts.listeners.http()? {
                let (log_too, under_way) = (Arc::clone(&log), Gate::new(()));
                let operations = Rebuild { log: log_too, store: store.clone(), gate, turn, under_way };
                let replays = Replay::new(&log, store.clone(), &accounts, models, self.doors_stop.clone());
                let sockets = self.start_sockets(&log, &store, &accounts, &unanswered).await?;
                let doors = self.doors_of(parts, &log, store, accounts, (operations, replays), sockets);
                let serving = api::http::serve(listener, api::http::router(Arc::new(doors)), self.doors_stop.clone());
                self.spawn_door("api", serving);
            }
        }
        if let Some(listener) = parts.listeners.smtp()? {
            let own_log = self.log.clone();
            let message_bytes = own_log.largest_mail(parts.settings.smtp.message_bytes);
            let room = ingest::Room::new(move || own_log.has_room());
            let settings = Arc::new(ingest::Settings { room, message_bytes, ..parts.settings.smtp.clone() });
            let serving = ingest::serve(listener, log, settings, unanswered, self.doors_stop.clone());
            self.spawn_door("ingest", serving);
        }
        Ok(())
    }

    /// For `/readyz`, where the log lies with others.
    fn watch_broker(&mut self) {
        #[cfg(feature = "kafka")]
        if let OwnLog::Kafka(log, broker) = &self.log {
            self.work
                .spawn(Arc::clone(broker).watch(Arc::<eventlog::kafka::KafkaLog>::clone(log), self.work_stop.clone()));
        }
    }

    fn start_processors(
        &mut self,
        parts: &Parts,
        log: &Arc<dyn Log>,
        accounts: Arc<Follower<Table>>,
        models: Arc<Follower<Models>>,
    ) {
        let (log, stop, settings) = (Arc::clone(log), self.work_stop.clone(), parts.settings.processors.clone());
        self.spawn_work("trainer", Trainer { log: Arc::clone(&log), models: Arc::clone(&models) }.run(stop.clone()));
        let stage = Arc::new(Processors { accounts, models });
        self.spawn_work(
            "processors",
            async move { run_group(log, GROUP, &[Topic::MailRaw], stage, settings, stop).await },
        );
    }

    fn start_store_sink(&mut self, log: &Arc<dyn Log>, store: &Arc<EmbeddedStore>, gate: Arc<Gate<()>>) {
        let sink = StoreSink::new(Arc::<EmbeddedStore>::clone(store));
        let projection = Arc::new(StoreProjection { log: Arc::clone(log), sink, gate });
        let (log, stop, shown) = (Arc::clone(log), self.work_stop.clone(), Arc::clone(&self.shown));
        self.spawn_work("sinks", async move {
            project(log, &TOPICS, projection, BatchLimits::default(), None, Some(shown), stop).await
        });
    }

    fn start_forwards(
        &mut self,
        parts: &Parts,
        log: &Arc<dyn Log>,
        store: &Arc<EmbeddedStore>,
        accounts: Arc<Follower<Table>>,
    ) {
        let run = parts.settings.processors.clone();
        self.spawn_work("forwards", Forwards::make_due(Arc::clone(log), run, self.work_stop.clone()));
        if !parts.settings.forward.calls {
            return;
        }
        let forwards = Forwards {
            log: Arc::clone(log),
            store: Arc::<EmbeddedStore>::clone(store),
            accounts,
            shown: Arc::clone(&self.shown),
            sealer: parts.secrets.sealer.clone(),
            settings: parts.settings.forward.clone(),
        };
        let (health, stop) = (Arc::clone(&self.health), self.calls_stop.clone());
        self.calls.spawn(watched("deliveries", forwards.deliver(stop.clone()), health, stop));
    }

    fn start_upkeep(&mut self, parts: &Parts, store: &Arc<EmbeddedStore>, turn: Arc<Gate<()>>) {
        let (store, retention) = (Arc::clone(store), parts.settings.retention.clone());
        let (stop, has_processors) = (self.work_stop.clone(), self.stages.processors);
        let log = self.log.clone();
        self.spawn_work("upkeep", async move {
            match log {
                OwnLog::Embedded(log) => Upkeep { log, store, retention, has_processors, turn }.run(&stop).await,
                #[cfg(feature = "kafka")]
                OwnLog::Kafka(log, _) => Sweep { log, store, retention, turn }.run(&stop).await,
            }
            Ok::<(), std::convert::Infallible>(())
        });
    }

    /// Before the doors open, so that nothing comes between.
    async fn start_sockets(
        &mut self,
        log: &Arc<dyn Log>,
        store: &Arc<EmbeddedStore>,
        accounts: &Arc<Follower<Table>>,
        unanswered: &Arc<Unanswered>,
    ) -> anyhow::Result<Sockets> {
        let store = Arc::<EmbeddedStore>::clone(store);
        let (shown, stop) = (Arc::clone(&self.shown), self.doors_stop.clone());
        let feed = Feed::new(Arc::clone(log), store, Arc::clone(accounts), shown, Arc::clone(unanswered), stop).await?;
        self.spawn_door("websocket", Arc::clone(&feed).run());
        Ok(Sockets(feed))
    }

    fn doors_of(
        &self,
        parts: &Parts,
        log: &Arc<dyn Log>,
        store: Arc<EmbeddedStore>,
        accounts: Arc<Follower<Table>>,
        (operations, replays): (Rebuild, Replay),
        sockets: Sockets,
    ) -> Doors {
        let (metrics, health, own_log) = (parts.metrics.clone(), Arc::clone(&self.health), self.log.clone());
        let message_bytes = self.log.largest_mail(parts.settings.smtp.message_bytes);
        let models = Arc::clone(&replays.models);
        Doors {
            log: Arc::clone(log),
            store,
            accounts,
            shown: Arc::clone(&self.shown),
            sealer: parts.secrets.sealer.clone(),
            settings: api::http::Settings {
                server_name: parts.settings.smtp.server_name.clone(),
                max_message_bytes: usize::try_from(message_bytes).unwrap_or(usize::MAX),
                hosts: parts.settings.hosts.clone(),
                origins: parts.settings.origins.clone(),
            },
            delivery_id: sinks::forward::delivery_id,
            operations: Arc::new(operations),
            replays: Arc::new(replays),
            classifier: Classifier::new(move || models.read(Models::current)),
            incoming: Arc::new(sockets),
            metrics: Box::new(move || metrics.render()),
            ready: Box::new(move || health.missing_with(&own_log)),
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
        let log = self.log.log();
        if self.stages.processors {
            let ends = ends(log.as_ref(), &[Topic::MailRaw]).await?;
            while !log.committed(GROUP).await.is_ok_and(|at| has_reached(&at, &ends)) {
                tokio::time::sleep(GLANCE).await;
            }
        }
        if self.store.embedded().is_some() && self.stages.need_store() {
            for end in self::ends(log.as_ref(), &TOPICS).await? {
                while !self.shown.reach(end, DRAIN_LIMIT).await {}
            }
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
            // What stands on a shared log is another node's from now on.
            if !self.log.is_shared() {
                self.settle(DRAIN_LIMIT).await;
            }
            while self.calls.join_next().await.is_some() {}
        }
        // Where the log can't record what they did, calls are cut off, and made again after the next start.
        self.calls.shutdown().await;
        self.work_stop.cancel();
        while self.work.join_next().await.is_some() {}
        let (log, held) = (self.log.clone(), Held::of(&self.log, &self.store));
        drop(self);
        log.close().await?;
        Ok(released(held).await)
    }
}

/// Where nobody holds log or store any more, the folder can be opened again.
async fn released(held: Held) -> bool {
    let begun = Instant::now();
    while held.is_anybody() {
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
