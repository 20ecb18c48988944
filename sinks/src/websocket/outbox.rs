//! One listener's queue: first what it missed, then what comes. What comes is never waited for: a queue that is full is
//! thrown away, and the listener told so.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use schemas::Position;
use tokio::sync::Notify;

use super::hub::Hub;

/// What an item takes besides its bytes.
const ITEM_BYTES: usize = 256;

/// A rendered frame, shared by everybody it goes to; it is counted for as long as anybody holds it.
#[derive(Debug)]
pub(super) struct Frame {
    body: Bytes,
    held: Arc<AtomicUsize>,
}

impl Frame {
    pub(super) fn new(body: Bytes, held: &Arc<AtomicUsize>) -> Arc<Self> {
        held.fetch_add(body.len(), Ordering::Relaxed);
        Arc::new(Self { body, held: Arc::clone(held) })
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.held.fetch_sub(self.body.len(), Ordering::Relaxed);
    }
}

/// What a listener is handed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// A frame, and where to begin again behind it. A record's frames lie at one place: only the last is behind it.
    Frame { body: Bytes, at: Vec<Position> },
    /// What it missed has been handed out; from here on it is as it comes.
    CaughtUp { at: Vec<Position> },
    /// Its queue was full and is gone: it has to begin again here.
    Overflow { at: Vec<Position> },
}

#[derive(Debug)]
struct Item {
    /// `None` where what was missed ends.
    frame: Option<Arc<Frame>>,
    /// Where to begin again behind it; `None` inside a record.
    after: Option<Arc<[Position]>>,
}

impl Item {
    fn size_bytes(&self) -> usize {
        ITEM_BYTES + self.frame.as_ref().map_or(0, |frame| frame.body.len())
    }
}

#[derive(Debug, Default)]
struct Queues {
    past: VecDeque<Item>,
    past_bytes: usize,
    /// While it is, what comes waits behind.
    past_open: bool,
    live: VecDeque<Item>,
    live_bytes: usize,
    overflowed: bool,
    /// A record's frames have been handed out in part.
    inside: bool,
    /// Nobody takes anything any more.
    gone: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Outbox {
    queues: Mutex<Queues>,
    limit_bytes: usize,
    /// Something can be taken.
    filled: Notify,
    /// There is room again for what was missed.
    emptied: Notify,
}

impl Outbox {
    pub(super) fn new(limit_bytes: usize, with_past: bool) -> Arc<Self> {
        let queues = Queues { past_open: with_past, ..Queues::default() };
        Arc::new(Self { queues: Mutex::new(queues), limit_bytes, filled: Notify::new(), emptied: Notify::new() })
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A record's frames, all or none; `false` when they are too many, and this listener is lost. One record always
    /// fits into an empty queue, unless there is no memory for more than one.
    pub(super) fn push(&self, frames: &[Arc<Frame>], after: &Arc<[Position]>, scarce: bool) -> bool {
        let mut queues = self.queues();
        if queues.overflowed || queues.gone {
            return false;
        }
        let items = items(frames, after);
        let size_bytes: usize = items.iter().map(Item::size_bytes).sum();
        let is_full = scarce || queues.live_bytes + size_bytes > self.limit_bytes;
        if is_full && !queues.live.is_empty() {
            queues.overflow();
        } else {
            queues.live_bytes += size_bytes;
            queues.live.extend(items);
        }
        let took = !queues.overflowed;
        drop(queues);
        self.filled.notify_one();
        took
    }

    /// What can be taken now.
    pub(super) fn pop(&self, at: &mut Vec<Position>) -> Option<Taken> {
        let mut queues = self.queues();
        let item = if let Some(item) = queues.past.pop_front() {
            queues.past_bytes -= item.size_bytes();
            Some(item)
        } else if queues.past_open && !queues.overflowed {
            None
        } else {
            let item = queues.live.pop_front();
            queues.live_bytes -= item.as_ref().map_or(0, Item::size_bytes);
            item
        };
        let Some(item) = item else {
            return queues.overflowed.then(|| Taken::Overflow { at: at.clone() });
        };
        queues.inside = item.after.is_none();
        drop(queues);
        self.emptied.notify_one();
        item.after.iter().for_each(|after| merge(at, after));
        Some(match item.frame {
            Some(frame) => Taken::Frame { body: frame.body.clone(), at: at.clone() },
            None => Taken::CaughtUp { at: at.clone() },
        })
    }

    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    pub(super) fn leave(&self) {
        *self.queues() = Queues { gone: true, ..Queues::default() };
        self.emptied.notify_one();
    }
}

impl Queues {
    /// What is queued goes, but for the rest of a record that has been handed out in part.
    fn overflow(&mut self) {
        self.overflowed = true;
        if !self.past.is_empty() || !self.inside {
            self.live.clear();
        } else {
            let rest = self.live.iter().position(|item| item.after.is_some()).map_or(0, |last| last + 1);
            self.live.truncate(rest);
        }
        self.live_bytes = self.live.iter().map(Item::size_bytes).sum();
    }
}

fn items(frames: &[Arc<Frame>], after: &Arc<[Position]>) -> Vec<Item> {
    let last = frames.len().saturating_sub(1);
    let item = |(index, frame): (usize, &Arc<Frame>)| Item {
        frame: Some(Arc::clone(frame)),
        after: (index == last).then(|| Arc::clone(after)),
    };
    frames.iter().enumerate().map(item).collect()
}

/// The farther of two places in each partition.
pub(super) fn merge(at: &mut Vec<Position>, after: &[Position]) {
    for position in after {
        match at.iter_mut().find(|known| known.partition == position.partition) {
            Some(known) => known.offset = known.offset.max(position.offset),
            None => at.push(*position),
        }
    }
}

/// The end by which a listener is given what it missed. Room is waited for.
#[derive(Debug)]
pub struct Past {
    pub(super) hub: Arc<Hub>,
    pub(super) id: u64,
    pub(super) outbox: Arc<Outbox>,
}

impl Past {
    /// A record's frames and where to begin again behind it; `false` when nobody listens any more.
    pub async fn push(&self, bodies: Vec<Bytes>, after: &[Position]) -> bool {
        let frames: Vec<_> = bodies.into_iter().map(|body| self.hub.frame(body)).collect();
        self.put(items(&frames, &Arc::from(after))).await
    }

    async fn put(&self, items: Vec<Item>) -> bool {
        let size_bytes: usize = items.iter().map(Item::size_bytes).sum();
        loop {
            {
                let mut queues = self.outbox.queues();
                if queues.gone || queues.overflowed {
                    return false;
                }
                if queues.past.is_empty() || queues.past_bytes + size_bytes <= self.outbox.limit_bytes {
                    queues.past_bytes += size_bytes;
                    queues.past.extend(items);
                    break;
                }
            }
            self.outbox.emptied.notified().await;
        }
        self.outbox.filled.notify_one();
        true
    }

    /// From here on what comes is queued behind what was missed; returns where "here" is.
    pub fn attach(&self) -> Vec<Position> {
        self.hub.attach(self.id)
    }

    /// Nothing more was missed.
    pub async fn end(self, at: &[Position]) {
        self.put(vec![Item { frame: None, after: Some(Arc::from(at)) }]).await;
        self.outbox.queues().past_open = false;
        self.outbox.filled.notify_one();
    }

    /// What was missed can't be read for now: the listener has to come again.
    pub fn give_up(self) {
        self.outbox.queues().overflow();
        self.outbox.filled.notify_one();
    }
}
