//! A projection that several processes keep together: each follows the partitions that its group has given to it, from
//! where the projection stands in them. Whoever was frozen may apply what others have applied meanwhile, so such a
//! projection must not care how often, or how late, it is given the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use schemas::record::{Offset, Partition};
use schemas::{Position, Topic};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::lag::Lag;
use super::project::{ProjectError, apply};
use super::{Backoff, BatchLimits, Projection, ProjectionError};
use crate::{Log, LogError, Progress, Result, Shares, Starts};

/// What is followed, as a member of which group, and who is told.
pub struct Share {
    pub log: Arc<dyn Shares>,
    pub group: &'static str,
    pub topics: Vec<Topic>,
    pub limits: BatchLimits,
    /// Where this process has come.
    pub progress: Arc<Progress>,
    /// The partitions that it has now.
    pub has: watch::Sender<Vec<(Topic, Partition)>>,
}

/// Feeds the projection with this process's share until `shutdown`.
pub async fn project_shared(
    share: Share,
    projection: Arc<dyn Projection>,
    shutdown: CancellationToken,
) -> std::result::Result<(), ProjectError> {
    let mut backoff = Backoff::default();
    let mut lag = Lag::new(projection.name(), &share.topics);
    loop {
        let followed = follow(&share, &projection, &mut backoff, &mut lag, &shutdown).await;
        share.has.send_replace(Vec::new());
        let error = match followed {
            Err(ProjectError::Log(error)) if error.is_transient() => error,
            done => return done,
        };
        tracing::warn!(projection = projection.name(), %error, "a projection can't read the log for now");
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = backoff.wait() => {}
        }
    }
}

async fn follow(
    share: &Share,
    projection: &Arc<dyn Projection>,
    backoff: &mut Backoff,
    lag: &mut Lag,
    shutdown: &CancellationToken,
) -> std::result::Result<(), ProjectError> {
    let starts = Arc::new(OfProjection(Arc::clone(projection)));
    let mut tail = share.log.share(share.group, &share.topics, starts).await?;
    let limits = share.limits.poll();
    let mut places: BTreeMap<(Topic, Partition), Offset> = BTreeMap::new();
    loop {
        let records = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            polled = tail.poll(&limits) => polled?,
        };
        backoff.reset();
        let positions = tail.positions();
        let has: Vec<(Topic, Partition)> = positions.iter().map(|at| (at.topic, at.partition)).collect();
        places.retain(|place, _| has.contains(place));
        share.has.send_if_modified(|known| std::mem::replace(known, has.clone()) != has);
        let is_ahead = |at: &Position| places.get(&(at.topic, at.partition)).is_none_or(|&place| at.offset > place);
        let moved: Vec<Position> = positions.into_iter().filter(is_ahead).collect();
        if !moved.is_empty() {
            // What holds no records is applied as well: others ask the projection how far it has come.
            if !apply(projection.as_ref(), records, &moved, shutdown).await? {
                return Ok(());
            }
            places.extend(moved.iter().map(|at| ((at.topic, at.partition), at.offset)));
            share.progress.advance(&moved);
        }
        if lag.is_due() {
            let at = |(&(topic, partition), &offset)| Position::new(topic, partition, offset);
            let log: Arc<dyn Log> = Arc::<dyn Shares>::clone(&share.log);
            lag.measure(log, places.iter().map(at).collect());
        }
    }
}

struct OfProjection(Arc<dyn Projection>);

#[async_trait]
impl Starts for OfProjection {
    async fn positions(&self) -> Result<Vec<Position>> {
        self.0.positions().await.map_err(|error| match error {
            ProjectionError::Later(cause) => LogError::Unavailable(cause),
            ProjectionError::Stop(cause) => LogError::Damaged(cause),
        })
    }
}
