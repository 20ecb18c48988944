//! The embedded log passes the suite of every log, and keeps promises of its own.

pub(crate) mod bench;
mod contract;
mod missing;
mod own;
