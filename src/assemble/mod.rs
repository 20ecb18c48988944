//! The pieces meet: a data folder, its log and store, the tables that follow topics, the stages, the doors. An
//! [`engine::Engine`] is all of that once; [`house`] keeps one running, and makes a new one when the log has closed
//! itself. It knows who needs whom, and nothing of mail.

mod damage;
mod engine;
mod first_start;
mod folder;
mod forwards;
mod health;
pub mod house;
mod listeners;
mod projection;
mod raw;
mod rebuild;
mod removal;
mod replay;
mod stage;
mod stand_in;
mod tables;
mod trainer;
mod upkeep;
mod websocket;

pub use engine::{Engine, Parts};
pub use first_start::{ADMIN_KEY, ADMIN_KEY_FILE, Secrets};
pub use listeners::{Listeners, ServerFile};
