//! When a delivery that failed is tried again. Pure: the jitter is derived from the delivery and the attempt.

use std::time::Duration;

use sha2::{Digest, Sha256};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// How long it is from the attempt before to each attempt, in milliseconds: Standard Webhooks' schedule.
pub const WAITS_MS: [i64; 10] =
    [0, 5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
/// The jitter is up to a tenth, both ways.
const JITTER_PARTS: i64 = 10;
/// The longest wait that an answer may ask for (RFC 9110 10.2.3).
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// When the attempt after this one (the first is 1) is due, if it ended at `now_ms`; `None` after the last.
pub fn next_at(delivery_id: &str, attempt: i32, now_ms: i64, retry_after: Option<Duration>) -> Option<i64> {
    let wait = WAITS_MS.get(usize::try_from(attempt).ok()?).copied()?;
    let asked = retry_after.map_or(0, asked_ms);
    Some(now_ms.saturating_add(jittered(delivery_id, attempt, wait).max(asked)))
}

/// The wait that an answer asked for, in milliseconds, as far as it may.
pub fn asked_ms(retry_after: Duration) -> i64 {
    i64::try_from(retry_after.min(MAX_RETRY_AFTER).as_millis()).unwrap_or(i64::MAX)
}

/// The wait, up to a tenth shorter or longer: always the same for the same name and number.
pub fn jittered(name: &str, number: i32, wait_ms: i64) -> i64 {
    let mut hash = Sha256::new();
    hash.update(name.as_bytes());
    hash.update(number.to_be_bytes());
    let digest = hash.finalize();
    let drawn = digest.iter().take(2).fold(0, |number, byte| (number << 8) | i64::from(*byte));
    let span = wait_ms / JITTER_PARTS;
    wait_ms - span + 2 * span * drawn / i64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    #[test]
    fn ten_attempts_lie_as_the_schedule_says_a_tenth_more_or_less_apart() {
        for delivery in 0..200 {
            let id = format!("dlv_{delivery}");
            for (attempt, wait) in (1..).zip(WAITS_MS.iter().skip(1)) {
                let after = next_at(&id, attempt, NOW, None).unwrap() - NOW;
                assert!((after - wait).abs() <= wait / 10, "{after} for {wait}");
            }
        }
        assert_eq!(WAITS_MS.iter().sum::<i64>(), 75 * HOUR + 35 * MINUTE + 5 * SECOND);
    }

    #[test]
    fn nothing_follows_the_tenth_attempt() {
        assert!(next_at("dlv_1", 9, NOW, None).is_some());
        assert_eq!(next_at("dlv_1", 10, NOW, Some(Duration::from_secs(1))), None);
        assert_eq!(next_at("dlv_1", i32::MAX, NOW, None), None);
        assert_eq!(next_at("dlv_1", -1, NOW, None), None);
    }

    #[test]
    fn the_same_attempt_of_the_same_delivery_waits_equally_long_and_others_differ() {
        let waits: Vec<i64> = (0..100).map(|one| jittered(&format!("dlv_{one}"), 3, HOUR)).collect();
        assert_eq!(waits, (0..100).map(|one| jittered(&format!("dlv_{one}"), 3, HOUR)).collect::<Vec<_>>());
        let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        assert!(*least < HOUR - HOUR / 20 && *most > HOUR + HOUR / 20, "{least} to {most}");
        assert_ne!(jittered("dlv_1", 3, HOUR), jittered("dlv_1", 4, HOUR));
    }

    #[test]
    fn an_answer_may_ask_for_a_longer_wait_and_never_for_a_shorter_one() {
        let asked = |seconds| next_at("dlv_1", 1, NOW, Some(Duration::from_secs(seconds))).unwrap() - NOW;
        assert_eq!(asked(120), 120 * SECOND);
        assert_eq!(asked(0), jittered("dlv_1", 1, 5 * SECOND));
    }

    #[test]
    fn an_answer_may_ask_for_a_day_and_for_no_second_more() {
        let asked = |seconds| next_at("dlv_1", 1, NOW, Some(Duration::from_secs(seconds))).unwrap() - NOW;
        assert_eq!(asked(24 * 60 * 60), 24 * HOUR);
        assert_eq!(asked(24 * 60 * 60 + 1), 24 * HOUR);
        assert_eq!(asked(u64::MAX), 24 * HOUR);
    }
}
