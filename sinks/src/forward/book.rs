//! What is due, folded from `forward.due`: a queue a target, and which delivery may start now. Pure; times are handed
//! in. In memory are ids and times only: what is sent is read when its turn comes.
//!
//! - A record replaces what an earlier one said of the same delivery, a tombstone ends it, wherever the delivery is.
//! - Of 64 calls at a time (all limits can be set) a target has one at first, up to 8 while it answers, one again after
//!   a failure, and none while its breaker is open. Targets whose last call failed share half of the calls: the dead
//!   don't hold up the living.
//! - Among the targets that may be called the one with the fewest calls in flight is next. In a queue it is the
//!   delivery that has been due longest, mail that arrived before what somebody asked for; in an ordered queue the
//!   earliest arrival, which holds up the rest until it has ended.
//! - A forward that is switched off holds what is due to it.

mod hand_over;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use schemas::event::{ForwardDue, ForwardKind};
use schemas::record::{Offset, Partition};

use super::breaker::State;
use super::directory::Standing;
use super::known::{Due, Flight, Known};
use super::ledger::DueRecord;
use super::queue::{Place, Queue, Turn};

/// How often it is looked whether a forward that is held is on again.
const HELD_LOOK_MS: i64 = 1_000;
/// The longest that an answer to one delivery may hold up all that is due to its target.
const MAX_TARGET_WAIT_MS: i64 = 60 * 60 * 1_000;

/// How many calls, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls in flight.
    pub in_all: usize,
    /// Calls in flight to one target.
    pub per_target: usize,
    /// Least time between the starts of two calls to one target, in milliseconds.
    pub webhook_interval_ms: i64,
    pub slack_interval_ms: i64,
    pub mail_interval_ms: i64,
}

impl Default for Limits {
    /// Slack takes one message a second.
    fn default() -> Self {
        Self { in_all: 64, per_target: 8, webhook_interval_ms: 0, slack_interval_ms: 1_000, mail_interval_ms: 0 }
    }
}

impl Limits {
    const fn interval_ms(&self, kind: ForwardKind) -> i64 {
        match kind {
            ForwardKind::Webhook | ForwardKind::Unknown => self.webhook_interval_ms,
            ForwardKind::Slack => self.slack_interval_ms,
            ForwardKind::Mail => self.mail_interval_ms,
        }
    }

    /// Calls in flight to targets whose last call failed.
    fn struggling(&self) -> usize {
        (self.in_all / 2).max(1)
    }
}

/// A delivery that starts now. It is in flight until it is [settled](Book::settle) or [put back](Book::put_back).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub partition: Partition,
    pub due: ForwardDue,
    /// Never [`Standing::Held`].
    pub standing: Standing,
}

/// What an attempt says about its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Answered,
    /// The target has to be left alone, until this time if its answer said so.
    Failed {
        asked_until_ms: Option<i64>,
    },
    /// Nothing was called.
    Silent,
}

/// For the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub waiting: usize,
    pub in_flight: usize,
    pub held: usize,
    /// How long the oldest delivery has been due: since its mail arrived, or since it was asked for.
    pub oldest_age_ms: i64,
    pub closed: usize,
    pub open: usize,
    pub half_open: usize,
}

/// See the module's own words.
#[derive(Debug, Default)]
pub struct Book {
    limits: Limits,
    known: HashMap<Arc<str>, Known>,
    queues: HashMap<Arc<str>, Queue>,
    asleep: BTreeSet<(i64, Arc<str>)>,
    ready: BTreeSet<(Turn, Arc<str>)>,
    in_flight: usize,
    struggling_in_flight: usize,
    served: u64,
    /// How many deliveries have been due since when.
    since: BTreeMap<i64, usize>,
}

impl Book {
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Takes up a record of `forward.due`. What is older than what is known is ignored.
    pub fn fold(&mut self, record: DueRecord, now_ms: i64) {
        let DueRecord { partition, offset, timestamp_ms, delivery_id, due } = record;
        let id: Arc<str> = delivery_id.into();
        if let Some(known) = self.known.get_mut(&id).filter(|known| known.partition == partition && !known.lost) {
            if offset < known.offset {
                return;
            }
            if offset == known.offset {
                known.seen = true;
                self.forget_if_over(&id);
                return;
            }
        }
        // The log's clock may be ahead of ours: what is due at once is due now.
        let at_once_ms = timestamp_ms.min(now_ms);
        self.replace(&id, partition, offset, true, due, at_once_ms);
    }

