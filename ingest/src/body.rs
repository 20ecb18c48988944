//! The bytes of a message on their way to the log: bounded each by the message limit, and all together by a pool. The
//! first bytes of each are free, and bounded by the number of connections: most mail is small, and must not wait until
//! a few large and slow messages have come to their end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use wire::Strays;

/// Of each message, what needs no room from the pool.
const FREE_BYTES: usize = 16 * 1024;
/// What a permit of the pool stands for.
const UNIT_BYTES: usize = 1024;
/// What a declared size may reserve before anything of it has come.
const HINT_BYTES: u64 = 256 * 1024;
const GROWTH_BYTES: std::ops::RangeInclusive<usize> = 4 * 1024..=4 * 1024 * 1024;

/// Memory for the messages of all sessions.
#[derive(Clone, Debug)]
pub struct Pool {
    units: Arc<Semaphore>,
    wait: Duration,
}

impl Pool {
    pub fn new(bytes: usize, wait: Duration) -> Self {
        let units = (bytes / UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(units)), wait }
    }

    /// Room for so many bytes more, or `None` where none came free in time.
    async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).ok()?;
        timeout(self.wait, Arc::clone(&self.units).acquire_many_owned(units)).await.ok()?.ok()
    }

    #[cfg(test)]
    pub fn free_bytes(&self) -> usize {
        self.units.available_permits() * UNIT_BYTES
    }
}

/// One message's content. Once it is over size or without room, nothing of it is kept.
#[derive(Debug)]
pub struct Body {
    bytes: Vec<u8>,
    limit_bytes: usize,
    hint_bytes: usize,
    permit: Option<OwnedSemaphorePermit>,
    pub over_size: bool,
    pub no_room: bool,
    /// Of content that comes in chunks.
    pub strays: Strays,
}

impl Body {
    pub fn new(limit_bytes: u64, declared_bytes: Option<u64>) -> Self {
        let hint_bytes = declared_bytes.unwrap_or(0).min(HINT_BYTES);
        Self {
            bytes: Vec::new(),
            limit_bytes: usize::try_from(limit_bytes).unwrap_or(usize::MAX),
            hint_bytes: usize::try_from(hint_bytes).unwrap_or(0),
            permit: None,
            over_size: false,
            no_room: false,
            strays: Strays::default(),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The content, and the place in the pool that it holds until it is on the log.
    pub fn into_parts(self) -> (Vec<u8>, Option<OwnedSemaphorePermit>) {
        (self.bytes, self.permit)
    }

    /// Waits for room for so many bytes more. It is asked for before each [`Self::push`].
    pub async fn make_room(&mut self, pool: &Pool, more_bytes: usize) {
        let capacity = self.bytes.capacity();
        let needed = self.bytes.len().saturating_add(more_bytes).min(self.limit_bytes);
        if self.is_dropped() || needed <= capacity {
            return;
        }
        let growth = (capacity / 2).clamp(*GROWTH_BYTES.start(), *GROWTH_BYTES.end());
        let most = if needed <= FREE_BYTES { FREE_BYTES } else { usize::MAX };
        let wanted = needed.max(self.hint_bytes).max(capacity.saturating_add(growth)).min(self.limit_bytes.min(most));
        let counted = wanted.saturating_sub(capacity.max(FREE_BYTES));
        if counted > 0 {
            match (pool.take(counted).await, &mut self.permit) {
                (Some(permit), Some(held)) => held.merge(permit),
                (Some(permit), none) => *none = Some(permit),
                (None, _) => {
                    self.no_room = true;
                    self.drop_bytes();
                    return;
                }
            }
        }
        self.bytes.reserve_exact(wanted - self.bytes.len());
    }

    pub fn push(&mut self, run: &[u8]) {
        if self.is_dropped() {
            return;
        }
        if self.bytes.len().saturating_add(run.len()) > self.limit_bytes {
            self.over_size = true;
            self.drop_bytes();
            return;
        }
        self.bytes.extend_from_slice(run);
    }

    const fn is_dropped(&self) -> bool {
        self.over_size || self.no_room
    }

    fn drop_bytes(&mut self) {
        self.bytes = Vec::new();
        self.permit = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(kibibytes: usize) -> Pool {
        Pool::new(kibibytes * 1024, Duration::from_secs(10))
    }

    async fn filled(pool: &Pool, limit_bytes: u64, kibibytes: usize) -> Body {
        let mut body = Body::new(limit_bytes, None);
        for _ in 0..kibibytes {
            body.make_room(pool, 1024).await;
            body.push(&[b'x'; 1024]);
        }
        body
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_at_the_limit_is_kept_and_one_past_it_holds_no_memory() {
        let pool = pool(64);
        let mut body = filled(&pool, 40 * 1024, 40).await;
        assert_eq!((body.bytes().len(), body.over_size), (40 * 1024, false));
        assert_eq!(pool.free_bytes(), 40 * 1024, "16 of 40 KiB are free");
        body.make_room(&pool, 1).await;
        body.push(b"x");
        assert!(body.over_size);
        assert_eq!((body.bytes.capacity(), pool.free_bytes()), (0, 64 * 1024));
    }

    #[tokio::test(start_paused = true)]
    async fn messages_wait_for_room_and_get_it_when_another_is_done() {
        let pool = pool(8);
        let first = filled(&pool, 24 * 1024, 24).await;
        assert_eq!(pool.free_bytes(), 0);
        let waiting = tokio::spawn({
            let pool = pool.clone();
            async move { filled(&pool, 24 * 1024, 24).await }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(!waiting.await.unwrap().no_room);
        assert_eq!(pool.free_bytes(), 8 * 1024);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_gets_no_room_in_time_gives_up_what_it_had_and_small_ones_need_none() {
        let pool = pool(8);
        let first = filled(&pool, 24 * 1024, 24).await;
        let second = filled(&pool, 24 * 1024, 24).await;
        assert!(second.no_room);
        assert_eq!(second.bytes.capacity(), 0);
        assert!(!filled(&pool, 24 * 1024, 16).await.no_room);
        drop(first);
        assert_eq!(pool.free_bytes(), 8 * 1024);
    }

    #[tokio::test(start_paused = true)]
    async fn a_declared_size_is_a_hint_and_no_more() {
        let pool = pool(1024);
        let mut body = Body::new(u64::MAX, Some(u64::MAX));
        body.make_room(&pool, 1).await;
        body.push(b"x");
        assert_eq!(body.bytes.capacity(), FREE_BYTES);
        body.make_room(&pool, FREE_BYTES).await;
        assert_eq!(body.bytes.capacity(), 256 * 1024);
        body.push(&[b'x'; 300 * 1024]);
        assert!(!body.over_size);
    }
}
