//! The names of this room's metrics.

/// Sessions that were begun.
pub const SESSIONS: &str = "postlog_smtp_sessions_total";
/// Sessions that are open.
pub const SESSIONS_OPEN: &str = "postlog_smtp_sessions_open";
/// Connections turned away, by cap.
pub const CONNECTIONS_REFUSED: &str = "postlog_smtp_connections_refused_total";
/// Messages that were acknowledged.
pub const ACCEPTED: &str = "postlog_smtp_accepted_total";
/// Their bytes.
pub const ACCEPTED_BYTES: &str = "postlog_smtp_accepted_bytes_total";
/// Replies that refused something, by code.
pub const REFUSED: &str = "postlog_smtp_refused_total";
/// From the end of the content to the log's answer.
pub const APPEND_SECONDS: &str = "postlog_smtp_append_seconds";
