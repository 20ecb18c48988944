//! One delivery from its turn to its record: the forward, the entry, the call, and what follows from it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use mailstore::Entry;
use schemas::event::{AttemptOutcome, ForwardAttempt, ForwardDue, ForwardKind};
use schemas::record::{Offset, Partition};
use schemas::{EntryId, Position, Topic};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::book::Taken;
use super::conclude::{Call, conclude, story};
use super::courier::{Attempted, Called, Delivery};
use super::directory::{Standing, Target};
use super::engine::Engine;
use super::ledger::{Next, Recorded};
use super::metric;

/// When a delivery that had to be put back starts again, in milliseconds.
const AGAIN_MS: i64 = 1_000;
/// When one starts again at which the engine itself failed, in milliseconds.
const AGAIN_AFTER_FAULT_MS: i64 = 60_000;
/// How long it is waited before the log is asked again to record what was done: at first, and at most.
const FIRST_RECORD_WAIT: Duration = Duration::from_millis(100);
const LONGEST_RECORD_WAIT: Duration = Duration::from_secs(5);
/// The longest that is waited for the attempts that a story is made from.
const STORY_LIMIT: Duration = Duration::from_secs(5);

const FORWARD_GONE: &str = "no rule names the forward any more";
const ENTRY_GONE: &str = "the mail was deleted before it was told";

/// How it stands with a delivery before the call.
enum Found {
    Ready(Box<Entry>, Box<Target>),
    /// There is nothing to be sent, or nobody to send it to.
    Gone(&'static str),
    NotNow,
}

impl Engine {
    /// Carries one delivery. Whatever happens in it, the delivery lands.
    pub(super) async fn carry(self: Arc<Self>, taken: Taken) {
        let id = taken.due.delivery_id.clone();
        if AssertUnwindSafe(self.attempt(taken)).catch_unwind().await.is_err() {
            warn!(delivery.id = %id, "a delivery failed in the engine and is put back");
            let until = self.parts.clock.now_ms().saturating_add(AGAIN_AFTER_FAULT_MS);
            self.book().put_back(&id, until);
        }
    }

    async fn attempt(&self, taken: Taken) {
        let Taken { partition, due, standing } = taken;
        let (account, kind, attempted, started_ms, began) = match self.found(partition, &due, standing).await {
            Found::NotNow => {
                metrics::counter!(metric::NOT_SHOWN).increment(1);
                let until = self.parts.clock.now_ms().saturating_add(AGAIN_MS);
                return self.book().put_back(&due.delivery_id, until);
            }
            Found::Gone(cause) => {
                let attempted = Attempted::unanswered(Called::Dropped { cause: cause.to_owned() });
                (String::new(), None, attempted, self.parts.clock.now_ms(), Instant::now())
            }
            Found::Ready(entry, target) => {
                let (account, kind) = (target.account.clone(), target.kind);
                let delivery = delivery(due.clone(), *target, *entry);
                let (started_ms, began) = (self.parts.clock.now_ms(), Instant::now());
                let attempted = self.call(&delivery).await;
                metric::called(kind, began.elapsed());
                (account, Some(kind), attempted, started_ms, began)
            }
        };
        let duration_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        let call = Call { partition, due, account, started_ms, duration_ms, attempted };
        self.conclude(call, kind).await;
    }

    /// Has recorded what follows from a call, and only then lets the delivery land.
    async fn conclude(&self, call: Call, kind: Option<ForwardKind>) {
        let (mut recorded, verdict) = conclude(call, self.parts.clock.now_ms());
        let id = &recorded.due.delivery_id;
        if recorded.attempt.outcome != AttemptOutcome::Delivered && self.book().is_lost(id) {
            return self.book().put_back(id, 0);
        }
        if let Next::Ended { story: Some(story) } = &mut recorded.next {
            *story = self.story(recorded.partition, &recorded.attempt).await;
        }
        let offset = self.record(&recorded).await;
        say(&recorded, kind);
        let next = match recorded.next {
            Next::Due(due) => Some(due),
            Next::Ended { .. } => None,
        };
        self.book().settle(&recorded.due.delivery_id, offset, next, verdict, self.parts.clock.now_ms());
    }

