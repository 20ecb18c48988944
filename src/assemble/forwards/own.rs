//! Which partitions of `forward.due` are delivered by this process: those that a group gives to its member. What the
//! member reads is passed over, since a new owner needs everything from the beginning: the feed reads that without a
//! group, and the group's positions say nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use eventlog::runner::Backoff;
use eventlog::{Limits, Log, LogError, Member, Result};
use schemas::record::Partition;
use schemas::{Position, Topic};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const OWNERS: &str = "deliveries";
/// How much is passed over in one go.
const LOOK: Limits = Limits { records: 4096, bytes: 4 << 20, wait: Duration::from_secs(1) };

/// Tells which partitions are this process's, until `stop`.
pub async fn own(log: &dyn Log, owned: &watch::Sender<BTreeSet<Partition>>, stop: &CancellationToken) -> Result<()> {
    let mut backoff = Backoff::default();
    loop {
        let Some(ended) = stop.run_until_cancelled(follow(log, owned, &mut backoff)).await else { return Ok(()) };
        match ended {
            Err(error) if !error.is_transient() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "it can't be said for now who delivers what");
                // Once the session has ended they are given to others.
                owned.send_if_modified(|owned| !std::mem::take(owned).is_empty());
            }
            Ok(()) => {}
        }
        if stop.run_until_cancelled(backoff.wait()).await.is_none() {
            return Ok(());
        }
    }
}

async fn follow(log: &dyn Log, owned: &watch::Sender<BTreeSet<Partition>>, backoff: &mut Backoff) -> Result<()> {
    let mut member = log.join(OWNERS, &[Topic::ForwardDue]).await?;
    loop {
        match member.poll(&LOOK).await {
            Err(LogError::BadRecord { position, .. }) => member.commit(Vec::new(), &[position.next()]).await?,
            polled => drop(polled?),
        }
        backoff.reset();
        let positions = member.positions();
        let has: BTreeSet<Partition> = positions.iter().map(|at| at.partition).collect();
        let gained = !has.is_subset(&owned.borrow());
        owned.send_if_modified(|owned| std::mem::replace(owned, has.clone()) != has);
        if gained {
            pass_over(log, member.as_mut(), &positions).await?;
        }
    }
}

/// What stands there already is not read here as well.
async fn pass_over(log: &dyn Log, member: &mut dyn Member, positions: &[Position]) -> Result<()> {
    let bounds = log.bounds(Topic::ForwardDue).await?;
    let ends = positions.iter().filter_map(|at| {
        let end = bounds.iter().find(|bounds| bounds.partition == at.partition)?.end;
        (end > at.offset).then(|| Position::new(at.topic, at.partition, end))
    });
    let ends: Vec<Position> = ends.collect();
    if ends.is_empty() {
        return Ok(());
    }
    match member.commit(Vec::new(), &ends).await {
        // They have changed hands again.
        Err(LogError::Moved(_)) => Ok(()),
        committed => committed,
    }
}
