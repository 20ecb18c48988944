//! One who listens, as the door knows it: a place in the hub, and a task that reads what was missed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use api::http::{Ask, Incoming, Listening, Next, NotListening};
use async_trait::async_trait;
use eventlog::{Cursor, Limits, Log, LogError, Scan};
use schemas::{Position, Topic};
use sinks::websocket::{Listener, Past, Rendered, Seat, Taken};

use super::feed::{Feed, place};
use super::tellable::Plan;

const BATCH: Limits = Limits { records: 256, bytes: 1 << 20, wait: Duration::from_secs(1) };
/// Offsets behind what is told by now, up to which what comes is queued meanwhile.
const NEAR: u64 = 64;

/// The feed as the door sees it.
pub struct Sockets(pub Arc<Feed>);

#[async_trait]
impl Incoming for Sockets {
    async fn listen(&self, ask: Ask) -> Result<Box<dyn Listening>, NotListening> {
        let feed = &self.0;
        let from = match &ask.after {
            Some(cursor) => Some(start(feed.log.as_ref(), cursor).await?),
            None => None,
        };
        let listener = Listener {
            account: ask.account,
            addresses: BTreeSet::from_iter(ask.addresses),
            domains: BTreeSet::from_iter(ask.domains),
        };
        let sat = feed.hub.sit(listener.clone(), from.clone());
        let (seat, past) = sat.map_err(|full| NotListening::TooMany(full.to_string()))?;
        if let Some(from) = from {
            let feed = Arc::clone(feed);
            tokio::spawn(async move {
                let stop = feed.stop.clone();
                stop.run_until_cancelled(feed.catch_up(past, listener, from)).await;
            });
        }
        Ok(Box::new(Sitting { log: Arc::clone(&feed.log), seat }))
    }
}

/// Where a cursor leads, in every partition; all of what lies behind it must still be there.
async fn start(log: &dyn Log, cursor: &str) -> Result<Vec<Position>, NotListening> {
    let invalid = |error: eventlog::CursorError| NotListening::Cursor(error.to_string());
    let named = cursor.parse::<Cursor>().and_then(|cursor| cursor.positions(log.id(), Topic::MailRouted));
    let named = named.map_err(invalid)?;
    let bounds = log.bounds(Topic::MailRouted).await.map_err(|error| {
        tracing::warn!(%error, "a websocket can't begin at its cursor");
        NotListening::Unavailable
    })?;
    if bounds.iter().any(|bounds| place(&named, bounds.partition) < bounds.earliest) {
        return Err(NotListening::Gone);
    }
    let at = |partition: u32| Position::new(Topic::MailRouted, partition, place(&named, partition));
    Ok(bounds.iter().map(|bounds| at(bounds.partition)).collect())
}

struct Sitting {
    log: Arc<dyn Log>,
    seat: Seat,
}

impl Sitting {
    fn cursor_of(&self, at: &[Position]) -> String {
        Cursor::new(self.log.id(), Topic::MailRouted, at).to_string()
    }
}

#[async_trait]
impl Listening for Sitting {
    fn cursor(&self) -> String {
        self.cursor_of(self.seat.at())
    }

    async fn next(&mut self) -> Next {
        match self.seat.next().await {
            Taken::Frame { body, at } => Next::Mail { body, cursor: self.cursor_of(&at) },
            Taken::CaughtUp { at } => Next::CaughtUp { cursor: self.cursor_of(&at) },
            Taken::Overflow { at } => Next::TooSlow { cursor: self.cursor_of(&at) },
        }
    }
}

impl Feed {
    /// Reads what was missed up to what is told by now, again and again, until the rest is small; then what comes is
    /// queued and the rest is read.
    async fn catch_up(&self, past: Past, listener: Listener, from: Vec<Position>) {
        let Ok(_place) = self.catching_up.acquire().await else { return };
        let mut at = from;
        let read = loop {
            let told = self.hub.positions();
            if told.iter().all(|end| end.offset <= place(&at, end.partition) + NEAR) {
                let end = past.attach();
                break self.read_missed(&past, &listener, &mut at, &end).await;
            }
            match self.read_missed(&past, &listener, &mut at, &told).await {
                Ok(true) => {}
                ended => break ended,
            }
        };
        match read {
            Ok(true) => past.end(&at).await,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "what a websocket missed can't be read");
                past.give_up();
            }
        }
    }

    /// Hands out what lies between `at` and `end`, and moves `at` there; `false` when nobody listens any more.
    async fn read_missed(
        &self,
        past: &Past,
        listener: &Listener,
        at: &mut [Position],
        end: &[Position],
    ) -> Result<bool, LogError> {
        let mut scan = Scan::new(at.to_vec(), end.to_vec());
        while let Some(records) = scan.next(self.log.as_ref(), &BATCH).await? {
            let plans: Vec<_> = records.iter().map(|record| (record.position, self.plan(record))).collect();
            let heard = |plan: &Plan| plan.told().any(|told| listener.hears(told));
            let wanted: Vec<&Plan> = plans.iter().map(|(_, plan)| plan).filter(|plan| heard(plan)).collect();
            if !wanted.is_empty() {
                self.until_tellable(&wanted).await?;
            }
            for (position, plan) in &plans {
                move_to(at, position.next());
                if heard(plan) && !self.push(past, listener, plan, at).await? {
                    return Ok(false);
                }
            }
        }
        // Behind what holds no records.
        scan.reached().iter().for_each(|reached| move_to(at, *reached));
        Ok(true)
    }

    /// `false` when nobody listens any more.
    async fn push(&self, past: &Past, listener: &Listener, plan: &Plan, at: &[Position]) -> Result<bool, LogError> {
        let rendered = self.rendered(plan, |told| listener.hears(told)).await?;
        let frame = |rendered| if let Rendered::Frame(body) = rendered { Some(body) } else { None };
        let bodies: Vec<_> = rendered.into_iter().filter_map(frame).collect();
        Ok(bodies.is_empty() || past.push(bodies, at).await)
    }
}

fn move_to(at: &mut [Position], to: Position) {
    if let Some(reached) = at.iter_mut().find(|at| at.partition == to.partition) {
        reached.offset = reached.offset.max(to.offset);
    }
}
