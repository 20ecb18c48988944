//! How long a peer may take: a wait for a whole line does not begin anew with each byte, and bulk data has to come at a
//! minimum rate. Only time spent waiting for the peer counts, never our own.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::time::{Instant, timeout};

/// The peer took too long.
#[derive(Debug, thiserror::Error)]
#[error("the peer took too long")]
pub struct Late;

/// The time that one phase of a session may spend on waiting for the peer. Bytes earn time, but never more than the
/// phase began with: a peer that was fast may not stall for it.
#[derive(Debug)]
pub struct Pace {
    most: Duration,
    left: Duration,
    /// What each received byte earns.
    per_byte: Duration,
    longest_pause: Duration,
}

impl Pace {
    /// So much time altogether, however many bytes come.
    pub const fn within(limit: Duration) -> Self {
        Self { most: limit, left: limit, per_byte: Duration::ZERO, longest_pause: limit }
    }

    /// At least so many bytes a second, with a start and pauses up to `grace`, and no pause longer than `longest_pause`.
    pub fn at_least(bytes_per_second: u32, grace: Duration, longest_pause: Duration) -> Self {
        let per_byte = Duration::from_secs(1) / bytes_per_second.max(1);
        Self { most: grace, left: grace, per_byte, longest_pause }
    }

    /// Waits for a read from the peer, `until` at most.
    pub async fn read(
        &mut self,
        until: Instant,
        reading: impl Future<Output = io::Result<usize>>,
    ) -> Result<io::Result<usize>, Late> {
        let begun = Instant::now();
        let wait = self.left.min(self.longest_pause).min(until.saturating_duration_since(begun));
        let outcome = timeout(wait, reading).await.map_err(|_| Late)?;
        let bytes = u32::try_from(*outcome.as_ref().unwrap_or(&0)).unwrap_or(u32::MAX);
        let earned = self.per_byte.saturating_mul(bytes);
        self.left = self.left.saturating_sub(begun.elapsed()).saturating_add(earned).min(self.most);
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn far() -> Instant {
        Instant::now() + Duration::from_secs(86_400)
    }

    /// A peer that sends so many bytes after so long.
    async fn after(seconds: u64, bytes: usize) -> io::Result<usize> {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Ok(bytes)
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_is_not_prolonged_by_single_bytes() {
        let mut pace = Pace::within(Duration::from_secs(300));
        for _ in 0..2 {
            assert!(pace.read(far(), after(149, 1)).await.is_ok());
        }
        assert!(pace.read(far(), after(149, 1)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn data_at_the_minimum_rate_passes_and_slower_data_does_not() {
        let mut pace = Pace::at_least(100, Duration::from_secs(10), Duration::from_secs(60));
        for _ in 0..1000 {
            assert!(pace.read(far(), after(1, 100)).await.is_ok());
        }
        let mut pace = Pace::at_least(100, Duration::from_secs(10), Duration::from_secs(60));
        let mut reads = 0;
        while pace.read(far(), after(1, 50)).await.is_ok() {
            reads += 1;
        }
        assert_eq!(reads, 19, "ten seconds of grace, half a second earned in each, and the last must still be whole");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_was_fast_may_not_stall_for_it() {
        let mut pace = Pace::at_least(100, Duration::from_secs(10), Duration::from_secs(60));
        assert!(pace.read(far(), after(1, 1_000_000)).await.is_ok());
        assert!(pace.read(far(), after(9, 1)).await.is_ok());
        assert!(pace.read(far(), after(2, 1)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn neither_a_pause_nor_the_session_may_be_longer_than_allowed() {
        let mut pace = Pace::at_least(1, Duration::from_secs(1000), Duration::from_secs(60));
        assert!(pace.read(far(), after(59, 1)).await.is_ok());
        assert!(pace.read(far(), after(61, 1)).await.is_err());
        let soon = Instant::now() + Duration::from_secs(5);
        assert!(pace.read(soon, after(6, 1)).await.is_err());
    }
}
