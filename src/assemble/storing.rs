//! Who folds the log into the store, and who removes what is past its retention. An embedded store is one process's
//! own, and that does all of it. A store on CQL belongs to all: on Kafka those that run the stage `sinks` share the
//! partitions, one of them removes, and the others only ask how far it has come.

use std::sync::Arc;

use eventlog::Follower;
use eventlog::runner::{BatchLimits, project};
use mailstore::Upkeep as Views;
use schemas::Standing;
use sinks::store::StoreSink;
use tokio::sync::Mutex as Gate;

use super::Engine;
use super::own::{OwnLog, OwnStore};
use super::projection::{StoreProjection, TOPICS};
#[cfg(feature = "kafka")]
use super::sweep::Sweep;
use super::upkeep::Upkeep;
use crate::config::RetentionSettings;

/// The group whose members fold a store that belongs to all.
#[cfg(all(feature = "kafka", feature = "cql"))]
const GROUP: &str = "store";

/// Held by whoever may not be disturbed.
#[derive(Clone, Default)]
pub struct Gates {
    /// While nothing may be applied to the tables in use.
    pub folding: Arc<Gate<()>>,
    /// While somebody rebuilds or removes: not both at once.
    pub turn: Arc<Gate<()>>,
}

impl Engine {
    pub(super) fn start_storing(
        &mut self,
        store: &Arc<dyn Views>,
        gates: &Gates,
        schemas: &Arc<Follower<Standing>>,
        retention: &RetentionSettings,
    ) {
        let log = self.log.log();
        let sink = StoreSink::new(Arc::clone(store));
        let projection = StoreProjection { log, sink, gate: Arc::clone(&gates.folding), schemas: Arc::clone(schemas) };
        match (self.log.clone(), self.store.clone()) {
            (OwnLog::Embedded(log), OwnStore::Embedded(store)) => {
                self.fold_all(projection);
                let (store, by_reference) = (Arc::clone(&store) as Arc<dyn Views>, Some(store));
                self.remove(Upkeep {
                    log,
                    store,
                    by_reference,
                    retention: retention.clone(),
                    has_processors: self.stages.processors,
                    turn: Arc::clone(&gates.turn),
                });
            }
            #[cfg(feature = "cql")]
            (OwnLog::Embedded(log), OwnStore::Cql(store, _)) => {
                self.watch_store();
                self.fold_all(projection);
                self.remove(Upkeep {
                    log,
                    store,
                    by_reference: None,
                    retention: retention.clone(),
                    has_processors: self.stages.processors,
                    turn: Arc::clone(&gates.turn),
                });
            }
            #[cfg(feature = "kafka")]
            (OwnLog::Kafka(log, _), OwnStore::Embedded(store)) => {
                self.fold_all(projection);
                self.sweep(Sweep::new(log, store, retention.clone(), Arc::clone(&gates.turn)));
            }
            #[cfg(all(feature = "kafka", feature = "cql"))]
            (OwnLog::Kafka(log, _), OwnStore::Cql(store, _)) => {
                self.watch_store();
                if self.stages.sinks {
                    let has = self.fold_share(Arc::clone(&log), projection);
                    let sweep = Sweep::new(log, store, retention.clone(), Arc::clone(&gates.turn));
                    self.sweep(sweep.of_whoever_has(has));
                }
            }
            // Nothing is shown here, and so nothing is folded.
            (_, OwnStore::None) => {}
        }
    }

    fn fold_all(&mut self, projection: StoreProjection) {
        let (log, stop, shown) = (Arc::clone(&projection.log), self.work_stop.clone(), Arc::clone(&self.shown));
        let projection = Arc::new(projection);
        self.spawn_work("sinks", async move {
            project(log, &TOPICS, projection, BatchLimits::default(), None, Some(shown), stop).await
        });
    }

    /// Says which partitions this process folds.
    #[cfg(all(feature = "kafka", feature = "cql"))]
    fn fold_share(&mut self, log: Arc<eventlog::kafka::KafkaLog>, projection: StoreProjection) -> super::sweep::Has {
        use eventlog::runner::{Share, project_shared};

        let has = tokio::sync::watch::Sender::default();
        let told = has.subscribe();
        let share = Share {
            log,
            group: GROUP,
            topics: TOPICS.to_vec(),
            limits: BatchLimits::default(),
            progress: Arc::clone(&self.shown),
            has,
        };
        let stop = self.work_stop.clone();
        self.spawn_work("sinks", project_shared(share, Arc::new(projection), stop));
        told
    }

    fn remove(&mut self, upkeep: Upkeep) {
        let stop = self.work_stop.clone();
        self.spawn_work("upkeep", async move {
            upkeep.run(&stop).await;
            Ok::<(), std::convert::Infallible>(())
        });
    }

    #[cfg(feature = "kafka")]
    fn sweep(&mut self, sweep: Sweep) {
        let stop = self.work_stop.clone();
        self.spawn_work("upkeep", async move {
            sweep.run(&stop).await;
            Ok::<(), std::convert::Infallible>(())
        });
    }

    /// For `/readyz`, and for those who wait until the store shows what others fold.
    #[cfg(feature = "cql")]
    fn watch_store(&mut self) {
        if let OwnStore::Cql(store, cluster) = &self.store {
            let (store, cluster, shown) = (Arc::clone(store), Arc::clone(cluster), Arc::clone(&self.shown));
            self.work.spawn(cluster.watch(store, shown, self.work_stop.clone()));
        }
    }
}
