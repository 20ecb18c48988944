//! Events to events: what a message says ([`parse`]), how much it looks like spam ([`spam`]), where it goes
//! ([`route`]), and the three in one go ([`process`]).
//!
//! Every step is a function of a record and of tables: no clock, chance, network, disk or log line. Work is bounded by
//! counts, never by time. What can't be read is said in the fact (`problems`), and is no error.

mod chain;
pub mod parse;
pub mod route;
pub mod spam;

pub use chain::{Facts, minimal, model_for, process};
