//! When a message is said to have arrived. Readers page a list by these times, so two messages to one recipient never
//! share one where that is to be had: the time runs ahead of the clock a little, and no further than it may.

use std::collections::HashMap;

/// How far a time may run ahead of the clock. Beyond it, times repeat.
pub const MAX_AHEAD_MS: i64 = 1000;
/// Recipients whose last time is remembered. Those beyond may share a time.
pub const MAX_RECIPIENTS: usize = 65_536;
/// How often, at the most, a full memory is searched for what it no longer needs.
const PRUNE_EVERY_MS: i64 = 100;

/// The last time given to each recipient, for as long as the clock has not passed it.
#[derive(Debug, Default)]
pub struct Arrivals {
    last: HashMap<String, i64>,
    pruned_at: i64,
}

impl Arrivals {
    /// The time of a message to these recipients that comes now: at least 1 ms behind the one before it to any of them.
    pub fn next(&mut self, now_ms: i64, recipients: &[String]) -> i64 {
        let keys: Vec<String> = recipients.iter().map(|recipient| key(recipient)).collect();
        let taken = keys.iter().filter_map(|key| self.last.get(key)).max();
        let free = taken.map_or(now_ms, |taken| taken.saturating_add(1).max(now_ms));
        // A clock that was set back is followed, too.
        let at = free.min(now_ms.saturating_add(MAX_AHEAD_MS));
        self.prune(now_ms, keys.len());
        for key in keys {
            if self.last.len() < MAX_RECIPIENTS || self.last.contains_key(&key) {
                self.last.insert(key, at);
            }
        }
        at
    }

    /// Forgets what the clock has passed, when there is no room for so many more.
    fn prune(&mut self, now_ms: i64, more: usize) {
        let due = !(0..PRUNE_EVERY_MS).contains(&now_ms.saturating_sub(self.pruned_at));
        if due && self.last.len().saturating_add(more) > MAX_RECIPIENTS {
            self.last.retain(|_, last| *last >= now_ms);
            self.pruned_at = now_ms;
        }
    }
}

/// One for all spellings of a recipient, and for its tags (`name+tag@domain`), whose mail goes to one inbox.
fn key(recipient: &str) -> String {
    let lower = recipient.to_lowercase();
    let Some((local, domain)) = lower.rsplit_once('@') else { return lower };
    match local.split_once('+') {
        Some((name, _)) => format!("{name}@{domain}"),
        None => lower,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(recipients: &[&str]) -> Vec<String> {
        recipients.iter().map(|recipient| (*recipient).to_owned()).collect()
    }

    #[test]
    fn mails_to_one_recipient_differ_by_a_millisecond_whatever_its_spelling_and_tag() {
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.next(5000, &to(&["a@x.org"])), 5000);
        assert_eq!(arrivals.next(5000, &to(&["A@X.org", "b@x.org"])), 5001);
        assert_eq!(arrivals.next(5000, &to(&["a+tag@x.org"])), 5002);
        assert_eq!(arrivals.next(5000, &to(&["b@x.org"])), 5002);
        assert_eq!(arrivals.next(5000, &to(&["c@x.org"])), 5000, "others keep the clock's time");
        assert_eq!(arrivals.next(6000, &to(&["a@x.org"])), 6000, "the clock has passed it");
    }

    #[test]
    fn the_time_runs_ahead_by_a_second_and_not_further() {
        let mut arrivals = Arrivals::default();
        for ahead in 0..=MAX_AHEAD_MS {
            assert_eq!(arrivals.next(5000, &to(&["a@x.org"])), 5000 + ahead);
        }
        assert_eq!(arrivals.next(5000, &to(&["a@x.org"])), 5000 + MAX_AHEAD_MS);
        assert_eq!(arrivals.next(5001, &to(&["a@x.org"])), 5001 + MAX_AHEAD_MS);
        assert_eq!(arrivals.next(10, &to(&["a@x.org"])), 10 + MAX_AHEAD_MS, "the clock was set back");
    }

    #[test]
    fn the_memory_is_bounded_and_forgets_what_the_clock_has_passed() {
        let mut arrivals = Arrivals::default();
        let many = |from: usize, to: usize| (from..to).map(|n| format!("r{n}@x.org")).collect::<Vec<_>>();
        arrivals.next(5000, &many(0, MAX_RECIPIENTS));
        assert_eq!(arrivals.last.len(), MAX_RECIPIENTS);
        assert_eq!(arrivals.next(5000, &to(&["one-more@x.org"])), 5000);
        assert_eq!(arrivals.next(5000, &to(&["one-more@x.org"])), 5000, "it was not remembered");
        assert_eq!(arrivals.next(5000, &to(&["r7@x.org"])), 5001);
        arrivals.next(5200, &to(&["one-more@x.org"]));
        assert_eq!(arrivals.last.len(), 1);
    }

    #[test]
    fn no_recipients_and_odd_ones_harm_nothing() {
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.next(i64::MAX, &to(&["", "@", "+", "+@+", "x"])), i64::MAX);
        assert_eq!(arrivals.next(i64::MAX, &to(&["x"])), i64::MAX);
        assert_eq!(arrivals.next(7, &[]), 7);
    }
}
