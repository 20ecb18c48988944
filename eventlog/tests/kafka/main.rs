//! The log on Kafka, on a real broker: the one that `POSTLOG_TEST_KAFKA` names (`host:port`), or one that is started
//! for the tests by `scripts/kafka` and ends with them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail")]

mod bench;
mod broker;
mod contract;
mod faults;
mod hands;
mod nodes;
mod process;
#[path = "../../../scripts/scripted.rs"]
#[allow(dead_code, reason = "each program needs a part of it")]
mod scripted;
mod secure;
mod shares;
mod sizes;
mod topics;
