//! The model that scores a mail again, and the number under which the score counts.
//!
//! Of two scores of a message the one with the higher model number counts, then the later one. A replay is the later word
//! whatever model it is told to use, so its scores carry the highest number in force when it began: an older model, or
//! one from a file, has none of its own here. Which model it was stands in the version.

use std::sync::Arc;

use accounts::Table;
use api::http::OperationError;
use api::http::replay::AskedModel;
use eventlog::Log;
use processors::route::{entries, sole_owner};
use processors::spam::{Counts, MODEL_NAME, Model, Models};
use schemas::event::MailRaw;
use schemas::{Event, Topic, codec};

use super::failed;
use super::mail::each;

/// What the starter is asked for by.
const STARTER: &str = "starter";
/// The name under which a file's model scores.
const FILE: &str = "file";

pub struct Chosen {
    models: Models,
    /// For all mail, where one was asked for.
    only: Option<Arc<Model>>,
    pub sequence: i64,
}

impl Chosen {
    pub async fn of(asked: &AskedModel, models: Models, log: &dyn Log) -> Result<Self, OperationError> {
        let sequence = models.all().map(|model| model.sequence()).max().unwrap_or(0);
        let only = match asked {
            AskedModel::InForce => None,
            AskedModel::Version(version) => Some(version_of(version, log).await?),
            AskedModel::File(bytes) => Some(file(bytes)?),
        };
        Ok(Self { models, only, sequence })
    }

    /// What it scores with, by version: for the mark.
    pub fn versions(&self) -> Vec<String> {
        match &self.only {
            Some(model) => vec![model.name().to_owned(), model.version().to_owned(), self.sequence.to_string()],
            None => {
                let all = self.models.all().map(|model| format!("{} {}", model.name(), model.version()));
                all.chain([self.models.current().version().to_owned(), self.sequence.to_string()]).collect()
            }
        }
    }

    /// The version that people know it by.
    pub fn version(&self) -> String {
        self.only.as_ref().map_or_else(|| self.models.current().version().to_owned(), |only| only.version().to_owned())
    }

    /// Whether accounts have models of their own, so that it matters whose a mail is.
    pub fn is_by_account(&self) -> bool {
        self.only.is_none() && self.models.all().any(|model| model.name() != MODEL_NAME)
    }

    /// The model for mail to these recipients, or in these inboxes.
    pub fn for_mail(&self, whose: &Whose<'_>, accounts: &Table) -> Arc<Model> {
        if let Some(only) = &self.only {
            return Arc::clone(only);
        }
        let owner = match whose {
            Whose::Raw(raw) => sole_owner(&entries(raw, accounts), accounts).map(str::to_owned),
            Whose::Inboxes(inboxes) => {
                let mut owners = inboxes.iter().map(|inbox| accounts.owner_of(inbox).map(|owner| owner.id.clone()));
                let first = owners.next().flatten();
                first.filter(|first| owners.all(|owner| owner.as_ref() == Some(first)))
            }
        };
        processors::model_for(owner.as_deref(), &self.models)
    }
}

/// Whose a mail is: as it would be routed now, or, where its envelope is gone, by the inboxes that it is in.
pub enum Whose<'a> {
    Raw(&'a MailRaw),
    Inboxes(&'a [String]),
}

async fn version_of(version: &str, log: &dyn Log) -> Result<Arc<Model>, OperationError> {
    let starter = Model::starter();
    if version == STARTER || version == starter.version() {
        return Ok(starter);
    }
    let (mut found, mut known) = (None, vec![format!("{STARTER} ({})", starter.version())]);
    each(log, Topic::SpamModels, |record| {
        let event = record.value.as_deref().and_then(|value| codec::decode(Topic::SpamModels, value).ok());
        if let Some(Event::Model(model)) = event {
            if model.version == version {
                found = Some(model);
            } else if model.name == MODEL_NAME {
                known.push(model.version);
            }
        }
    })
    .await?;
    let Some(model) = found else {
        let known = known.join(", ");
        return Err(OperationError::Refused(format!("there is no model {version} on spam.models; there are {known}")));
    };
    Ok(Arc::new(Model::new(&model).map_err(failed)?))
}

/// What `postlog spam train` has written.
fn file(bytes: &[u8]) -> Result<Arc<Model>, OperationError> {
    let refused = |cause: String| OperationError::Refused(format!("the file is no model: {cause}"));
    let counts = Counts::from_file(bytes).map_err(|error| refused(error.to_string()))?;
    let model = Model::new(&counts.to_event(FILE, 0, 0)).map_err(|error| refused(error.to_string()))?;
    Ok(Arc::new(model))
}
