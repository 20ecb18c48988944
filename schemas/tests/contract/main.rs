//! What the topics promise to every reader: bytes of every schema ever released stay readable, and hostile ones harmless.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail")]

mod evolution;
mod examples;
mod golden;
mod hostile;
mod page;
mod releases;
