//! The configuration: one TOML file with a section a room, the environment over it, flags over both. Read, then
//! checked as a whole without touching the world (every fault with its key), then turned into what the rooms take.

mod admin_key;
mod brokers;
mod build;
mod client;
mod cql;
mod environment;
mod key;
mod read;
pub mod reference;
mod registry;
mod seal_key;
mod sections;
mod stages;
mod validate;

pub use build::{ForwardSettings, LogSettings, RetentionSettings, Settings, StoreSettings};
pub use read::Sources;
pub use registry::RegistrySettings;
pub use sections::Config;
pub use stages::Stages;

use std::fmt;

/// What is wrong with the configuration: at which key, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    pub key: String,
    /// Where the value comes from: the file, a variable, a flag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    pub cause: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(f, "{}: {} ({source})", self.key, self.cause),
            None => write!(f, "{}: {}", self.key, self.cause),
        }
    }
}

/// All faults at once.
#[derive(Debug, thiserror::Error)]
#[error("the configuration can't work:{list}", list = .0.iter().map(|fault| format!("\n  {fault}")).collect::<String>())]
pub struct Faults(pub Vec<Fault>);

/// Variables that begin as ours do and stand for nothing: most often misspelt, yet the environment is shared with
/// others, so that the server starts all the same.
pub fn strange_variables(sources: &Sources) -> Vec<Fault> {
    environment::faults(&sources.environment, &Config::keys())
}

/// Reads, checks and builds, and says everything that is wrong.
pub fn load(sources: &Sources) -> Result<Settings, Faults> {
    let (config, mut faults) = read::read(sources);
    // Where the form is wrong the default stands, and that has no fault.
    faults.extend(validate::validate(&config));
    faults.extend(admin_key::fault(&sources.environment, config.top.admin_key_file.as_deref()));
    let credentials = config.schema_registry.credentials_file.as_deref();
    faults.extend(registry::fault(&sources.environment, credentials));
    faults.extend(seal_key::fault(&sources.environment, config.top.seal_key_file.as_deref()));
    if !faults.is_empty() {
        return Err(Faults(faults));
    }
    build::build(&config).map_err(Faults)
}

/// What runs where nothing is set.
#[cfg(test)]
pub fn defaults() -> Settings {
    build::build(&Config::default()).expect("the defaults can work")
}
