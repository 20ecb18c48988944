//! The forwards on the log: `mail.routed` makes deliveries due, `forward.due` is folded into the engine of the sinks, and
//! what the engine did is appended. It knows where each record goes, and nothing of when or how anybody is called.

mod begin;
mod couriers;
mod directory;
mod feed;
mod ledger;
mod own;
mod reading;
mod shown;
mod stage;

use std::sync::Arc;
use std::time::Duration;

use accounts::{Sealer, Table};
use eventlog::runner::{BatchLimits, RunSettings, run_group};
use eventlog::{Follower, Log, LogError, Progress};
use mailstore::Store;
use schemas::{Standing, Topic};
use sinks::forward::{Engine, Parts, SystemClock};
use tokio_util::sync::CancellationToken;

pub use begin::begin;

use crate::config::ForwardSettings;

/// The group that stands behind what was made due.
pub const GROUP: &str = "forwards";

/// How long what is due is left to the node that had its partition before: most of its calls end within.
const HAND_OVER: Duration = Duration::from_secs(5);

/// What the forwards lean on.
pub struct Forwards {
    pub log: Arc<dyn Log>,
    pub store: Arc<dyn Store>,
    pub accounts: Arc<Follower<Table>>,
    pub shown: Arc<Progress>,
    pub sealer: Sealer,
    pub settings: ForwardSettings,
    /// Whether other nodes may deliver, too: partitions come from them and go to them.
    pub is_shared: bool,
}

impl Forwards {
    /// Makes due what is routed. Pure, and quick: it calls nobody.
    pub async fn make_due(
        log: Arc<dyn Log>,
        schemas: Arc<Follower<Standing>>,
        run: RunSettings,
        stop: CancellationToken,
    ) -> Result<(), LogError> {
        let run = RunSettings { limits: BatchLimits::default(), ..run };
        run_group(log, GROUP, &[Topic::MailRouted], Arc::new(stage::MakesDue { schemas }), run, stop).await
    }

    /// Delivers what is due until `stop`, and then lets the calls in flight end within their limit.
    pub async fn deliver(self, stop: CancellationToken) -> Result<(), LogError> {
        let clock = Arc::new(SystemClock);
        let page = couriers::pages(self.settings.public_url.clone());
        let engine = Engine::new(
            Parts {
                store: Arc::clone(&self.store),
                shown: Arc::new(shown::OnLog { log: Arc::clone(&self.log), shown: self.shown }),
                directory: Arc::new(directory::Followed { accounts: self.accounts, sealer: self.sealer }),
                courier: Arc::new(couriers::Couriers::new(&self.settings, self.store, clock.clone(), page)),
                ledger: Arc::new(ledger::OnLog { log: Arc::clone(&self.log) }),
                clock,
            },
            self.settings.engine.clone(),
        );
        let hand_over = if self.is_shared { HAND_OVER } else { Duration::ZERO };
        feed::feed(self.log, engine, hand_over, stop).await
    }
}
