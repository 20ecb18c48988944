//! The shared language: what a topic is called, what a record looks like, and the type, schema and bytes of every
//! event that Postlog writes. It knows nothing of who writes, reads or stores them.

pub mod codec;
pub mod event;
pub mod id;
mod octets;
pub mod record;
pub mod released;
pub mod topic;

pub use event::Event;
pub use id::{EntryId, MessageId};
pub use record::{NewRecord, Position, Record};
pub use released::released;
pub use topic::Topic;
