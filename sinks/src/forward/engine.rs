//! Makes the calls that the book allows, and has them recorded. What it knows it has from `forward.due`, and what it
//! did is done once the [`Ledger`] has it: a call that is cut off in between is made again, under the same id.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mailstore::Store;
use schemas::record::Partition;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::book::{Book, Figures, Limits, Taken};
use super::clock::Clock;
use super::courier::Courier;
use super::directory::Directory;
use super::ledger::{DueRecord, Ledger, Shown};
use super::metric;

/// The longest that is slept before the clock is looked at again: it may have jumped.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);
/// How often the figures are told.
const FIGURES_EVERY: Duration = Duration::from_secs(5);

/// What the engine works with.
#[derive(Clone)]
pub struct Parts {
    pub store: Arc<dyn Store>,
    pub shown: Arc<dyn Shown>,
    pub directory: Arc<dyn Directory>,
    pub courier: Arc<dyn Courier>,
    pub ledger: Arc<dyn Ledger>,
    pub clock: Arc<dyn Clock>,
}

/// How much, and how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub limits: Limits,
    /// The longest that one call may take, whatever its courier does.
    pub call: Duration,
    /// The longest that a delivery waits in its place for the store to show its entry, before it is put back.
    pub shown: Duration,
    /// The longest that a stop waits for the calls in flight.
    pub finish: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            call: Duration::from_secs(60),
            shown: Duration::from_secs(5),
            finish: Duration::from_secs(10),
        }
    }
}

/// The engine. Fold `forward.due` into it from its beginning to its end, then [`Engine::run`] it and go on folding.
pub struct Engine {
    pub(super) parts: Parts,
    pub(super) settings: Settings,
    book: Mutex<Book>,
    changed: Notify,
}

impl Engine {
    pub fn new(parts: Parts, settings: Settings) -> Arc<Self> {
        let book = Mutex::new(Book::new(settings.limits.clone()));
        Arc::new(Self { parts, settings, book, changed: Notify::new() })
    }

    /// Takes up records of `forward.due`, each partition's in its order.
    pub fn fold(&self, records: impl IntoIterator<Item = DueRecord>) {
        let now_ms = self.parts.clock.now_ms();
        {
            let mut book = self.book();
            records.into_iter().for_each(|record| book.fold(record, now_ms));
        }
        self.changed.notify_one();
    }

    /// What a partition holds that is this engine's from now on: the last record of each delivery, up to an end that the
    /// partition had after it was given to it. What comes behind that is folded.
    pub fn take_up(&self, records: Vec<DueRecord>) {
        self.book().take_up(records, self.parts.clock.now_ms());
        self.changed.notify_one();
    }

    /// A partition is another engine's from now on. Calls in flight end, and of them only what was delivered is
    /// recorded: everything else is the other's to try.
    pub fn forget(&self, partition: Partition) {
        self.book().forget(partition);
        self.changed.notify_one();
    }

    /// What is due, and how the targets stand.
    pub fn figures(&self) -> Figures {
        self.book().figures(self.parts.clock.now_ms())
    }

    /// Delivers until it is stopped, and then waits for the calls in flight, up to its limit: how many were cut off.
    /// Those are made again after the next start.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) -> usize {
        self.book().begin();
        let mut calls = JoinSet::new();
        let mut figures = interval(FIGURES_EVERY);
        figures.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !shutdown.is_cancelled() {
            while let Some(taken) = self.take() {
                calls.spawn(Arc::clone(&self).carry(taken));
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => (),
                _ = figures.tick() => metric::say(self.figures()),
                Some(_) = calls.join_next() => (),
                () = self.changed.notified() => (),
                () = sleep(self.until_next()) => (),
            }
        }
        let drained = timeout(self.settings.finish, async { while calls.join_next().await.is_some() {} }).await;
        let cut_off = calls.len();
        calls.shutdown().await;
        match drained {
            Ok(()) => info!("forwards have stopped"),
            Err(_) => warn!(cut_off, "forwards have stopped with calls in flight, which are made again at the start"),
        }
        cut_off
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        // The book is changed by its own functions only, which leave it whole.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Taken> {
        let now_ms = self.parts.clock.now_ms();
        self.book().take(now_ms, |forward| self.parts.directory.find(forward))
    }

    fn until_next(&self) -> Duration {
        let now_ms = self.parts.clock.now_ms();
        let wait_ms = self.book().wakes_at().map_or(i64::MAX, |at| at.saturating_sub(now_ms).max(0));
        Duration::from_millis(wait_ms.unsigned_abs()).min(LONGEST_SLEEP)
    }
}

#[cfg(test)]
mod house;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod tests;
