//! The names of the forwards' metrics, and how they are said. No label names a target or an address.

use metrics::{counter, gauge, histogram};
use schemas::event::{AttemptOutcome, ForwardKind};

use super::book::Figures;

/// Gauge, by `state` (`waiting`, `in_flight` or `held`): deliveries that are due, now or later.
pub const DUE: &str = "postlog_forward_due";
/// Gauge: how long the oldest of them has been due, in seconds.
pub const OLDEST_DUE: &str = "postlog_forward_oldest_due_seconds";
/// Counter, by `kind` and `outcome`: attempts that stand on the log.
pub const ATTEMPTS: &str = "postlog_forward_attempts_total";
/// Histogram, by `kind`: how long a call took.
pub const CALL_SECONDS: &str = "postlog_forward_call_seconds";
/// Gauge, by `state` (`closed`, `open` or `half_open`): targets to which something is due or that failed lately.
pub const BREAKERS: &str = "postlog_forward_breakers";
/// Counter: attempts that the log did not take at once.
pub const UNRECORDED: &str = "postlog_forward_unrecorded_total";
/// Counter: deliveries that were put back, since the store did not show their entry yet or could not be asked.
pub const NOT_SHOWN: &str = "postlog_forward_not_shown_total";

pub(super) fn say(figures: Figures) {
    let number = |count: usize| u32::try_from(count).map_or(f64::MAX, f64::from);
    gauge!(DUE, "state" => "waiting").set(number(figures.waiting));
    gauge!(DUE, "state" => "in_flight").set(number(figures.in_flight));
    gauge!(DUE, "state" => "held").set(number(figures.held));
    let age = u64::try_from(figures.oldest_age_ms).unwrap_or(0);
    gauge!(OLDEST_DUE).set(std::time::Duration::from_millis(age).as_secs_f64());
    gauge!(BREAKERS, "state" => "closed").set(number(figures.closed));
    gauge!(BREAKERS, "state" => "open").set(number(figures.open));
    gauge!(BREAKERS, "state" => "half_open").set(number(figures.half_open));
}

pub(super) fn attempted(kind: Option<ForwardKind>, outcome: AttemptOutcome) {
    counter!(ATTEMPTS, "kind" => kind_name(kind), "outcome" => outcome_name(outcome)).increment(1);
}

pub(super) fn called(kind: ForwardKind, took: std::time::Duration) {
    histogram!(CALL_SECONDS, "kind" => kind_name(Some(kind))).record(took.as_secs_f64());
}

const fn kind_name(kind: Option<ForwardKind>) -> &'static str {
    match kind {
        Some(ForwardKind::Webhook) => "webhook",
        Some(ForwardKind::Slack) => "slack",
        Some(ForwardKind::Mail) => "mail",
        Some(ForwardKind::Unknown) | None => "unknown",
    }
}

const fn outcome_name(outcome: AttemptOutcome) -> &'static str {
    match outcome {
        AttemptOutcome::Delivered => "delivered",
        AttemptOutcome::Later => "later",
        AttemptOutcome::Refused => "refused",
        AttemptOutcome::Exhausted => "exhausted",
        AttemptOutcome::Dropped => "dropped",
        AttemptOutcome::Unknown => "unknown",
    }
}
