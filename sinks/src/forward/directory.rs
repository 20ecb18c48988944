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

#[cfg(test)]
mod tests {
    use schemas::event::{AccountChange, AccountEvent, AddressSettings, ForwardTarget, SealedSecret};

    use super::*;

    const URL: &str = "https://example.org/hook";

    fn sealer() -> Sealer {
        Sealer::new([7; 32])
    }

    fn fold(table: &mut Table, change: AccountChange) {
        let event = AccountEvent { event_id: table.offset().to_string(), at: 0, by: None, change };
        table.fold(table.offset(), &event);
    }

    fn table(kind: ForwardKind) -> Table {
        let secrets = ["new", "old"].map(|secret| SealedSecret { sealed: sealer().seal(secret) });
        let target = ForwardTarget {
            payload: ForwardPayload::Thin,
            ordered: true,
            sealed_secrets: secrets.to_vec(),
            ..ForwardTarget::new("hook".to_owned(), kind, sealer().seal(URL))
        };
        let settings = AddressSettings { slack_to_from: true, forwards: vec![target], ..AddressSettings::default() };
        let mut table = Table::default();
        for (account, admin) in [("root", true), ("ann", false)] {
            fold(
                &mut table,
                AccountChange::AccountCreated { account: account.to_owned(), email: String::new(), admin },
            );
        }
        let (address, owner) = ("ann@example.org".to_owned(), "ann".to_owned());
        fold(&mut table, AccountChange::AddressReserved { address, owner, settings });
        table
    }

    #[test]
    fn a_forward_is_opened_with_all_that_its_rule_says() {
        let Standing::Called(target) = look_up(&table(ForwardKind::Webhook), &sealer(), "hook") else {
            panic!("it is to be called")
        };
        let expected = Target {
            kind: ForwardKind::Webhook,
            target: URL.to_owned(),
            payload: ForwardPayload::Thin,
            ordered: true,
            secrets: vec!["new".to_owned(), "old".to_owned()],
            slack_to_from: true,
            account: "ann".to_owned(),
        };
        assert_eq!(*target, expected);
    }

    #[test]
    fn what_this_key_does_not_open_and_what_is_of_an_unknown_kind_is_held() {
        assert_eq!(look_up(&table(ForwardKind::Webhook), &Sealer::new([8; 32]), "hook"), Standing::Held);
        assert_eq!(look_up(&table(ForwardKind::Unknown), &sealer(), "hook"), Standing::Held);
    }

    #[test]
    fn a_forward_that_is_switched_off_is_held_until_it_is_on() {
        let mut table = table(ForwardKind::Webhook);
        for (on, held) in [(false, true), (true, false)] {
            let (forward, owner) = ("hook".to_owned(), "ann".to_owned());
            fold(&mut table, AccountChange::ForwardSwitched { forward, owner, on, cause: String::new() });
            assert_eq!(look_up(&table, &sealer(), "hook") == Standing::Held, held);
        }
    }

    #[test]
    fn a_forward_is_gone_with_the_last_rule_that_names_it_and_with_its_account() {
        let mut released = table(ForwardKind::Webhook);
        let (address, owner) = ("ann@example.org".to_owned(), "ann".to_owned());
        fold(&mut released, AccountChange::AddressReleased { address, owner });
        assert_eq!(look_up(&released, &sealer(), "hook"), Standing::Gone);
        let mut removed = table(ForwardKind::Webhook);
        fold(&mut removed, AccountChange::AccountRemoved { account: "ann".to_owned() });
        assert_eq!(look_up(&removed, &sealer(), "hook"), Standing::Gone);
    }
}
