//! Everything that runs on an open data folder, once: log, store, tables, stages, doors. It is opened and stopped as a
//! whole, in the order in which the pieces lean on each other.

use std::future::Future;
use std::sync::Arc;

use ::schemas::event::ReleasedSchema;
use ::schemas::{Standing, Topic};
use accounts::Table;
use anyhow::Context;
use api::http::{Classifier, Doors, Probes};
use eventlog::runner::run_group;
use eventlog::{Follower, Log, Progress};
use ingest::Unanswered;
use mailstore::Upkeep as Views;
use metrics_exporter_prometheus::PrometheusHandle;
use processors::spam::Models;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::first_start::first_account;
use super::forwards::{self, Forwards};
use super::health::{Health, watched};
use super::own::{OwnLog, OwnStore};
use super::rebuild::Rebuild;
use super::replay::Replay;
use super::secrets::Secrets;
use super::stage::{GROUP, Processors};
use super::storing::Gates;
use super::trainer::Trainer;
use super::websocket::{Feed, Sockets};
use super::{Listeners, folder, registry, schemas, tables};
use crate::config::{Settings, Stages};

/// What an engine is made of, again and again.
pub struct Parts {
    pub settings: Settings,
    pub listeners: Listeners,
    pub secrets: Secrets,
    pub metrics: PrometheusHandle,
    /// What an outside registry said at the first start: an engine that is opened again does not ask it.
    pub registered: OnceCell<Vec<ReleasedSchema>>,
}

impl Parts {
    async fn outside_schemas(&self) -> anyhow::Result<Option<&[ReleasedSchema]>> {
        let Some(settings) = &self.settings.registry else { return Ok(None) };
        let registered = self.registered.get_or_try_init(|| registry::registered(settings)).await?;
        Ok(Some(registered.as_slice()))
    }
}

/// What every stage looks things up in.
#[derive(Clone)]
struct Tables {
    accounts: Arc<Follower<Table>>,
    models: Arc<Follower<Models>>,
    schemas: Arc<Follower<Standing>>,
}

