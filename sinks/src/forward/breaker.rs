//! What a target may cost: calls at a time, and none at all for a while after failures in a row. Pure. It protects the
//! receiver and everybody else's deliveries; when a delivery is tried again is the schedule's business.

use super::schedule::jittered;

/// Failures in a row after which a target is left alone.
pub const OPENS_AFTER: u32 = 5;
/// How long it is left alone at first, in milliseconds; each probe that fails doubles it.
pub const FIRST_PAUSE_MS: i64 = 5_000;
/// The longest that it is left alone: so late at most is it seen that a target is back.
pub const LONGEST_PAUSE_MS: i64 = 60_000;

/// What was seen of a target lately. It is forgotten at a stop: then a target is tried with one call at first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breaker {
    failures: u32,
    /// Calls that may be made at a time: doubled by success, one after a failure and at the start.
    width: u32,
    /// No call is made before.
    until_ms: i64,
}

/// For the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    Closed,
    /// Left alone.
    Open,
    /// One call finds out.
    HalfOpen,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failures: 0, width: 1, until_ms: 0 }
    }
}

impl Breaker {
    /// A target of which this many deliveries have failed already: one that looks dead is asked by one call, and left
    /// alone at once if that fails.
    pub fn after_failures(failures: u32) -> Self {
        Self { failures, ..Self::default() }
    }

    /// Calls that may be made at a time.
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// No call is made before this time, in milliseconds since 1970.
    pub const fn until_ms(&self) -> i64 {
        self.until_ms
    }

    /// Whether the last call failed.
    pub const fn struggles(&self) -> bool {
        self.failures > 0
    }

    pub const fn state(&self, now_ms: i64) -> State {
        match self.failures < OPENS_AFTER {
            true => State::Closed,
            false if now_ms < self.until_ms => State::Open,
            false => State::HalfOpen,
        }
    }

    /// The target answered as it should, or refused one delivery for good.
    pub fn answered(&mut self, most: u32) {
        self.failures = 0;
        self.width = self.width.saturating_mul(2).min(most).max(1);
    }

    /// The target did not answer, or asked to be called again later.
    pub fn failed(&mut self, forward: &str, now_ms: i64) {
        // What else is in flight when a target dies fails too, and tells nothing new.
        if now_ms < self.until_ms && self.failures >= OPENS_AFTER {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        self.width = 1;
        let Some(pauses) = self.failures.checked_sub(OPENS_AFTER) else { return };
        let pause = FIRST_PAUSE_MS.saturating_mul(1 << pauses.min(10)).min(LONGEST_PAUSE_MS);
        let number = i32::try_from(self.failures).unwrap_or(i32::MAX);
        self.asked_to_wait(now_ms.saturating_add(jittered(forward, number, pause)));
    }

    /// The target asked for no calls before this time.
    pub fn asked_to_wait(&mut self, until_ms: i64) {
        self.until_ms = self.until_ms.max(until_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn failing(times: u32) -> Breaker {
        let mut breaker = Breaker::default();
        (0..times).for_each(|_| breaker.failed("forward", NOW));
        breaker
    }

    #[test]
    fn it_opens_at_the_fifth_failure_in_a_row_and_not_at_the_fourth() {
        assert_eq!(failing(OPENS_AFTER - 1).state(NOW), State::Closed);
        assert_eq!(failing(OPENS_AFTER).state(NOW), State::Open);
        let mut mended = failing(OPENS_AFTER - 1);
        mended.answered(8);
        mended.failed("forward", NOW);
        assert_eq!(mended.state(NOW), State::Closed);
    }

    #[test]
    fn after_its_pause_one_call_finds_out() {
        let breaker = failing(OPENS_AFTER);
        assert_eq!(breaker.state(breaker.until_ms() - 1), State::Open);
        assert_eq!(breaker.state(breaker.until_ms()), State::HalfOpen);
        assert_eq!(breaker.width(), 1);
    }

    #[test]
    fn each_probe_that_fails_doubles_the_pause_up_to_a_minute() {
        let mut breaker = failing(OPENS_AFTER);
        let mut pause = FIRST_PAUSE_MS;
        for _ in 0..200 {
            let at = breaker.until_ms();
            breaker.failed("forward", at);
            pause = (pause * 2).min(LONGEST_PAUSE_MS);
            assert!((breaker.until_ms() - at - pause).abs() <= pause / 10);
        }
    }

    #[test]
    fn calls_that_fail_together_count_as_one_pause() {
        let mut breaker = failing(OPENS_AFTER);
        let before = breaker.clone();
        breaker.failed("forward", NOW + 1);
        assert_eq!(breaker, before);
    }

    #[test]
    fn a_probe_that_succeeds_closes_it_and_the_calls_at_a_time_double_up_to_the_most() {
        let mut breaker = failing(OPENS_AFTER + 3);
        let mut widths = Vec::new();
        for _ in 0..5 {
            breaker.answered(8);
            widths.push(breaker.width());
        }
        assert_eq!((breaker.state(NOW), widths), (State::Closed, vec![2, 4, 8, 8, 8]));
        breaker.failed("forward", NOW);
        assert_eq!(breaker.width(), 1);
    }

    #[test]
    fn a_target_that_looked_dead_before_a_stop_is_asked_once_and_left_alone() {
        let mut breaker = Breaker::after_failures(1_000);
        assert_eq!((breaker.state(NOW), breaker.width()), (State::HalfOpen, 1));
        breaker.failed("forward", NOW);
        assert_eq!(breaker.state(NOW), State::Open);
        breaker = Breaker::after_failures(u32::MAX);
        breaker.answered(8);
        assert_eq!(breaker.state(NOW), State::Closed);
    }
}
