//! Forwards by their id: what a delivery needs to know of the account that asked for it.

use std::fmt;

use accounts::{Sealer, Table};
use async_trait::async_trait;
use schemas::event::{ForwardKind, ForwardPayload};

/// A forward that is to be called, opened.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    pub kind: ForwardKind,
    /// The URL or address.
    pub target: String,
    pub payload: ForwardPayload,
    /// Whether a delivery waits until the one before it has ended.
    pub ordered: bool,
    pub secrets: Vec<String>,
    pub slack_to_from: bool,
    pub account: String,
}

/// Without the target and the secrets.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("kind", &self.kind)
            .field("payload", &self.payload)
            .field("ordered", &self.ordered)
            .finish_non_exhaustive()
    }
}

/// How a forward stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Called(Box<Target>),
    /// Switched off, or not to be read by this program: what is due waits.
    Held,
    /// No rule names it.
    Gone,
}

/// The table of accounts, as the engine sees it.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// As the table stands in memory; called often, under a lock, and has to be quick. See [`look_up`].
    fn find(&self, forward: &str) -> Standing;

    /// Folds what `accounts` holds at the call. Before anything is dropped because its forward is gone, the engine
    /// asks for this and looks again: a table that lags must not lose a delivery.
    async fn catch_up(&self) -> Result<(), String>;
}

/// How a forward stands in this table. One that this installation's key doesn't open, and one of an unknown kind, is
/// held: a right key or a newer program will know what to do with it.
pub fn look_up(table: &Table, sealer: &Sealer, forward: &str) -> Standing {
    let Some(found) = table.forward(forward).filter(|found| table.account(found.owner).is_some()) else {
        return Standing::Gone;
    };
    if found.off.is_some() || found.target.kind == ForwardKind::Unknown {
        return Standing::Held;
    }
    let sealed = &found.target.sealed_secrets;
    let secrets: Option<Vec<String>> = sealed.iter().map(|secret| sealer.open(&secret.sealed)).collect();
    let (Some(target), Some(secrets)) = (sealer.open(&found.target.sealed_target), secrets) else {
        return Standing::Held;
    };
    Standing::Called(Box::new(Target {
        kind: found.target.kind,
        target,
        payload: found.target.payload,
        ordered: found.target.ordered,
        secrets,
        slack_to_from: found.settings.slack_to_from,
        account: found.owner.to_owned(),
    }))
}