    /// The next delivery that may start now, if one may.
    pub fn take(&mut self, now_ms: i64, find: impl Fn(&str) -> Standing) -> Option<Taken> {
        self.wake_up(now_ms);
        while self.in_flight < self.limits.in_all {
            let (turn, forward) = self.ready.first()?;
            // Those that answer come first: if this one doesn't, none is left that does.
            if turn.struggles && self.struggling_in_flight >= self.limits.struggling() {
                return None;
            }
            let forward = Arc::clone(forward);
            if let Some(taken) = self.start(&forward, find(&forward), now_ms) {
                return Some(taken);
            }
        }
        None
    }

    /// When [`Book::take`] may have something more, unless something else happens before. Always after the time that
    /// `take` was last asked at.
    pub fn wakes_at(&self) -> Option<i64> {
        self.asleep.first().map(|(at, _)| *at)
    }

    /// The attempt has ended and stands on the log: at this offset `forward.due` says what is due from now on.
    pub fn settle(
        &mut self,
        delivery_id: &str,
        offset: Offset,
        next: Option<ForwardDue>,
        verdict: Verdict,
        now_ms: i64,
    ) {
        let Some(forward) = self.land(delivery_id) else { return };
        if let Some(queue) = self.queues.get_mut(&forward) {
            match verdict {
                Verdict::Answered => queue.breaker.answered(u32::try_from(self.limits.per_target).unwrap_or(u32::MAX)),
                Verdict::Failed { asked_until_ms } => {
                    queue.breaker.failed(&forward, now_ms);
                    let most = now_ms.saturating_add(MAX_TARGET_WAIT_MS);
                    queue.breaker.asked_to_wait(asked_until_ms.unwrap_or(0).min(most));
                }
                Verdict::Silent => (),
            }
        }
        if self.leaves(delivery_id) {
            return self.place(&forward);
        }
        let Some((id, known)) = self.known.get_key_value(delivery_id) else { return };
        let (id, partition) = (Arc::clone(id), known.partition);
        if offset > known.offset {
            self.replace(&id, partition, offset, false, next, now_ms);
        } else {
            // The log has already come round with this record, or with a later one of somebody else's.
            self.wait_again(&id, 0);
        }
        self.place(&forward);
    }

    /// Nothing was done and nothing recorded: it may start again at this time.
    pub fn put_back(&mut self, delivery_id: &str, until_ms: i64) {
        let Some(forward) = self.land(delivery_id) else { return };
        if self.leaves(delivery_id) {
            return self.place(&forward);
        }
        if let Some((id, _)) = self.known.get_key_value(delivery_id) {
            let id = Arc::clone(id);
            self.wait_again(&id, until_ms);
        }
        self.place(&forward);
    }

    /// The figures, and a sweep: queues that say nothing more are forgotten.
    pub fn figures(&mut self, now_ms: i64) -> Figures {
        self.queues.retain(|_, queue| !queue.is_idle(now_ms));
        let mut figures = Figures { in_flight: self.in_flight, ..Figures::default() };
        for queue in self.queues.values() {
            let waiting = if queue.held { &mut figures.held } else { &mut figures.waiting };
            *waiting += queue.waiting();
            match queue.breaker.state(now_ms) {
                State::Closed => figures.closed += 1,
                State::Open => figures.open += 1,
                State::HalfOpen => figures.half_open += 1,
            }
        }
        figures.oldest_age_ms = self.since.keys().next().map_or(0, |since| now_ms.saturating_sub(*since).max(0));
        figures
    }

    /// Starts the next delivery to this target, or finds it a later place.
    fn start(&mut self, forward: &Arc<str>, standing: Standing, now_ms: i64) -> Option<Taken> {
        let queue = self.queues.get_mut(forward)?;
        queue.held = matches!(standing, Standing::Held);
        if queue.held {
            queue.not_before_ms = now_ms.saturating_add(HELD_LOOK_MS);
        }
        if let Standing::Called(target) = &standing
            && target.ordered != queue.is_ordered()
        {
            let known = &self.known;
            queue.order(target.ordered, |id| known.get(id)?.due.as_ref().map(|due| due.times));
        }
        let may_start = queue.wakes_at(&self.limits).is_some_and(|at| at <= now_ms);
        let taken = may_start.then(|| queue.pop(now_ms)).flatten();
        if taken.is_some() {
            self.served += 1;
            queue.served = self.served;
            queue.in_flight += 1;
            if let Standing::Called(target) = &standing {
                queue.not_before_ms = now_ms.saturating_add(self.limits.interval_ms(target.kind));
            }
        }
        let struggled = queue.breaker.struggles();
        self.place(forward);
        let id = taken?;
        let known = self.known.get_mut(&id)?;
        let (partition, due) = (known.partition, known.due.as_ref()?.as_event(&id));
        known.flight = Some(Flight { forward: Arc::clone(forward), struggled });
        self.in_flight += 1;
        self.struggling_in_flight += usize::from(struggled);
        Some(Taken { partition, due, standing })
    }

