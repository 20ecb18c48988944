//! The pieces meet: a data folder, its log and store, the tables that follow topics, the stages, the doors. An
//! [`engine::Engine`] is all of that once; [`house`] keeps one running, and makes a new one when the log has closed
//! itself. It knows who needs whom, and nothing of mail.

#[cfg(feature = "kafka")]
mod broker;
#[cfg(feature = "cql")]
mod cluster;
mod damage;
mod ending;
mod engine;
mod first_start;
mod folder;
mod forwards;
mod health;
pub mod house;
mod listeners;
#[cfg(any(feature = "kafka", feature = "cql"))]
mod missing;
#[cfg(feature = "kafka")]
mod node;
mod own;
mod places;
mod projection;
mod raw;
mod rebuild;
mod registry;
mod removal;
mod replay;
mod schemas;
mod secrets;
mod stage;
mod stand_in;
mod storing;
#[cfg(feature = "kafka")]
mod sweep;
mod tables;
mod trainer;
mod upkeep;
mod websocket;

#[cfg(feature = "cql")]
pub use cluster::migrate as migrate_store;
pub use engine::{Engine, Parts};

pub use listeners::{Listeners, ServerFile};
pub use secrets::{ADMIN_KEY, ADMIN_KEY_FILE, API_KEY_FORM, SEAL_KEY, Secrets, first_line, is_api_key, parse_seal_key};
