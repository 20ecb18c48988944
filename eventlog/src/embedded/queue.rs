//! Where appends wait for the thread that writes them: bounded in number and in bytes, and taken all at once, so that
//! all of them share one sync.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{LogError, Result};

/// Room is counted in units of this, so that a semaphore can count it.
const UNIT_BYTES: usize = 1024;

pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    appends: Arc<Semaphore>,
    units: Arc<Semaphore>,
    all_units: usize,
    wait: Duration,
}

struct State<T> {
    waiting: VecDeque<Waiting<T>>,
    closed: bool,
}

/// An item and the room that it takes, which is free again when this is dropped.
pub(super) struct Waiting<T> {
    pub item: T,
    _append: OwnedSemaphorePermit,
    _units: OwnedSemaphorePermit,
}

impl<T> Queue<T> {
    pub fn new(appends: usize, bytes: usize, wait: Duration) -> Self {
        let all_units = bytes.div_ceil(UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        Self {
            state: Mutex::new(State { waiting: VecDeque::new(), closed: false }),
            filled: Condvar::new(),
            appends: Arc::new(Semaphore::new(appends)),
            units: Arc::new(Semaphore::new(all_units)),
            all_units,
            wait,
        }
    }

    /// Waits for room, then leaves the item. An item that is larger than the queue takes all of it.
    pub async fn put(&self, item: T, size_bytes: usize) -> Result<()> {
        let units = u32::try_from(size_bytes.div_ceil(UNIT_BYTES).min(self.all_units)).unwrap_or(u32::MAX);
        let room = async {
            let append = Arc::clone(&self.appends).acquire_owned().await;
            let units = Arc::clone(&self.units).acquire_many_owned(units).await;
            append.ok().zip(units.ok())
        };
        let (append, units) = match tokio::time::timeout(self.wait, room).await {
            Ok(Some(permits)) => permits,
            Ok(None) => return Err(closed()),
            Err(_) => return Err(LogError::Unavailable(format!("its queue had no room for {:?}", self.wait))),
        };
        let mut state = self.lock();
        if state.closed {
            return Err(closed());
        }
        state.waiting.push_back(Waiting { item, _append: append, _units: units });
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Everything that waits, once there is something; `None` when the queue is closed and empty. Blocks.
    pub fn take_all(&self) -> Option<Vec<Waiting<T>>> {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.closed {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Some(state.waiting.drain(..).collect())
    }

    /// Takes nothing more in; what waits is still taken out.
    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> LogError {
    LogError::Unavailable("it is stopped".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(3);

    #[tokio::test(start_paused = true)]
    async fn appends_at_the_limit_of_bytes_fit_and_one_past_it_waits_until_it_is_refused() {
        let queue = Queue::new(10, 4 * UNIT_BYTES, WAIT);
        queue.put(1, 3 * UNIT_BYTES).await.unwrap();
        queue.put(2, UNIT_BYTES).await.unwrap();
        assert!(matches!(queue.put(3, 1).await, Err(LogError::Unavailable(_))));
        assert_eq!(queue.take_all().unwrap().iter().map(|waiting| waiting.item).collect::<Vec<_>>(), [1, 2]);
        queue.put(4, 1).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn appends_at_the_limit_of_number_fit_and_one_past_it_waits_until_it_is_refused() {
        let queue = Queue::new(2, 100 * UNIT_BYTES, WAIT);
        queue.put(1, 0).await.unwrap();
        queue.put(2, 0).await.unwrap();
        assert!(matches!(queue.put(3, 0).await, Err(LogError::Unavailable(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn an_item_larger_than_the_queue_takes_all_of_it() {
        let queue = Queue::new(2, UNIT_BYTES, WAIT);
        queue.put(1, 100 * UNIT_BYTES).await.unwrap();
        assert!(queue.put(2, 1).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_queue_gives_out_what_waits_and_takes_nothing_in() {
        let queue = Queue::new(2, UNIT_BYTES, WAIT);
        queue.put(1, 1).await.unwrap();
        queue.close();
        assert!(queue.put(2, 0).await.is_err());
        assert_eq!(queue.take_all().unwrap().len(), 1);
        assert!(queue.take_all().is_none());
    }
}
