//! How fast a replay goes: so many mails a second, where somebody said so.

use std::time::{Duration, Instant};

/// Mails that are handled together.
const BATCH: usize = 128;
/// A batch takes no longer than this at the rate that was asked for.
const BATCHES_A_SECOND: usize = 4;

pub struct Pace {
    rate: Option<u32>,
    begun: Instant,
    done: u64,
}

impl Pace {
    pub fn new(rate: Option<u32>) -> Self {
        Self { rate, begun: Instant::now(), done: 0 }
    }

    /// Mails to handle together.
    pub fn batch(&self) -> usize {
        let rate = self.rate.map_or(BATCH, |rate| usize::try_from(rate).unwrap_or(BATCH) / BATCHES_A_SECOND);
        rate.clamp(1, BATCH)
    }

    /// Waits until so many more may have been done.
    pub async fn after(&mut self, mails: usize) {
        self.done += mails as u64;
        let Some(rate) = self.rate else { return };
        let due = Duration::from_secs_f64(self.done as f64 / f64::from(rate));
        tokio::time::sleep(due.saturating_sub(self.begun.elapsed())).await;
    }
}
