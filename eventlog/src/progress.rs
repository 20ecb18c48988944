//! How far something has come on the log, for those who wait until it has come far enough.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::record::{Offset, Partition};
use schemas::{Position, Topic};
use tokio::sync::{Notify, watch};

type Places = BTreeMap<(Topic, Partition), Offset>;

/// In each partition, the next offset that is to be handled; positions never go back.
#[derive(Debug)]
pub struct Progress {
    places: watch::Sender<Places>,
    /// Told when somebody begins to wait.
    begun: Notify,
}

impl Progress {
    pub fn new() -> Self {
        Self { places: watch::Sender::new(Places::new()), begun: Notify::new() }
    }

    /// What lies before these positions is done.
    pub fn advance(&self, positions: &[Position]) {
        self.places.send_if_modified(|places| {
            let mut moved = false;
            for position in positions {
                let place = places.entry((position.topic, position.partition)).or_insert(0);
                if position.offset > *place {
                    *place = position.offset;
                    moved = true;
                }
            }
            moved
        });
    }

    /// Waits until what lies before `position` is done: `false` when that has not come within the limit.
    pub async fn reach(&self, position: Position, limit: Duration) -> bool {
        let is_reached = |places: &Places| {
            let place = places.get(&(position.topic, position.partition)).copied().unwrap_or(0);
            place >= position.offset
        };
        if is_reached(&self.places.borrow()) {
            return true;
        }
        let mut places = self.places.subscribe();
        self.begun.notify_one();
        matches!(tokio::time::timeout(limit, places.wait_for(is_reached)).await, Ok(Ok(_)))
    }

    /// Whether somebody waits now.
    pub fn is_awaited(&self) -> bool {
        self.places.receiver_count() > 0
    }

    /// Returns when somebody waits: for the one who asks elsewhere how far it has come.
    pub async fn awaited(&self) {
        while !self.is_awaited() {
            self.begun.notified().await;
        }
    }

    pub fn positions(&self) -> Vec<Position> {
        let places = self.places.borrow();
        places.iter().map(|(&(topic, partition), &offset)| Position::new(topic, partition, offset)).collect()
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_woken_when_the_position_is_reached() {
        let progress = Arc::new(Progress::new());
        let waiting = tokio::spawn({
            let progress = Arc::clone(&progress);
            async move { progress.reach(Position::new(Topic::MailRaw, 1, 7), SOON).await }
        });
        tokio::task::yield_now().await;
        progress.advance(&[Position::new(Topic::MailRaw, 0, 9), Position::new(Topic::MailRaw, 1, 7)]);
        assert!(waiting.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_at_its_limit() {
        let progress = Progress::new();
        progress.advance(&[Position::new(Topic::MailRaw, 0, 6)]);
        assert!(!progress.reach(Position::new(Topic::MailRaw, 0, 7), SOON).await);
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_elsewhere_hears_of_the_first_who_waits() {
        let progress = Arc::new(Progress::new());
        assert!(!progress.is_awaited());
        let asking = tokio::spawn({
            let progress = Arc::clone(&progress);
            async move { progress.awaited().await }
        });
        tokio::task::yield_now().await;
        assert!(!asking.is_finished());
        let waiting = tokio::spawn({
            let progress = Arc::clone(&progress);
            async move { progress.reach(Position::new(Topic::MailRaw, 0, 1), SOON).await }
        });
        asking.await.unwrap();
        progress.advance(&[Position::new(Topic::MailRaw, 0, 1)]);
        assert!(waiting.await.unwrap() && !progress.is_awaited());
        assert!(progress.reach(Position::new(Topic::MailRaw, 0, 1), Duration::ZERO).await, "nobody has to wait");
    }

    #[test]
    fn positions_never_go_back() {
        let progress = Progress::new();
        progress.advance(&[Position::new(Topic::Accounts, 0, 6)]);
        progress.advance(&[Position::new(Topic::Accounts, 0, 2)]);
        assert_eq!(progress.positions(), vec![Position::new(Topic::Accounts, 0, 6)]);
    }
}
