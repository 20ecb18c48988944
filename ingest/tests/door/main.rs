//! SMTP in from the outside: dialogues as files, hostile bytes, faults of the log, limits and the end of the server.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

mod dialogue;
mod fake_log;
mod faults;
mod limits;
mod peer;
mod pipelining;
mod shutdown;
mod smuggling;
mod states;
mod truncation;