    async fn found(&self, partition: Partition, due: &ForwardDue, standing: Standing) -> Found {
        let standing = match standing {
            // The table may lag behind the message that named the forward.
            Standing::Gone => match self.parts.directory.catch_up().await {
                Ok(()) => self.parts.directory.find(&due.forward),
                Err(_) => return Found::NotNow,
            },
            known => known,
        };
        let target = match standing {
            Standing::Called(target) => target,
            Standing::Held => return Found::NotNow,
            Standing::Gone => return Found::Gone(FORWARD_GONE),
        };
        match self.entry(partition, due).await {
            Ok(Some(entry)) => Found::Ready(Box::new(entry), target),
            Ok(None) => Found::Gone(ENTRY_GONE),
            Err(NotShown) => Found::NotNow,
        }
    }

    /// The entry once the store shows it; `None` when it was deleted.
    async fn entry(&self, partition: Partition, due: &ForwardDue) -> Result<Option<Entry>, NotShown> {
        let (Ok(index), Ok(routed)) = (u32::try_from(due.index), Offset::try_from(due.routed_offset)) else {
            return Ok(None);
        };
        let id = EntryId { message: due.message_id.clone(), index };
        let look = || async { self.parts.store.entry(&id).await.map_err(|_| NotShown) };
        if let Some(entry) = look().await? {
            return Ok(Some(entry));
        }
        let behind = Position::new(Topic::MailRouted, partition, routed).next();
        if !self.parts.shown.reach(behind, self.settings.shown).await {
            return Err(NotShown);
        }
        if let Some(entry) = look().await? {
            return Ok(Some(entry));
        }
        // An entry shows when the message's other facts are folded, too. After all of them it is deleted.
        if !self.parts.shown.caught_up(partition, self.settings.shown).await {
            return Err(NotShown);
        }
        look().await
    }

    /// One call, which ends whatever its courier does.
    async fn call(&self, delivery: &Delivery) -> Attempted {
        let call = AssertUnwindSafe(self.parts.courier.deliver(delivery)).catch_unwind();
        match timeout(self.settings.call, call).await {
            Ok(Ok(attempted)) => attempted,
            Ok(Err(_)) => Attempted::later("the call failed in this program"),
            Err(_) => Attempted::later(format!("no answer within {} s", self.settings.call.as_secs())),
        }
    }

    /// Asks the log until it has it: what was done and is not recorded would be done again.
    async fn record(&self, recorded: &Recorded) -> Offset {
        let mut wait = FIRST_RECORD_WAIT;
        loop {
            match self.parts.ledger.record(recorded).await {
                Ok(offset) => return offset,
                Err(error) => {
                    metrics::counter!(metric::UNRECORDED).increment(1);
                    warn!(delivery.id = %recorded.due.delivery_id, %error, "an attempt waits to be recorded");
                }
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_RECORD_WAIT);
        }
    }

    async fn story(&self, partition: Partition, last: &ForwardAttempt) -> String {
        let before = timeout(STORY_LIMIT, self.parts.ledger.attempts(partition, &last.delivery_id)).await;
        let before = before.ok().and_then(Result::ok).unwrap_or_default();
        story(&before, last)
    }
}

/// The store can't say yet.
struct NotShown;

fn delivery(due: ForwardDue, target: Target, entry: Entry) -> Delivery {
    let Target { kind, target, payload, ordered: _, secrets, slack_to_from, account } = target;
    Delivery { due, kind, target, payload, secrets, slack_to_from, entry, account }
}

fn say(recorded: &Recorded, kind: Option<ForwardKind>) {
    let attempt = &recorded.attempt;
    metric::attempted(kind, attempt.outcome);
    let (delivery, message, forward) = (&attempt.delivery_id, &attempt.message_id, &attempt.forward);
    let (number, status, duration_ms) = (attempt.attempt, attempt.status, attempt.duration_ms);
    match attempt.outcome {
        AttemptOutcome::Exhausted | AttemptOutcome::Refused => warn!(
            delivery.id = %delivery, message.id = %message, forward = %forward, attempt = number, status, duration_ms,
            off = recorded.off.is_some(), cause = %attempt.cause, "a delivery was given up"
        ),
        outcome => debug!(
            delivery.id = %delivery, message.id = %message, forward = %forward, attempt = number, status, duration_ms,
            ?outcome, cause = %attempt.cause, "a delivery was attempted"
        ),
    }
}
