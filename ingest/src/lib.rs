//! SMTP in: a message is taken from a peer, put on the log, and only then acknowledged.
//!
//! `command` reads one line without knowing the session, `session` decides without a socket, a clock or a log, `serve`
//! and `converse` move bytes and perform what was decided. It knows nothing of inboxes, and looks into a message only to
//! count the servers that it came through.

mod append;
mod body;
pub mod command;
pub mod converse;
mod metric;
pub mod path;
pub mod policy;
pub mod reply;
mod serve;
pub mod session;
mod unanswered;

pub use policy::{Domains, Room, Settings};
pub use serve::serve;
pub use unanswered::{HOLD_LIMIT, Unanswered};
