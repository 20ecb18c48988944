//! What is due to one target, and when the next of it may start. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::book::Limits;
use super::breaker::Breaker;

/// A delivery that waits, in the order in which the queue starts them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Waiting {
    /// In an ordered queue the arrival and the offset, else when it is due and the arrival.
    rank: (i64, i64),
    due_at_ms: i64,
    id: Arc<str>,
}

/// What a queue has to know of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub due_at_ms: i64,
    pub arrived_at_ms: i64,
    pub routed_offset: i64,
    /// Whether somebody asked for it: then it stands behind the mail that arrives.
    pub asked_for: bool,
}

/// Where the book keeps a queue, so that it is found there again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Until this time.
    Asleep(i64),
    Ready(Turn),
}

/// Whose turn it is: targets that answer first, then those with few calls in flight, then who has waited longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    pub struggles: bool,
    pub in_flight: usize,
    pub served: u64,
}

/// What is due to one target.
#[derive(Debug, Default)]
pub(super) struct Queue {
    arrived: BTreeSet<Waiting>,
    asked_for: BTreeSet<Waiting>,
    ordered: bool,
    pub breaker: Breaker,
    pub in_flight: usize,
    /// Nothing starts before: because of the rate, or because the forward is off.
    pub not_before_ms: i64,
    pub held: bool,
    /// When it was last served, as a number that grows.
    pub served: u64,
    pub place: Option<Place>,
}

impl Queue {
    pub fn waiting(&self) -> usize {
        self.arrived.len() + self.asked_for.len()
    }

    pub fn is_idle(&self, now_ms: i64) -> bool {
        self.waiting() == 0
            && self.in_flight == 0
            && self.not_before_ms.max(self.breaker.until_ms()) <= now_ms
            && !self.breaker.struggles()
    }

    pub fn is_ordered(&self) -> bool {
        self.ordered
    }

    pub fn insert(&mut self, id: Arc<str>, times: Times) {
        let waiting = self.as_waiting(id, times);
        self.set_of(times).insert(waiting);
    }

    pub fn remove(&mut self, id: &Arc<str>, times: Times) {
        let waiting = self.as_waiting(Arc::clone(id), times);
        self.set_of(times).remove(&waiting);
    }

    /// Takes up all that waits in the other order.
    pub fn order(&mut self, ordered: bool, times_of: impl Fn(&str) -> Option<Times>) {
        let before: Vec<Waiting> =
            std::mem::take(&mut self.arrived).into_iter().chain(std::mem::take(&mut self.asked_for)).collect();
        self.ordered = ordered;
        for waiting in before {
            if let Some(times) = times_of(&waiting.id) {
                self.insert(waiting.id, times);
            }
        }
    }

    /// When the next delivery may start; `None` while it has to wait for one to end, or nothing is due.
    pub fn wakes_at(&self, limits: &Limits) -> Option<i64> {
        let most = if self.ordered { 1 } else { usize::try_from(self.breaker.width()).unwrap_or(usize::MAX) };
        if self.in_flight >= most.min(limits.per_target) {
            return None;
        }
        let due = [&self.arrived, &self.asked_for].into_iter().filter_map(BTreeSet::first).map(|one| one.due_at_ms);
        due.min().map(|due| due.max(self.not_before_ms).max(self.breaker.until_ms()))
    }

    /// The delivery that starts now: mail that arrives before what somebody asked for.
    pub fn pop(&mut self, now_ms: i64) -> Option<Arc<str>> {
        for waiting in [&mut self.arrived, &mut self.asked_for] {
            if waiting.first().is_some_and(|one| one.due_at_ms <= now_ms) {
                return waiting.pop_first().map(|one| one.id);
            }
        }
        None
    }

    pub fn turn(&self) -> Turn {
        Turn { struggles: self.breaker.struggles(), in_flight: self.in_flight, served: self.served }
    }

    fn as_waiting(&self, id: Arc<str>, times: Times) -> Waiting {
        let rank = match self.ordered {
            true => (times.arrived_at_ms, times.routed_offset),
            false => (times.due_at_ms, times.arrived_at_ms),
        };
        Waiting { rank, due_at_ms: times.due_at_ms, id }
    }

    /// An ordered queue has one order, whoever asked.
    fn set_of(&mut self, times: Times) -> &mut BTreeSet<Waiting> {
        if times.asked_for && !self.ordered { &mut self.asked_for } else { &mut self.arrived }
    }
}
