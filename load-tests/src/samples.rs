//! Durations of one kind, and what is said of them: median, 99th percentile, longest.

use std::time::Duration;

#[derive(Default, Clone)]
pub struct Samples {
    micros: Vec<u32>,
}

/// What a table shows of many durations, in milliseconds.
#[derive(Default, Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

impl Samples {
    pub fn add(&mut self, duration: Duration) {
        self.micros.push(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX));
    }

    pub fn merge(&mut self, other: Self) {
        self.micros.extend(other.micros);
    }

    pub fn len(&self) -> usize {
        self.micros.len()
    }

    pub fn spread(&mut self) -> Spread {
        self.micros.sort_unstable();
        Spread { p50_ms: self.at(0.5), p99_ms: self.at(0.99), max_ms: self.at(1.0) }
    }

    /// The smallest sample that `share` of all don't exceed (nearest rank).
    fn at(&self, share: f64) -> f64 {
        let rank = (share * self.micros.len() as f64).ceil() as usize;
        self.micros.get(rank.saturating_sub(1)).map_or(0.0, |&micros| f64::from(micros) / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let mut samples = Samples::default();
        for ms in (1..=100).rev() {
            samples.add(Duration::from_millis(ms));
        }
        assert_eq!(samples.spread(), Spread { p50_ms: 50.0, p99_ms: 99.0, max_ms: 100.0 });
    }

    #[test]
    fn no_sample_is_no_panic() {
        assert_eq!(Samples::default().spread(), Spread::default());
    }
}
