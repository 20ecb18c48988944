//! Bytes on a socket, no meaning: what every text protocol with CRLF lines needs, and not a word of any of them.
//!
//! Readers here are functions over the bytes that lie in a [`Connection`]'s buffer: they say how much they took and
//! what it was, and never wait. Only [`Connection::fill`] waits. Every reader stays in step with the peer whatever the
//! peer sends, in memory that the peer does not control.

pub mod accept;
pub mod chunk;
pub mod connection;
pub mod dot;
pub mod line;
pub mod pace;
pub mod strays;
pub mod tls;

pub use accept::{Caps, Guest, Guests, Rest, TooMany};
pub use chunk::ChunkReader;
pub use connection::Connection;
pub use dot::DotReader;
pub use line::{Line, LineReader};
pub use pace::{Late, Pace};
pub use strays::Strays;
pub use tls::{TlsError, Trust};
