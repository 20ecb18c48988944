//! Sends until the caller goes, the server stops, or the end that was to be reached is. What the caller does not take
//! is not read: no more than a few batches are held for anybody.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eventlog::scan::Left;
use eventlog::{Cursor, Limits, Log, LogError, Tail};
use schemas::{Position, Record};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::shape::{Form, KEEP_ALIVE};

/// One poll: what it brings stands in memory as JSON until the caller takes it.
const BATCH: Limits = Limits { records: 500, bytes: 1 << 20, wait: Duration::from_millis(500) };
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);
/// How long nothing may come though the end is not reached.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// See the module.
pub struct Sending {
    pub log: Arc<dyn Log>,
    pub form: Form,
    /// `None`: for as long as somebody takes it.
    pub until: Option<Left>,
    /// The cursor's place: the next record of each partition.
    pub at: Vec<Position>,
    /// How many events may still be sent.
    pub left: Option<u64>,
    pub out: mpsc::Sender<Bytes>,
}

/// Why no more is sent.
enum End {
    Done,
    Log(LogError),
}

impl From<LogError> for End {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl Sending {
    pub async fn run(mut self, tail: Box<dyn Tail>, shutdown: &CancellationToken) {
        let Some(Err(End::Log(error))) = shutdown.run_until_cancelled(self.send(tail)).await else { return };
        tracing::warn!(%error, "the events of a topic could not be read on");
        let mut chunk = Vec::new();
        self.form.failed(&mut chunk, &error.to_string());
        let _ = shutdown.run_until_cancelled(self.out.send(Bytes::from(chunk))).await;
    }

    async fn send(&mut self, mut tail: Box<dyn Tail>) -> Result<(), End> {
        let mut said_at = Instant::now();
        while !self.is_done() {
            let polled = tokio::select! {
                () = self.out.closed() => return Err(End::Done),
                polled = tail.poll(&BATCH) => polled,
            };
            let chunk = match polled {
                Err(LogError::BadRecord { position, cause }) => {
                    let chunk = self.unreadable(position, &cause);
                    tail = self.log.tail(&self.at).await?;
                    chunk
                }
                polled => self.chunk(polled?).await,
            };
            if let Some(left) = &mut self.until {
                left.move_to(tail.as_ref());
            }
            if !chunk.is_empty() {
                said_at = Instant::now();
                self.out.send(chunk).await.map_err(|_| End::Done)?;
                continue;
            }
            if self.until.is_some() && said_at.elapsed() > SILENCE_LIMIT {
                return Err(LogError::Unavailable(format!("nothing comes within {SILENCE_LIMIT:?}")).into());
            }
            if self.until.is_none() && self.form == Form::ServerSent && said_at.elapsed() >= KEEP_ALIVE_EVERY {
                said_at = Instant::now();
                self.out.send(Bytes::from_static(KEEP_ALIVE)).await.map_err(|_| End::Done)?;
            }
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.left == Some(0) || self.until.as_ref().is_some_and(Left::is_done)
    }

    /// As many of the records as are wanted, written.
    async fn chunk(&mut self, records: Vec<Record>) -> Bytes {
        let mut written = Vec::with_capacity(records.len());
        for record in records {
            if self.left == Some(0) {
                break;
            }
            if self.until.as_ref().is_some_and(|left| !left.holds(record.position)) {
                continue;
            }
            let cursor = self.pass(record.position);
            written.push((record, cursor));
        }
        let form = self.form;
        let writing = tokio::task::spawn_blocking(move || {
            let mut chunk = Vec::new();
            for (record, cursor) in written {
                form.record(&mut chunk, record, &cursor);
            }
            Bytes::from(chunk)
        });
        // A record whose JSON can't be made has a fault of ours: the ones behind it still come.
        writing.await.unwrap_or_default()
    }

    fn unreadable(&mut self, place: Position, cause: &str) -> Bytes {
        let cursor = self.pass(place);
        if let Some(left) = &mut self.until {
            if !left.holds(place) {
                return Bytes::new();
            }
            left.pass(place);
        }
        let mut chunk = Vec::new();
        self.form.unreadable(&mut chunk, place, cause, &cursor);
        Bytes::from(chunk)
    }

    /// Counts it, and says the cursor behind it.
    fn pass(&mut self, place: Position) -> String {
        if let Some(at) = self.at.iter_mut().find(|at| at.partition == place.partition) {
            *at = place.next();
        }
        self.left = self.left.map(|left| left.saturating_sub(1));
        Cursor::new(self.log.id(), place.topic, &self.at).to_string()
    }
}
