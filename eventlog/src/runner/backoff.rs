//! How long to wait before the same thing is tried again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

/// Waits that double from 50 ms to 5 s.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
    waits: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST, waits: 0 }
    }
}

impl Backoff {
    pub async fn wait(&mut self) {
        let now = self.next;
        self.next = (now * 2).min(LONGEST);
        self.waits = self.waits.saturating_add(1);
        tokio::time::sleep(now).await;
    }

    /// How often it has waited since it was last reset.
    pub const fn waits(&self) -> u32 {
        self.waits
    }

    pub fn reset(&mut self) {
        *self = Self::default();
    }
}
