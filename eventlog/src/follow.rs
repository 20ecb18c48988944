//! A table in memory that follows a topic of one partition: it is folded record by record, in order, and whoever
//! needs to read what was just written can wait for it. It knows nothing of what the records mean.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use schemas::record::Offset;
use schemas::{Position, Record, Topic};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::runner::Backoff;
use crate::{Limits, Log, LogError, Result, Tail};

/// How much is folded in one go: readers of the table wait that long at most.
const BATCH: Limits = Limits { records: 1024, bytes: 4 << 20, wait: Duration::from_secs(1) };

/// How long [`Follower::catch_up`] waits for the table.
pub const CATCH_UP_LIMIT: Duration = Duration::from_secs(5);

/// The table and how far it has come.
pub struct Follower<T> {
    log: Arc<dyn Log>,
    topic: Topic,
    table: RwLock<T>,
    fold: fn(&mut T, &Record),
    reached: watch::Sender<Offset>,
    /// Why the table does not follow.
    stopped: Mutex<Option<Stopped>>,
}

struct Stopped {
    cause: String,
    /// Whether it goes on by itself, once it can.
    for_now: bool,
}

impl<T: Send + Sync + 'static> Follower<T> {
    /// Follows the topic from this offset on, in a task of its own, until `shutdown`.
    pub fn start(
        log: Arc<dyn Log>,
        topic: Topic,
        table: T,
        from: Offset,
        fold: fn(&mut T, &Record),
        shutdown: CancellationToken,
    ) -> Arc<Self> {
        let follower = Arc::new(Self {
            log,
            topic,
            table: RwLock::new(table),
            fold,
            reached: watch::Sender::new(from),
            stopped: Mutex::new(None),
        });
        tokio::spawn(Arc::clone(&follower).run(shutdown));
        follower
    }

    /// Reads the table as it is now.
    pub fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The next offset that is to be folded.
    pub fn offset(&self) -> Offset {
        *self.reached.borrow()
    }

    /// Waits until everything before `offset` is folded: `false` when that has not come within the limit.
    pub async fn reach(&self, offset: Offset, limit: Duration) -> bool {
        if self.offset() >= offset {
            return true;
        }
        let mut reached = self.reached.subscribe();
        matches!(tokio::time::timeout(limit, reached.wait_for(|&place| place >= offset)).await, Ok(Ok(_)))
    }

    /// Folds everything that stands on the topic at this moment: within the limit, or there is an error that says why
    /// not. Where the table will never follow again, it is one that does not pass.
    pub async fn catch_up(&self) -> Result<()> {
        let unanswered = || LogError::Unavailable(format!("the log does not say where {} ends", self.topic));
        let asked = tokio::time::timeout(CATCH_UP_LIMIT, self.log.bounds(self.topic)).await;
        let bounds = asked.map_err(|_| unanswered())??;
        let end = bounds.first().map_or(0, |bounds| bounds.end);
        if self.reach(end, CATCH_UP_LIMIT).await {
            return Ok(());
        }
        let text = |cause: &str| format!("the table of {} does not follow: {cause}", self.topic);
        match self.stopped.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            Some(Stopped { cause, for_now: false }) => Err(LogError::Damaged(text(cause))),
            Some(Stopped { cause, for_now: true }) => Err(LogError::Unavailable(text(cause))),
            None => Err(LogError::Unavailable(text(&format!("it is behind by more than {CATCH_UP_LIMIT:?}")))),
        }
    }

    async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let mut backoff = Backoff::default();
        loop {
            let followed = tokio::select! {
                () = shutdown.cancelled() => return,
                followed = self.follow(&mut backoff) => followed,
            };
            let Err(error) = followed else { return };
            let stopped = Stopped { cause: error.to_string(), for_now: error.is_transient() };
            *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = Some(stopped);
            if !error.is_transient() {
                tracing::error!(topic = %self.topic, %error, "a table stops following its topic");
                return;
            }
            tracing::warn!(topic = %self.topic, %error, "a table can't follow its topic for now");
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = backoff.wait() => {}
            }
        }
    }

    async fn follow(&self, backoff: &mut Backoff) -> Result<()> {
        let mut tail: Box<dyn Tail> = self.log.tail(&[Position::new(self.topic, 0, self.offset())]).await?;
        loop {
            let records = tail.poll(&BATCH).await?;
            *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = None;
            backoff.reset();
            // Not the last record: what stands behind it may hold no records.
            let Some(next) = tail.positions().first().map(|at| at.offset) else { continue };
            if !records.is_empty() {
                let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
                for record in &records {
                    (self.fold)(&mut table, record);
                }
            }
            self.reached.send_if_modified(|reached| std::mem::replace(reached, next) != next);
        }
    }
}