    /// Takes a delivery out of flight: the target that it was for.
    fn land(&mut self, delivery_id: &str) -> Option<Arc<str>> {
        let flight = self.known.get_mut(delivery_id)?.flight.take()?;
        self.in_flight = self.in_flight.saturating_sub(1);
        self.struggling_in_flight = self.struggling_in_flight.saturating_sub(usize::from(flight.struggled));
        if let Some(queue) = self.queues.get_mut(&flight.forward) {
            queue.in_flight = queue.in_flight.saturating_sub(1);
        }
        Some(flight.forward)
    }

    /// What is known of a delivery becomes what this record says.
    fn replace(
        &mut self,
        id: &Arc<str>,
        partition: Partition,
        offset: Offset,
        seen: bool,
        next: Option<ForwardDue>,
        at_once_ms: i64,
    ) {
        let before = self.known.remove(id);
        let (before, flight) = before.map_or((None, None), |known| (known.due, known.flight));
        let since_ms = before.as_ref().map(|due| due.since_ms);
        if let Some(due) = &before {
            self.count_since(due.since_ms, false);
            self.unqueue(id, due);
        }
        let due = next.map(|next| {
            let forward = self.queue_named(&next.forward);
            Due::new(next, forward, at_once_ms, since_ms)
        });
        if let Some(due) = &due {
            self.count_since(due.since_ms, true);
        }
        self.known.insert(Arc::clone(id), Known { partition, offset, seen, lost: false, due, flight });
        self.wait_again(id, 0);
        if let Some(due) = &before {
            self.place(&Arc::clone(&due.forward));
        }
    }

    /// A delivery that is not in flight waits, or is forgotten when it is over.
    fn wait_again(&mut self, id: &Arc<str>, until_ms: i64) {
        self.forget_if_over(id);
        let Some(known) = self.known.get_mut(id).filter(|known| known.flight.is_none()) else { return };
        let Some(due) = &mut known.due else { return };
        due.times.due_at_ms = due.times.due_at_ms.max(until_ms);
        let (forward, times) = (Arc::clone(&due.forward), due.times);
        self.queues.entry(Arc::clone(&forward)).or_default().insert(Arc::clone(id), times);
        self.place(&forward);
    }

    fn forget_if_over(&mut self, id: &Arc<str>) {
        let over = |known: &Known| known.due.is_none() && known.flight.is_none() && known.seen;
        if self.known.get(id).is_some_and(over) {
            self.known.remove(id);
        }
    }

    fn unqueue(&mut self, id: &Arc<str>, due: &Due) {
        if let Some(queue) = self.queues.get_mut(&due.forward) {
            queue.remove(id, due.times);
        }
    }

    /// The name of a forward, kept once.
    fn queue_named(&mut self, forward: &str) -> Arc<str> {
        if let Some((name, _)) = self.queues.get_key_value(forward) {
            return Arc::clone(name);
        }
        let name: Arc<str> = forward.into();
        self.queues.insert(Arc::clone(&name), Queue::default());
        name
    }

    fn count_since(&mut self, since_ms: i64, more: bool) {
        let count = self.since.entry(since_ms).or_default();
        *count = if more { *count + 1 } else { count.saturating_sub(1) };
        if *count == 0 {
            self.since.remove(&since_ms);
        }
    }

    /// Finds a queue its place anew, after whatever happened to it.
    fn place(&mut self, forward: &Arc<str>) {
        let Some(queue) = self.queues.get_mut(forward) else { return };
        match queue.place.take() {
            Some(Place::Asleep(at)) => _ = self.asleep.remove(&(at, Arc::clone(forward))),
            Some(Place::Ready(turn)) => _ = self.ready.remove(&(turn, Arc::clone(forward))),
            None => (),
        }
        if let Some(at) = queue.wakes_at(&self.limits) {
            queue.place = Some(Place::Asleep(at));
            self.asleep.insert((at, Arc::clone(forward)));
        }
    }

    /// Targets whose time has come are ready.
    fn wake_up(&mut self, now_ms: i64) {
        while self.asleep.first().is_some_and(|(at, _)| *at <= now_ms) {
            let Some((_, forward)) = self.asleep.pop_first() else { return };
            let Some(queue) = self.queues.get_mut(&forward) else { continue };
            let turn = queue.turn();
            queue.place = Some(Place::Ready(turn));
            self.ready.insert((turn, forward));
        }
    }
}

#[cfg(test)]
mod chance;
#[cfg(test)]
mod tests;
