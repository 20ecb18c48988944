//! The names of this room's metrics, and what is said of each.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

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

/// The caps of [`CONNECTIONS_REFUSED`].
const CAPS: [&str; 3] = ["total", "address", "network"];
/// The codes of [`REFUSED`].
const CODES: [&str; 12] = ["421", "451", "452", "500", "501", "502", "503", "550", "552", "553", "554", "555"];

/// Says what each is, and sets all that count at zero: what has not happened yet is a number, too.
pub fn register() {
    describe_counter!(SESSIONS, "SMTP sessions that were begun");
    describe_gauge!(SESSIONS_OPEN, "SMTP sessions that are open");
    describe_counter!(CONNECTIONS_REFUSED, "SMTP connections turned away, by the cap that they were over");
    describe_counter!(ACCEPTED, "Messages that were acknowledged with 250");
    describe_counter!(ACCEPTED_BYTES, Unit::Bytes, "Bytes of the messages that were acknowledged");
    describe_counter!(REFUSED, "SMTP replies that refused something, by code");
    describe_histogram!(APPEND_SECONDS, Unit::Seconds, "From the end of a message's content to the log's answer");
    for name in [SESSIONS, ACCEPTED, ACCEPTED_BYTES] {
        metrics::counter!(name).increment(0);
    }
    metrics::gauge!(SESSIONS_OPEN).increment(0.0);
    for cap in CAPS {
        metrics::counter!(CONNECTIONS_REFUSED, "cap" => cap).increment(0);
    }
    for code in CODES {
        metrics::counter!(REFUSED, "code" => code).increment(0);
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn what_has_not_happened_yet_is_shown_as_none_and_explained() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, register);
        let shown = recorder.handle().render();
        for line in [
            "# HELP postlog_smtp_accepted_total Messages that were acknowledged with 250",
            "postlog_smtp_accepted_total 0",
            "postlog_smtp_sessions_open 0",
            r#"postlog_smtp_refused_total{code="452"} 0"#,
            r#"postlog_smtp_connections_refused_total{cap="total"} 0"#,
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{line} in {shown}");
        }
    }
}
