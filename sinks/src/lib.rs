//! Events to the world: each sink takes records of the log and has one effect outside of it, the same however often it
//! is given them. A sink owns no position on the log except where the effect and the position are one write.

pub mod forward;
pub mod guard;
pub mod message;
pub mod post;
pub mod slack;
pub mod store;
pub mod webhook;
pub mod websocket;
