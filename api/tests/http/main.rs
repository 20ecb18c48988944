//! The HTTP doors over an embedded log and store: requests and answers as files (`cases/*.case`), who may read what,
//! limits, and what is said when the log or the store can't.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail")]

mod access;
mod cases;
mod classifier;
mod events;
mod faults;
mod house;
mod limits;
mod operator;
mod reading;
mod registry;
mod socket;
mod spam;
mod wire;
