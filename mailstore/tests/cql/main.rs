//! The body on CQL against a real Cassandra, which this program starts and stops.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod contract;
mod faults;
mod old_rows;
mod proxy;
#[path = "../../../scripts/scripted.rs"]
#[allow(dead_code, reason = "each program needs a part of it")]
mod scripted;
mod server;
mod tls;
mod writers;
