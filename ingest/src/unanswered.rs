//! Messages that are on the log while their 250 is still to be written: whoever tells somebody of a message waits
//! until its sender has been answered. A sender that doesn't take its answer holds nobody for long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// How long one message is waited for, from when it was put on the log.
pub const HOLD_LIMIT: Duration = Duration::from_secs(1);

/// One a process, shared by the door and those who tell of its mail.
#[derive(Debug, Default)]
pub struct Unanswered {
    /// Since when each waits.
    held: Mutex<HashMap<String, Instant>>,
    released: Notify,
}

/// A message whose answer is not written; dropped when it is, or when it never will be.
#[derive(Debug)]
pub struct Held {
    register: Arc<Unanswered>,
    id: String,
}

impl Unanswered {
    /// To be called before anybody can see the message on the log.
    pub fn hold(self: &Arc<Self>, id: &str) -> Held {
        self.held().insert(id.to_owned(), Instant::now());
        Held { register: Arc::clone(self), id: id.to_owned() }
    }

    /// Returns when the message is answered, was never held here, or has been held for [`HOLD_LIMIT`].
    pub async fn answered(&self, id: &str) {
        loop {
            let mut released = std::pin::pin!(self.released.notified());
            released.as_mut().enable();
            let Some(since) = self.held().get(id).copied() else { return };
            if timeout_at(since + HOLD_LIMIT, released).await.is_err() {
                return;
            }
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<String, Instant>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.register.held().remove(&self.id);
        self.register.released.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_let_go_when_the_answer_is_written() {
        let register = Arc::new(Unanswered::default());
        let (first, second) = (register.hold("a"), register.hold("b"));
        let waiting = tokio::spawn({
            let register = Arc::clone(&register);
            async move { register.answered("a").await }
        });
        tokio::task::yield_now().await;
        drop(second);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        let begun = Instant::now();
        drop(first);
        waiting.await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert!(register.held().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_sender_that_takes_no_answer_holds_nobody_longer_than_the_limit() {
        let register = Arc::new(Unanswered::default());
        let begun = Instant::now();
        let _never_answered = register.hold("a");
        tokio::time::advance(HOLD_LIMIT / 2).await;
        register.answered("a").await;
        assert_eq!(begun.elapsed(), HOLD_LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn mail_that_came_another_way_is_not_waited_for() {
        let begun = Instant::now();
        Unanswered::default().answered("a").await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
