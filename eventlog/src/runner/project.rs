//! A projection that follows topics: what it was given and the position behind it are its own to keep.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemas::record::{Offset, Partition};
use schemas::{Position, Record, Topic};
use tokio_util::sync::CancellationToken;

use super::lag::Lag;
use super::{Backoff, BatchLimits, Projection, ProjectionError};
use crate::{Log, LogError, Progress};

/// Why a projection does not follow any more.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    #[error(transparent)]
    Log(#[from] LogError),
    /// The projection said stop.
    #[error("{0}")]
    Stopped(String),
}

type Places = BTreeMap<(Topic, Partition), Offset>;

/// Feeds the topics to the projection, from where it stands, until `shutdown`, or until it has reached every position
/// of `until`. What it has applied is told to `progress`.
pub async fn project(
    log: Arc<dyn Log>,
    topics: &[Topic],
    projection: Arc<dyn Projection>,
    limits: BatchLimits,
    until: Option<Vec<Position>>,
    progress: Option<Arc<Progress>>,
    shutdown: CancellationToken,
) -> Result<(), ProjectError> {
    let lag = Lag::new(projection.name(), topics);
    let mut follower = Following { log, topics: topics.to_vec(), projection, limits, until, progress, lag };
    let mut backoff = Backoff::default();
    loop {
        let error = match follower.follow(&mut backoff, &shutdown).await {
            Err(ProjectError::Log(error)) if error.is_transient() => error,
            done => return done,
        };
        tracing::warn!(projection = follower.projection.name(), %error, "a projection can't read the log for now");
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = backoff.wait() => {}
        }
    }
}

struct Following {
    log: Arc<dyn Log>,
    topics: Vec<Topic>,
    projection: Arc<dyn Projection>,
    limits: BatchLimits,
    until: Option<Vec<Position>>,
    progress: Option<Arc<Progress>>,
    lag: Lag,
}

impl Following {
    async fn follow(&mut self, backoff: &mut Backoff, shutdown: &CancellationToken) -> Result<(), ProjectError> {
        let Some(mut places) = self.start(backoff, shutdown).await? else { return Ok(()) };
        self.tell(&positions(&places));
        let limits = self.limits.poll();
        let mut tail = self.log.tail(&positions(&places)).await?;
        while !self.is_done(&places) {
            let polled = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                polled = tail.poll(&limits) => polled,
            };
            let (records, moved, is_news) = match polled {
                // It is lost, and stops nobody behind it: the position moves past it without a record.
                Err(LogError::BadRecord { position, cause }) => {
                    tracing::error!(
                        projection = self.projection.name(),
                        offset = position.offset,
                        cause,
                        "a record is lost"
                    );
                    places.insert((position.topic, position.partition), position.next().offset);
                    tail = self.log.tail(&positions(&places)).await?;
                    (Vec::new(), vec![position.next()], true)
                }
                polled => {
                    let records = polled?;
                    // What holds no records is none of the projection's business, though the position moves over it.
                    let is_news = !records.is_empty();
                    (records, moved(&places, tail.positions()), is_news)
                }
            };
            backoff.reset();
            if moved.is_empty() {
                self.measure_lag(&places);
                continue;
            }
            if is_news && !apply(self.projection.as_ref(), records, &moved, shutdown).await? {
                return Ok(());
            }
            for position in &moved {
                places.insert((position.topic, position.partition), position.offset);
            }
            self.tell(&moved);
            self.measure_lag(&places);
        }
        Ok(())
    }

    fn measure_lag(&mut self, places: &Places) {
        if self.lag.is_due() {
            self.lag.measure(Arc::clone(&self.log), positions(places));
        }
    }

    /// Where the projection stands in each partition; `None` when the shutdown came first.
    async fn start(&self, backoff: &mut Backoff, shutdown: &CancellationToken) -> Result<Option<Places>, ProjectError> {
        let known = loop {
            match self.projection.positions().await {
                Ok(positions) => break positions,
                Err(ProjectionError::Stop(cause)) => return Err(ProjectError::Stopped(cause)),
                Err(ProjectionError::Later(cause)) => {
                    tracing::warn!(projection = self.projection.name(), cause, "a projection can't say where it is");
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(None),
                () = backoff.wait() => {}
            }
        };
        let mut places = Places::new();
        for &topic in &self.topics {
            for bounds in self.log.bounds(topic).await? {
                let at = known.iter().find(|at| at.topic == topic && at.partition == bounds.partition);
                places.insert((topic, bounds.partition), at.map_or(bounds.earliest, |at| at.offset));
            }
        }
        Ok(Some(places))
    }

    fn is_done(&self, places: &Places) -> bool {
        let Some(until) = &self.until else { return false };
        until.iter().all(|position| {
            let place = places.get(&(position.topic, position.partition));
            place.is_none_or(|&offset| offset >= position.offset)
        })
    }

    fn tell(&self, positions: &[Position]) {
        if let Some(progress) = &self.progress {
            progress.advance(positions);
        }
    }
}

/// Applies it, however long that takes; `false` when the shutdown came before.
pub(super) async fn apply(
    projection: &dyn Projection,
    records: Vec<Record>,
    positions: &[Position],
    shutdown: &CancellationToken,
) -> Result<bool, ProjectError> {
    let mut backoff = Backoff::default();
    loop {
        match projection.apply(records.clone(), positions).await {
            Ok(()) => return Ok(true),
            Err(ProjectionError::Stop(cause)) => {
                tracing::error!(projection = projection.name(), cause, "a projection stops");
                return Err(ProjectError::Stopped(cause));
            }
            Err(ProjectionError::Later(cause)) => {
                tracing::warn!(projection = projection.name(), cause, "a projection tries again");
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(false),
            () = backoff.wait() => {}
        }
    }
}

fn positions(places: &Places) -> Vec<Position> {
    places.iter().map(|(&(topic, partition), &offset)| Position::new(topic, partition, offset)).collect()
}

/// Those of the positions that are ahead of the places.
fn moved(places: &Places, positions: Vec<Position>) -> Vec<Position> {
    let mut moved = positions;
    moved.retain(|at| places.get(&(at.topic, at.partition)).is_none_or(|&place| at.offset > place));
    moved
}
