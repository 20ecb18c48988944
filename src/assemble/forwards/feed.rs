//! `forward.due`, folded into the engine: first up to the end that the log has at the start, then on and on while the
//! engine delivers.

use std::sync::Arc;
use std::time::Duration;

use eventlog::runner::{Backoff, dead_letter};
use eventlog::{Limits, Log, LogError, Result, Tail};
use schemas::{NewRecord, Position, Record, Topic};
use sinks::forward::{DueRecord, Engine};
use tokio_util::sync::CancellationToken;

use super::GROUP;
use crate::assemble::places::{ends, has_reached};

const BATCH: Limits = Limits { records: 1024, bytes: 4 << 20, wait: Duration::from_secs(1) };

/// Folds and delivers until `stop`; returns once the calls in flight have ended.
pub async fn feed(log: Arc<dyn Log>, engine: Arc<Engine>, stop: CancellationToken) -> Result<()> {
    let mut feed = Feed { places: starts(log.as_ref()).await?, log, engine: Arc::clone(&engine) };
    let ends = ends(feed.log.as_ref(), &[Topic::ForwardDue]).await?;
    let caught_up = feed.until(Some(&ends), &stop).await;
    if stop.is_cancelled() || caught_up.is_err() {
        return caught_up;
    }
    // Where what is due can't be followed any more, nothing new is delivered.
    let calls_stop = stop.child_token();
    let following = async {
        let followed = feed.until(None, &stop).await;
        calls_stop.cancel();
        followed
    };
    // What the last calls are recorded as is folded at the next start.
    let (followed, _) = tokio::join!(following, engine.run(calls_stop.clone()));
    followed
}

struct Feed {
    log: Arc<dyn Log>,
    engine: Arc<Engine>,
    /// The next record of each partition.
    places: Vec<Position>,
}

impl Feed {
    /// Folds until these ends are reached, or until `stop`.
    async fn until(&mut self, ends: Option<&[Position]>, stop: &CancellationToken) -> Result<()> {
        let mut backoff = Backoff::default();
        loop {
            let Some(folded) = stop.run_until_cancelled(self.fold(ends, &mut backoff)).await else { return Ok(()) };
            match folded {
                Ok(()) => return Ok(()),
                Err(error) if !error.is_transient() => return Err(error),
                Err(error) => tracing::warn!(%error, "what is due can't be read for now"),
            }
            if stop.run_until_cancelled(backoff.wait()).await.is_none() {
                return Ok(());
            }
        }
    }

    async fn fold(&mut self, ends: Option<&[Position]>, backoff: &mut Backoff) -> Result<()> {
        let mut tail: Box<dyn Tail> = self.log.tail(&self.places).await?;
        while !ends.is_some_and(|ends| has_reached(&self.places, ends)) {
            let records = match tail.poll(&BATCH).await {
                Err(LogError::BadRecord { position, cause }) => {
                    let bad = Record { position, timestamp_ms: 0, key: None, headers: Vec::new(), value: None };
                    self.letters(dead_letter(GROUP, &bad, &cause).into_iter().collect()).await;
                    self.pass(position);
                    tail = self.log.tail(&self.places).await?;
                    continue;
                }
                polled => polled?,
            };
            backoff.reset();
            // Compaction leaves gaps: before the end there may be nothing.
            if records.is_empty() && ends.is_some() {
                return Ok(());
            }
            self.take(records).await;
        }
        Ok(())
    }

    async fn take(&mut self, records: Vec<Record>) {
        let (mut due, mut letters) = (Vec::with_capacity(records.len()), Vec::new());
        for record in records {
            match DueRecord::read(&record) {
                Ok(read) => due.push(read),
                Err(cause) => letters.extend(dead_letter(GROUP, &record, &cause)),
            }
            self.pass(record.position);
        }
        self.engine.fold(due);
        self.letters(letters).await;
    }

    fn pass(&mut self, position: Position) {
        if let Some(place) = self.places.iter_mut().find(|place| place.partition == position.partition) {
            *place = position.next();
        }
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

async fn starts(log: &dyn Log) -> Result<Vec<Position>> {
    let bounds = log.bounds(Topic::ForwardDue).await?;
    Ok(bounds.iter().map(|bounds| Position::new(Topic::ForwardDue, bounds.partition, bounds.earliest)).collect())
}
