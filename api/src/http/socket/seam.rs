//! What this door needs of whoever reads the log for it.

use async_trait::async_trait;
use bytes::Bytes;

/// Mail as it comes.
#[async_trait]
pub trait Incoming: Send + Sync + 'static {
    async fn listen(&self, ask: Ask) -> Result<Box<dyn Listening>, NotListening>;
}

/// What is listened for: names in their one spelling, all of them the account's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    pub account: String,
    pub addresses: Vec<String>,
    pub domains: Vec<String>,
    /// A cursor: what came behind it comes first.
    pub after: Option<String>,
}

/// Named for what is said to who asks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotListening {
    #[error("{0}")]
    TooMany(String),
    /// The text is no cursor of this log.
    #[error("after: {0}")]
    Cursor(String),
    /// What came behind the cursor is in part not on the log any more.
    #[error("after: mail that came behind this cursor is not on the log any more; read it from the API")]
    Gone,
    #[error("the server can't do this for now")]
    Unavailable,
}

/// One who listens; gives its place up when dropped.
#[async_trait]
pub trait Listening: Send {
    /// Where to begin again behind what was handed out.
    fn cursor(&self) -> String;

    /// Nothing is lost when the future is dropped.
    async fn next(&mut self) -> Next;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// What [`super::render`] made.
    Mail { body: Bytes, cursor: String },
    /// What came behind the cursor that was asked for has been handed out.
    CaughtUp { cursor: String },
    /// It can't keep up: it has to come again with this cursor.
    TooSlow { cursor: String },
}
