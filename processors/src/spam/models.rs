//! The models in force: one for all mail, and those of accounts on top of it, folded from `spam.models`.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use schemas::event::SpamModel;

use super::MODEL_NAME;
use super::form::InvalidModel;
use super::model::Model;

/// What the name of an account's own model begins with; the account's id follows.
pub const OF_ACCOUNT: &str = "account:";

/// The name of the model of an account's own corrections.
pub fn own_model_name(account: &str) -> String {
    format!("{OF_ACCOUNT}{account}")
}

/// The newest model under each name.
#[derive(Clone, Debug, Default)]
pub struct Models {
    newest: BTreeMap<String, Arc<Model>>,
    /// The accounts' own on top of the one for all, by their names, made when they are first asked for.
    on_top: BTreeMap<String, OnceLock<Arc<Model>>>,
}

impl Models {
    /// Takes up a model, unless a later one of its name is there.
    pub fn fold(&mut self, event: &SpamModel) -> Result<(), InvalidModel> {
        if self.newest.get(&event.name).is_some_and(|known| known.sequence() >= event.sequence) {
            return Ok(());
        }
        self.newest.insert(event.name.clone(), Arc::new(Model::new(event)?));
        if event.name == MODEL_NAME {
            self.stand_anew();
        } else if event.name.starts_with(OF_ACCOUNT) {
            self.on_top.insert(event.name.clone(), OnceLock::new());
        }
        Ok(())
    }

    /// The accounts' own models stand on top of another one now.
    fn stand_anew(&mut self) {
        self.on_top.values_mut().for_each(|made| *made = OnceLock::new());
    }

    /// A model that is in force no longer.
    pub fn withdraw(&mut self, name: &str) {
        self.newest.remove(name);
        self.on_top.remove(name);
        if name == MODEL_NAME {
            self.stand_anew();
        }
    }

    /// The model for all mail: the starter, until there is another.
    pub fn current(&self) -> Arc<Model> {
        self.named(MODEL_NAME).unwrap_or_else(Model::starter)
    }

    /// The model for mail that is this account's alone: its own on top of the one for all, where it has one.
    pub fn of_account(&self, account: &str) -> Arc<Model> {
        let name = own_model_name(account);
        match (self.on_top.get(&name), self.newest.get(&name)) {
            (Some(made), Some(own)) => Arc::clone(made.get_or_init(|| Arc::new(Model::over(&self.current(), own)))),
            _ => self.current(),
        }
    }

    pub fn named(&self, name: &str) -> Option<Arc<Model>> {
        self.newest.get(name).cloned()
    }

    /// Every model on the topic, by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.newest.values()
    }
}
