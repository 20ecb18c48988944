//! What follows from an attempt: what is recorded, what is due from then on, and what it says about the target. Pure.

use schemas::event::{AttemptOutcome, ForwardAttempt, ForwardDue};
use schemas::record::Partition;

use super::book::Verdict;
use super::courier::{Attempted, Called, MAX_ANSWER_BYTES, MAX_CAUSE_BYTES};
use super::ledger::{Next, Recorded, SwitchedOff};
use super::schedule;

/// What the story of a delivery says of each attempt's cause.
const MAX_STORY_CAUSE_BYTES: usize = 200;

/// A call, or that none was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub partition: Partition,
    pub due: ForwardDue,
    /// Whose forward it is; empty when that is not known any more.
    pub account: String,
    pub started_ms: i64,
    pub duration_ms: i64,
    pub attempted: Attempted,
}

/// What follows from a call that ended at `now_ms`. The story is still to be told where one is due.
pub(super) fn conclude(call: Call, now_ms: i64) -> (Recorded, Verdict) {
    let Call { partition, due, account, started_ms, duration_ms, attempted } = call;
    let Attempted { outcome, status, answer } = attempted;
    let number = due.attempts.saturating_add(1);
    let mut attempt = ForwardAttempt {
        delivery_id: due.delivery_id.clone(),
        forward: due.forward.clone(),
        message_id: due.message_id.clone(),
        index: due.index,
        attempt: number,
        at: started_ms,
        duration_ms,
        outcome: AttemptOutcome::Delivered,
        status,
        cause: String::new(),
        answer: cut(answer, MAX_ANSWER_BYTES),
        next_at: None,
    };
    let (mut next, mut off, mut verdict) = (Next::Ended { story: None }, None, Verdict::Answered);
    match outcome {
        Called::Delivered => (),
        Called::Later { retry_after, cause } => {
            attempt.cause = cut(cause, MAX_CAUSE_BYTES);
            attempt.next_at = schedule::next_at(&due.delivery_id, number, now_ms, retry_after);
            let asked = retry_after.map(|asked| now_ms.saturating_add(schedule::asked_ms(asked)));
            verdict = Verdict::Failed { asked_until_ms: asked };
            match attempt.next_at {
                Some(next_at) => {
                    attempt.outcome = AttemptOutcome::Later;
                    next = Next::Due(ForwardDue { next_at, attempts: number, ..due.clone() });
                }
                None => {
                    attempt.outcome = AttemptOutcome::Exhausted;
                    next = Next::Ended { story: Some(String::new()) };
                }
            }
        }
        Called::Refused { cause, off: switch_off } => {
            attempt.outcome = AttemptOutcome::Refused;
            attempt.cause = cut(cause, MAX_CAUSE_BYTES);
            next = Next::Ended { story: Some(String::new()) };
            off = switch_off.then(|| SwitchedOff {
                forward: due.forward.clone(),
                owner: account,
                cause: attempt.cause.clone(),
            });
        }
        Called::Dropped { cause } => {
            attempt.outcome = AttemptOutcome::Dropped;
            attempt.attempt = 0;
            attempt.cause = cut(cause, MAX_CAUSE_BYTES);
            verdict = Verdict::Silent;
        }
    }
    (Recorded { partition, due, attempt, next, off }, verdict)
}

/// The story of a delivery that was given up: every attempt that stands on the log, and the last.
pub(super) fn story(before: &[ForwardAttempt], last: &ForwardAttempt) -> String {
    let before = before.iter().filter(|one| one.attempt > 0 && one.attempt < last.attempt);
    let attempts: Vec<&ForwardAttempt> = before.chain([last]).collect();
    let first_at = attempts.first().map_or(last.at, |first| first.at);
    let end = match last.outcome {
        AttemptOutcome::Exhausted => "the last of its attempts failed",
        _ => "it was refused",
    };
    let mut story = format!("given up: {end}");
    for one in attempts {
        let after_s = one.at.saturating_sub(first_at) / 1_000;
        let status = one.status.map(|status| format!("status {status}, ")).unwrap_or_default();
        let cause = cut(one.cause.clone(), MAX_STORY_CAUSE_BYTES);
        story.push_str(&format!("\nattempt {} after {after_s} s: {status}{cause}", one.attempt));
    }
    story
}

