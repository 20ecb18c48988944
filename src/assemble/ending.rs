//! How an engine ends: what it waits for, and in which order its pieces let go.

use std::time::{Duration, Instant};

use schemas::Topic;

use super::Engine;
use super::own::Held;
use super::places::{ends, has_reached};
use super::projection::TOPICS;
use super::stage::GROUP;

/// For what stands on the log to be processed and shown when the server stops; the next start does the rest.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);
/// For the last holders of a stopped engine to let go of it.
const RELEASE_LIMIT: Duration = Duration::from_secs(10);
const GLANCE: Duration = Duration::from_millis(5);

impl Engine {
    /// Resolves with the cause when the log has closed itself: it has to be reopened.
    pub async fn failed(&self) -> String {
        let cause = self.log.failed().await;
        self.health.end("log", cause.clone());
        cause
    }

    /// Waits until everything that stands on the log now is processed and shown: `false` when that takes too long.
    pub async fn settle(&self, limit: Duration) -> bool {
        matches!(tokio::time::timeout(limit, self.settled()).await, Ok(Ok(())))
    }

    async fn settled(&self) -> eventlog::Result<()> {
        let log = self.log.log();
        if self.stages.processors {
            let all = ends(log.as_ref(), &[Topic::MailRaw]).await?;
            while !log.committed(GROUP).await.is_ok_and(|at| has_reached(&at, &all)) {
                tokio::time::sleep(GLANCE).await;
            }
        }
        // What others fold is theirs to wait for.
        let is_others = self.log.is_shared() && self.store.is_shared();
        if self.store.views().is_some() && self.stages.need_store() && !is_others {
            for end in ends(log.as_ref(), &TOPICS).await? {
                while !self.shown.reach(end, DRAIN_LIMIT).await {}
            }
        }
        Ok(())
    }

    /// Stops the doors and the calls of the forwards and lets what is in flight end, then what they lean on, then the
    /// log. `false` when somebody still holds a part of it.
    pub async fn stop(mut self) -> anyhow::Result<bool> {
        self.doors_stop.cancel();
        while self.doors.join_next().await.is_some() {}
        self.calls_stop.cancel();
        if self.health.missing().is_empty() {
            // What stands on a shared log is another node's from now on.
            if !self.log.is_shared() {
                self.settle(DRAIN_LIMIT).await;
            }
            while self.calls.join_next().await.is_some() {}
        }
        // Where the log can't record what they did, calls are cut off, and made again after the next start.
        self.calls.shutdown().await;
        self.work_stop.cancel();
        while self.work.join_next().await.is_some() {}
        let (log, held) = (self.log.clone(), Held::of(&self.log, &self.store));
        drop(self);
        log.close().await?;
        Ok(released(held).await)
    }
}

/// Where nobody holds log or store any more, the folder can be opened again.
async fn released(held: Held) -> bool {
    let begun = Instant::now();
    while held.is_anybody() {
        if begun.elapsed() > RELEASE_LIMIT {
            return false;
        }
        tokio::time::sleep(GLANCE).await;
    }
    true
}
