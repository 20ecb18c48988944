//! Everybody who listens, and the one place in the log up to which they have been told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use accounts::Told;
use bytes::Bytes;
use metrics::{counter, gauge};
use schemas::Position;
use tokio::sync::watch;

use super::outbox::{Frame, Outbox, Past, Taken, merge};
use super::{Listener, metric};

/// What listeners may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub listeners: usize,
    pub listeners_per_account: usize,
    /// Of one listener's queue. One record always fits.
    pub queue_bytes: usize,
    /// Of all frames that anybody has still to take; above it only empty queues take one more.
    pub held_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { listeners: 4096, listeners_per_account: 2048, queue_bytes: 8 << 20, held_bytes: 128 << 20 }
    }
}

/// As many listen as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("as many listen as may: {0}")]
pub struct TooMany(pub usize);

/// What has become of an entry before it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rendered {
    /// It was not rendered, since nobody seemed to want it.
    Not,
    /// Nobody is told: it was deleted meanwhile.
    Gone,
    Frame(Bytes),
}

/// See the module.
#[derive(Debug)]
pub struct Hub {
    limits: Limits,
    state: Mutex<State>,
    held: Arc<AtomicUsize>,
    listeners: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    at: Vec<Position>,
    seats: BTreeMap<u64, Sitting>,
    next: u64,
}

#[derive(Debug)]
struct Sitting {
    listener: Arc<Listener>,
    outbox: Arc<Outbox>,
    /// It is told what comes; before, it is only being given what it missed.
    live: bool,
    /// It has had what lies before these places.
    from: Vec<Position>,
}

impl Hub {
    pub fn new(limits: Limits) -> Arc<Self> {
        let (state, listeners) = (Mutex::default(), watch::Sender::new(0));
        Arc::new(Self { limits, state, held: Arc::default(), listeners })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishing goes on from here.
    pub fn begin(&self, at: Vec<Position>) {
        self.state().at = at;
    }

    /// What lies before these places has been published.
    pub fn positions(&self) -> Vec<Position> {
        self.state().at.clone()
    }

    /// A place for somebody who listens: for what comes from now on, or also for what lies behind `from`.
    pub fn sit(self: &Arc<Self>, listener: Listener, from: Option<Vec<Position>>) -> Result<(Seat, Past), TooMany> {
        let mut state = self.state();
        if state.seats.len() >= self.limits.listeners {
            return Err(TooMany(self.limits.listeners));
        }
        let of_account = state.seats.values().filter(|one| one.listener.account == listener.account).count();
        if of_account >= self.limits.listeners_per_account {
            return Err(TooMany(self.limits.listeners_per_account));
        }
        let outbox = Outbox::new(self.limits.queue_bytes, from.is_some());
        let live = from.is_none();
        let from = from.unwrap_or_else(|| state.at.clone());
        let id = state.next;
        state.next += 1;
        let listener = Arc::new(listener);
        let (seat, past) = (Arc::clone(&outbox), Arc::clone(&outbox));
        state.seats.insert(id, Sitting { listener, outbox, live, from: from.clone() });
        self.listeners.send_replace(state.seats.len());
        gauge!(metric::LISTENERS).increment(1.0);
        let hub = || Arc::clone(self);
        Ok((Seat { hub: hub(), id, outbox: seat, at: from }, Past { hub: hub(), id, outbox: past }))
    }

    pub(super) fn attach(&self, id: u64) -> Vec<Position> {
        let mut state = self.state();
        if let Some(sitting) = state.seats.get_mut(&id) {
            sitting.live = true;
        }
        state.at.clone()
    }

    pub(super) fn frame(&self, body: Bytes) -> Arc<Frame> {
        Frame::new(body, &self.held)
    }

    /// Whether anybody hears of this.
    pub fn wants(&self, told: &Told) -> bool {
        self.state().wants(told)
    }

    /// Tells everybody who listens of one record, with all its entries in order. `false`, and nothing is told, when
    /// somebody has come meanwhile who wants what was not rendered.
    pub fn publish(&self, position: Position, entries: &[(Told, Rendered)]) -> bool {
        let mut state = self.state();
        if entries.iter().any(|(told, rendered)| *rendered == Rendered::Not && state.wants(told)) {
            return false;
        }
        merge(&mut state.at, &[position.next()]);
        let after: Arc<[Position]> = Arc::from(state.at.as_slice());
        let frames: Vec<(&Told, Arc<Frame>)> = entries
            .iter()
            .filter_map(|(told, rendered)| match rendered {
                Rendered::Frame(body) => Some((told, self.frame(body.clone()))),
                Rendered::Not | Rendered::Gone => None,
            })
            .collect();
        if frames.is_empty() {
            return true;
        }
        let held = self.held.load(Ordering::Relaxed);
        gauge!(metric::HELD_BYTES).set(held as f64);
        let scarce = held > self.limits.held_bytes;
        for sitting in state.seats.values().filter(|one| one.live && !one.has_had(position)) {
            let heard: Vec<Arc<Frame>> = frames
                .iter()
                .filter(|(told, _)| sitting.listener.hears(told))
                .map(|(_, one)| Arc::clone(one))
                .collect();
            if heard.is_empty() {
                continue;
            }
            if sitting.outbox.push(&heard, &after, scarce) {
                counter!(metric::FRAMES).increment(heard.len() as u64);
            } else {
                counter!(metric::OVERFLOWS).increment(1);
            }
        }
        true
    }

    fn leave(&self, id: u64) {
        let mut state = self.state();
        if state.seats.remove(&id).is_some() {
            gauge!(metric::LISTENERS).decrement(1.0);
        }
        self.listeners.send_replace(state.seats.len());
    }

    /// Waits until nobody listens: `false` when that has not come within the limit.
    pub async fn emptied(&self, limit: Duration) -> bool {
        let mut listeners = self.listeners.subscribe();
        matches!(tokio::time::timeout(limit, listeners.wait_for(|&count| count == 0)).await, Ok(Ok(_)))
    }
}

impl State {
    fn wants(&self, told: &Told) -> bool {
        self.seats.values().any(|sitting| sitting.live && sitting.listener.hears(told))
    }
}

impl Sitting {
    fn has_had(&self, position: Position) -> bool {
        self.from.iter().any(|from| from.partition == position.partition && position.offset < from.offset)
    }
}

/// Somebody's place; given up when dropped.
#[derive(Debug)]
pub struct Seat {
    hub: Arc<Hub>,
    id: u64,
    outbox: Arc<Outbox>,
    at: Vec<Position>,
}

impl Seat {
    /// Where to begin again behind what was taken.
    pub fn at(&self) -> &[Position] {
        &self.at
    }

    /// The next thing; nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Taken {
        loop {
            if let Some(taken) = self.outbox.pop(&mut self.at) {
                return taken;
            }
            self.outbox.filled().await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.outbox.leave();
        self.hub.leave(self.id);
    }
}
