//! Webhooks and Slack, called over real sockets on this machine.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod destinations;
mod mail;
mod receiver;
mod slack;
mod webhook;
