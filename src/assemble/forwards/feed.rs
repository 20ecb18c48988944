//! `forward.due`, folded into the engine: of each partition that this process has, first up to the end that it had when
//! it was given, then on and on while the engine delivers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use eventlog::runner::{Backoff, dead_letter};
use eventlog::{Limits, Log, LogError, Result};
use schemas::record::{Offset, Partition};
use schemas::{NewRecord, Position, Record, Topic};
use sinks::forward::{DueRecord, Engine};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::GROUP;
use super::own::own;

const BATCH: Limits = Limits { records: 1024, bytes: 4 << 20, wait: Duration::from_secs(1) };

/// Folds and delivers until `stop`; returns once the calls in flight have ended. What is due in a partition when it is
/// given to this process is left for as long as `hand_over`: the calls of the process before it end meanwhile.
pub async fn feed(log: Arc<dyn Log>, engine: Arc<Engine>, hand_over: Duration, stop: CancellationToken) -> Result<()> {
    let owned = watch::Sender::new(BTreeSet::new());
    let mut feed = Feed {
        log: Arc::clone(&log),
        engine: Arc::clone(&engine),
        hand_over,
        owned: owned.subscribe(),
        places: BTreeMap::new(),
        arriving: BTreeMap::new(),
    };
    // Where what is due can't be followed any more, nothing new is delivered.
    let calls_stop = stop.child_token();
    let following = async {
        let followed = tokio::try_join!(own(log.as_ref(), &owned, &stop), feed.follow(&stop));
        calls_stop.cancel();
        followed.map(|_| ())
    };
    // What the last calls are recorded as is folded by whoever comes next.
    let (followed, _) = tokio::join!(following, engine.run(calls_stop.clone()));
    followed
}

struct Feed {
    log: Arc<dyn Log>,
    engine: Arc<Engine>,
    hand_over: Duration,
    owned: watch::Receiver<BTreeSet<Partition>>,
    /// The next record of each partition that this process has.
    places: BTreeMap<Partition, Offset>,
    /// Those that the engine has not taken up yet.
    arriving: BTreeMap<Partition, Arriving>,
}

/// A partition that was given to this process.
struct Arriving {
    /// The last record of each delivery that has not ended.
    due: HashMap<String, DueRecord>,
    until: Offset,
    not_before: Instant,
}

impl Feed {
    async fn follow(&mut self, stop: &CancellationToken) -> Result<()> {
        let mut backoff = Backoff::default();
        loop {
            let Some(folded) = stop.run_until_cancelled(self.fold(&mut backoff)).await else { return Ok(()) };
            match folded {
                Ok(()) => continue,
                Err(error) if !error.is_transient() => return Err(error),
                Err(error) => tracing::warn!(%error, "what is due can't be read for now"),
            }
            if stop.run_until_cancelled(backoff.wait()).await.is_none() {
                return Ok(());
            }
        }
    }

    /// Until partitions come or go, or a record is passed over.
    async fn fold(&mut self, backoff: &mut Backoff) -> Result<()> {
        self.change_hands().await?;
        if self.places.is_empty() {
            // The sender lives as long as the feed.
            let _ = self.owned.changed().await;
            return Ok(());
        }
        self.arrive();
        let mut tail = self.log.tail(&positions(&self.places)).await?;
        loop {
            let polled = tokio::select! {
                biased;
                _ = self.owned.changed() => return Ok(()),
                polled = tail.poll(&BATCH) => polled,
            };
            let records = match polled {
                Err(LogError::BadRecord { position, cause }) => {
                    let bad = Record { position, timestamp_ms: 0, key: None, headers: Vec::new(), value: None };
                    self.letters(dead_letter(GROUP, &bad, &cause).into_iter().collect()).await;
                    self.places.insert(position.partition, position.next().offset);
                    return Ok(());
                }
                polled => polled?,
            };
            backoff.reset();
            self.take(records).await;
            // Compaction leaves gaps: before the end there may be nothing.
            self.places.extend(tail.positions().iter().map(|at| (at.partition, at.offset)));
            self.arrive();
        }
    }

    /// Forgets the partitions that have gone, and begins those that have come.
    async fn change_hands(&mut self) -> Result<()> {
        let owned = self.owned.borrow_and_update().clone();
        let gone: Vec<Partition> =
            self.places.keys().filter(|partition| !owned.contains(*partition)).copied().collect();
        for partition in gone {
            tracing::info!(partition, "deliveries of a partition go to another node");
            self.places.remove(&partition);
            self.arriving.remove(&partition);
            self.engine.forget(partition);
        }
        if owned.iter().all(|partition| self.places.contains_key(partition)) {
            return Ok(());
        }
        let not_before = Instant::now() + self.hand_over;
        for bounds in self.log.bounds(Topic::ForwardDue).await? {
            if owned.contains(&bounds.partition) && !self.places.contains_key(&bounds.partition) {
                self.places.insert(bounds.partition, bounds.earliest);
                let arriving = Arriving { due: HashMap::new(), until: bounds.end, not_before };
                self.arriving.insert(bounds.partition, arriving);
            }
        }
        Ok(())
    }

    /// Has the engine take up what has arrived.
    fn arrive(&mut self) {
        let (now, places, engine) = (Instant::now(), &self.places, &self.engine);
        self.arriving.retain(|partition, arriving| {
            let is_whole = places.get(partition).is_some_and(|place| *place >= arriving.until);
            if !is_whole || now < arriving.not_before {
                return true;
            }
            let due: Vec<DueRecord> = std::mem::take(&mut arriving.due).into_values().collect();
            tracing::debug!(partition, due = due.len(), "deliveries of a partition are this node's");
            engine.take_up(due);
            false
        });
    }

    async fn take(&mut self, records: Vec<Record>) {
        let (mut due, mut letters) = (Vec::with_capacity(records.len()), Vec::new());
        for record in records {
            match DueRecord::read(&record) {
                Ok(read) => match self.arriving.get_mut(&read.partition) {
                    Some(arriving) => arriving.keep(read),
                    None => due.push(read),
                },
                Err(cause) => letters.extend(dead_letter(GROUP, &record, &cause)),
            }
        }
        self.engine.fold(due);
        self.letters(letters).await;
    }

    /// A letter that can't be written now is written at the next start.
    async fn letters(&self, letters: Vec<NewRecord>) {
        if letters.is_empty() {
            return;
        }
        if let Err(error) = self.log.append(letters).await {
            tracing::error!(%error, "a dead letter of the forwards can't be written");
        }
    }
}

impl Arriving {
    fn keep(&mut self, record: DueRecord) {
        if record.due.is_some() {
            self.due.insert(record.delivery_id.clone(), record);
        } else {
            self.due.remove(&record.delivery_id);
        }
    }
}

fn positions(places: &BTreeMap<Partition, Offset>) -> Vec<Position> {
    places.iter().map(|(&partition, &offset)| Position::new(Topic::ForwardDue, partition, offset)).collect()
}