/// See the module.
pub struct Engine {
    pub(super) log: OwnLog,
    pub(super) store: OwnStore,
    pub(super) shown: Arc<Progress>,
    pub(super) health: Arc<Health>,
    pub(super) stages: Stages,
    /// Ends the doors, then the calls of the forwards, then what both lean on.
    pub(super) doors_stop: CancellationToken,
    pub(super) calls_stop: CancellationToken,
    pub(super) work_stop: CancellationToken,
    pub(super) doors: JoinSet<()>,
    pub(super) calls: JoinSet<()>,
    pub(super) work: JoinSet<()>,
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
        let outside = parts.outside_schemas().await?;
        schemas::settle(log.as_ref(), outside).await.context("the topic schemas")?;
        let schemas = self.follow_schemas(log).await?;
        let stop = self.work_stop.clone();
        let accounts =
            Follower::start(Arc::clone(log), Topic::Accounts, Table::default(), 0, tables::fold_account, stop.clone());
        let earliest = log.bounds(Topic::SpamModels).await?.first().map_or(0, |bounds| bounds.earliest);
        let models =
            Follower::start(Arc::clone(log), Topic::SpamModels, Models::default(), earliest, tables::fold_model, stop);
        tables::caught_up(&accounts).await.context("the table of accounts")?;
        tables::caught_up(&models).await.context("the table of models")?;
        let is_shared = self.log.is_shared();
        // Of several nodes one that has been given the key makes the account, not whoever comes first.
        let answers_people = !is_shared || parts.settings.stages.api;
        if answers_people {
            self.new_key = first_account(log.as_ref(), &parts.secrets, &accounts, is_shared).await?;
        } else {
            parts.secrets.check_origin()?;
        }
        tables::caught_up(&accounts).await.context("the table of accounts")?;
        accounts.read(|table| parts.secrets.check(table))?;
        if answers_people && accounts.read(|table| parts.secrets.given_key_is_unknown(table)) {
            tracing::warn!(
                "the administrator's key that was given opens no account: it counts at the first start only"
            );
        }
        Ok(Tables { accounts, models, schemas })
    }

    async fn start_stages(&mut self, parts: &Parts) -> anyhow::Result<()> {
        let log = self.log.log();
        self.watch_broker();
        let tables = self.start_tables(parts, &log).await?;
        let Tables { accounts, models, schemas } = tables.clone();
        let gates = Gates::default();
        let stages = parts.settings.stages;
        if stages.processors || stages.sinks {
            forwards::begin(log.as_ref()).await.context("the place of the forwards")?;
        }
        if stages.processors {
            let stage = Processors {
                accounts: Arc::clone(&accounts),
                models: Arc::clone(&models),
                schemas: Arc::clone(&schemas),
            };
            self.start_processors(parts, &log, stage);
            let trainer = Trainer { log: Arc::clone(&log), models: Arc::clone(&models) };
            self.spawn_work("trainer", trainer.run(self.work_stop.clone()));
        }
        let unanswered = Arc::new(Unanswered::default());
        if let Some(store) = self.store.views().filter(|_| stages.need_store()) {
            self.start_storing(&store, &gates, &schemas, &parts.settings.retention);
            if stages.sinks {
                self.start_forwards(parts, &log, &store, &tables);
            }
            if let Some(listener) = parts.listeners.http()? {
                let operations = Rebuild::new(&log, &store, &gates);
                let stop = self.doors_stop.clone();
                let replays = Replay::new(&log, Arc::clone(&store), &accounts, models, stop);
                let sockets = self.start_sockets(&log, &store, &accounts, &unanswered).await?;
                let doors = self.doors_of(parts, &log, store, tables, (operations, replays), sockets);
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
        if let Some(listener) = parts.listeners.probes()? {
            let router = api::http::probes(self.probes_of(parts));
            self.spawn_door("probes", api::http::serve(listener, router, self.doors_stop.clone()));
        }
        Ok(())
    }

    fn probes_of(&self, parts: &Parts) -> Probes {
        let (metrics, health) = (parts.metrics.clone(), Arc::clone(&self.health));
        let (own_log, own_store) = (self.log.clone(), self.store.clone());
        Probes {
            metrics: Box::new(move || metrics.render()),
            ready: Box::new(move || health.missing_with(&own_log, &own_store)),
        }
    }

    /// For `/readyz`, where the log lies with others.
    fn watch_broker(&mut self) {
        #[cfg(feature = "kafka")]
        if let OwnLog::Kafka(log, broker) = &self.log {
            self.work
                .spawn(Arc::clone(broker).watch(Arc::<eventlog::kafka::KafkaLog>::clone(log), self.work_stop.clone()));
        }
    }

    /// What a newer program on the same log writes is read as soon as its schema stands there.
    async fn follow_schemas(&self, log: &Arc<dyn Log>) -> anyhow::Result<Arc<Follower<Standing>>> {
        let earliest = log.bounds(Topic::Schemas).await?.first().map_or(0, |bounds| bounds.earliest);
        let (log, stop) = (Arc::clone(log), self.work_stop.clone());
        let schemas = Follower::start(log, Topic::Schemas, Standing::default(), earliest, tables::fold_schema, stop);
        tables::caught_up(&schemas).await.context("the schemas")?;
        Ok(schemas)
    }

    fn start_processors(&mut self, parts: &Parts, log: &Arc<dyn Log>, stage: Processors) {
        let (log, stop, settings) = (Arc::clone(log), self.work_stop.clone(), parts.settings.processors.clone());
        let stage = Arc::new(stage);
        self.spawn_work(
            "processors",
            async move { run_group(log, GROUP, &[Topic::MailRaw], stage, settings, stop).await },
        );
    }

    fn start_forwards(&mut self, parts: &Parts, log: &Arc<dyn Log>, store: &Arc<dyn Views>, tables: &Tables) {
        let (run, schemas) = (parts.settings.processors.clone(), Arc::clone(&tables.schemas));
        self.spawn_work("forwards", Forwards::make_due(Arc::clone(log), schemas, run, self.work_stop.clone()));
        if !parts.settings.forward.calls {
            return;
        }
        let forwards = Forwards {
            log: Arc::clone(log),
            store: Arc::<dyn Views>::clone(store),
            accounts: Arc::clone(&tables.accounts),
            shown: Arc::clone(&self.shown),
            sealer: parts.secrets.sealer.clone(),
            settings: parts.settings.forward.clone(),
            is_shared: self.log.is_shared(),
        };
        let (health, stop) = (Arc::clone(&self.health), self.calls_stop.clone());
        self.calls.spawn(watched("deliveries", forwards.deliver(stop.clone()), health, stop));
    }

    /// Before the doors open, so that nothing comes between.
    async fn start_sockets(
        &mut self,
        log: &Arc<dyn Log>,
        store: &Arc<dyn Views>,
        accounts: &Arc<Follower<Table>>,
        unanswered: &Arc<Unanswered>,
    ) -> anyhow::Result<Sockets> {
        let store = Arc::clone(store);
        let (shown, stop) = (Arc::clone(&self.shown), self.doors_stop.clone());
        let feed = Feed::new(Arc::clone(log), store, Arc::clone(accounts), shown, Arc::clone(unanswered), stop).await?;
        self.spawn_door("websocket", Arc::clone(&feed).run());
        Ok(Sockets(feed))
    }

    fn doors_of(
        &self,
        parts: &Parts,
        log: &Arc<dyn Log>,
        store: Arc<dyn Views>,
        tables: Tables,
        (operations, replays): (Rebuild, Replay),
        sockets: Sockets,
    ) -> Doors {
        let Probes { metrics, ready } = self.probes_of(parts);
        let message_bytes = self.log.largest_mail(parts.settings.smtp.message_bytes);
        let models = Arc::clone(&replays.models);
        Doors {
            log: Arc::clone(log),
            store,
            accounts: tables.accounts,
            schemas: tables.schemas,
            is_shared: self.log.is_shared(),
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
            metrics,
            ready,
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

    pub(super) fn spawn_work<E: std::fmt::Display + Send + 'static>(
        &mut self,
        name: &'static str,
        working: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let (health, stop) = (Arc::clone(&self.health), self.work_stop.clone());
        self.work.spawn(watched(name, working, health, stop));
    }
}