/// The start of a text, in whole characters.
fn cut(mut text: String, most_bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(most_bytes));
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use schemas::MessageId;

    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn call(attempts: i32, outcome: Called) -> Call {
        let due = ForwardDue {
            delivery_id: "dlv_1".to_owned(),
            forward: "f".to_owned(),
            message_id: MessageId::from_parts(NOW, [0; 10]),
            index: 2,
            routed_offset: 7,
            arrived_at: NOW - 50,
            next_at: 0,
            attempts,
            origin: "backfill-1".to_owned(),
        };
        let attempted = Attempted { outcome, status: Some(500), answer: "answered".to_owned() };
        Call { partition: 3, due, account: "ann".to_owned(), started_ms: NOW - 20, duration_ms: 20, attempted }
    }

    fn later(retry_after: Option<Duration>) -> Called {
        Called::Later { retry_after, cause: "no answer".to_owned() }
    }

    #[test]
    fn what_was_delivered_has_ended_without_a_story() {
        let (recorded, verdict) = conclude(call(2, Called::Delivered), NOW);
        assert_eq!((recorded.partition, recorded.next), (3, Next::Ended { story: None }));
        let attempt = recorded.attempt;
        assert_eq!((attempt.outcome, attempt.attempt, attempt.next_at), (AttemptOutcome::Delivered, 3, None));
        assert_eq!((attempt.at, attempt.duration_ms, attempt.status), (NOW - 20, 20, Some(500)));
        assert_eq!((attempt.answer.as_str(), attempt.cause.as_str()), ("answered", ""));
        assert_eq!((verdict, recorded.off), (Verdict::Answered, None));
    }

    #[test]
    fn what_failed_is_due_again_under_the_same_id_with_one_attempt_more() {
        let before = call(0, later(None));
        let (recorded, verdict) = conclude(before.clone(), NOW);
        let next_at = schedule::next_at("dlv_1", 1, NOW, None).unwrap();
        assert_eq!(recorded.next, Next::Due(ForwardDue { next_at, attempts: 1, ..before.due }));
        assert_eq!((recorded.attempt.outcome, recorded.attempt.next_at), (AttemptOutcome::Later, Some(next_at)));
        assert_eq!(verdict, Verdict::Failed { asked_until_ms: None });
    }

    #[test]
    fn a_wait_that_was_asked_for_holds_for_the_delivery_and_for_its_target() {
        let (recorded, verdict) = conclude(call(0, later(Some(Duration::from_secs(90)))), NOW);
        assert_eq!(recorded.attempt.next_at, Some(NOW + 90_000));
        assert_eq!(verdict, Verdict::Failed { asked_until_ms: Some(NOW + 90_000) });
    }

    #[test]
    fn the_tenth_attempt_is_the_last_and_the_ninth_is_not() {
        assert!(matches!(conclude(call(8, later(None)), NOW).0.next, Next::Due(_)));
        let (recorded, _) = conclude(call(9, later(None)), NOW);
        assert!(matches!(recorded.next, Next::Ended { story: Some(_) }));
        assert_eq!((recorded.attempt.outcome, recorded.attempt.attempt), (AttemptOutcome::Exhausted, 10));
    }

    #[test]
    fn a_refusal_ends_the_delivery_and_switches_the_forward_off_only_where_it_says_so() {
        for off in [false, true] {
            let (recorded, verdict) = conclude(call(0, Called::Refused { cause: "gone".to_owned(), off }), NOW);
            assert_eq!((recorded.attempt.outcome, verdict), (AttemptOutcome::Refused, Verdict::Answered));
            assert!(matches!(recorded.next, Next::Ended { story: Some(_) }));
            let switched = SwitchedOff { forward: "f".to_owned(), owner: "ann".to_owned(), cause: "gone".to_owned() };
            assert_eq!(recorded.off, off.then_some(switched));
        }
    }

    #[test]
    fn what_was_dropped_counts_as_no_attempt_and_says_nothing_of_the_target() {
        let (recorded, verdict) = conclude(call(4, Called::Dropped { cause: "deleted".to_owned() }), NOW);
        assert_eq!((recorded.attempt.outcome, recorded.attempt.attempt), (AttemptOutcome::Dropped, 0));
        assert_eq!((recorded.next, verdict), (Next::Ended { story: None }, Verdict::Silent));
    }

    #[test]
    fn an_answer_of_4096_bytes_is_kept_and_one_of_4097_is_cut() {
        let kept = |answer: String| {
            let mut call = call(0, Called::Delivered);
            call.attempted.answer = answer;
            conclude(call, NOW).0.attempt.answer.len()
        };
        assert_eq!(kept("a".repeat(MAX_ANSWER_BYTES)), MAX_ANSWER_BYTES);
        assert_eq!(kept("a".repeat(MAX_ANSWER_BYTES + 1)), MAX_ANSWER_BYTES);
        assert_eq!(kept("a".repeat(MAX_ANSWER_BYTES - 1) + "é"), MAX_ANSWER_BYTES - 1);
    }

    #[test]
    fn a_cause_of_1024_bytes_is_kept_and_one_of_1025_is_cut() {
        for length in [MAX_CAUSE_BYTES, MAX_CAUSE_BYTES + 1] {
            let cause = "c".repeat(length);
            assert_eq!(conclude(call(0, Called::Dropped { cause }), NOW).0.attempt.cause.len(), MAX_CAUSE_BYTES);
        }
    }

    #[test]
    fn the_story_tells_every_attempt_once() {
        let attempts: Vec<ForwardAttempt> = (0..10)
            .map(|number| {
                let mut attempt = conclude(call(number, later(None)), NOW).0.attempt;
                attempt.at = NOW + i64::from(number) * 60_000;
                attempt
            })
            .collect();
        let told = story(&attempts, &attempts[9]);
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.len(), 11);
        assert_eq!(lines[0], "given up: the last of its attempts failed");
        assert_eq!(lines[1], "attempt 1 after 0 s: status 500, no answer");
        assert_eq!(lines[10], "attempt 10 after 540 s: status 500, no answer");
        assert_eq!(story(&[], &attempts[9]).lines().count(), 2);
    }
}
