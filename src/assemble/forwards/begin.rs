//! Where the forwards begin: a group that has never stood anywhere begins at the end of `mail.routed`. Whoever installs
//! a version with forwards does not have years of mail told to their receivers; on a new folder the end is the
//! beginning, so that nothing is missed there.

use std::time::{Duration, Instant};

use eventlog::runner::Backoff;
use eventlog::{Limits, Log, LogError, Result};
use schemas::{Position, Topic};

use super::GROUP;

const LOOK: Limits = Limits { records: 1, bytes: 0, wait: Duration::ZERO };
/// For the nodes that begin at the same moment to share the partitions.
const LIMIT: Duration = Duration::from_secs(60);

/// Gives the group a place in every partition in which it has none. To be called before anything is routed.
pub async fn begin(log: &dyn Log) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    let mut backoff = Backoff::default();
    loop {
        match try_to_begin(log).await {
            // Another node has a part of the group, and does the same.
            Err(error) if error.is_transient() && Instant::now() < deadline => {
                tracing::debug!(%error, "the forwards can't begin yet");
                backoff.wait().await;
            }
            done => return done,
        }
    }
}

async fn try_to_begin(log: &dyn Log) -> Result<()> {
    let committed = log.committed(GROUP).await?;
    let bounds = log.bounds(Topic::MailRouted).await?;
    let new: Vec<Position> = bounds
        .iter()
        .filter(|bounds| !committed.iter().any(|at| at.topic == Topic::MailRouted && at.partition == bounds.partition))
        .map(|bounds| Position::new(Topic::MailRouted, bounds.partition, bounds.end))
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    let mut member = log.join(GROUP, &[Topic::MailRouted]).await?;
    // What it has been given is known once it was polled; what was read there is read again by whoever runs the group.
    member.poll(&LOOK).await?;
    let given = member.positions();
    let is_given = |at: &Position| given.iter().any(|given| given.partition == at.partition);
    let (ours, others): (Vec<Position>, Vec<Position>) = new.into_iter().partition(is_given);
    member.commit(Vec::new(), &ours).await?;
    if others.is_empty() {
        return Ok(());
    }
    Err(LogError::Unavailable(format!("{} partitions are with another node", others.len())))
}

#[cfg(test)]
mod tests {
    use eventlog::embedded::{DatabaseSettings, EmbeddedLog, EmbeddedSettings, open_database};
    use schemas::NewRecord;

    use super::*;

    async fn at(log: &dyn Log) -> Vec<u64> {
        log.committed(GROUP).await.unwrap().iter().map(|position| position.offset).collect()
    }

    #[tokio::test]
    async fn forwards_begin_behind_the_mail_that_is_routed_already_and_then_stay_where_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let database = open_database(&folder.path().join("database"), DatabaseSettings::default()).unwrap();
        let settings = EmbeddedSettings { partitions: 2, reserve_bytes: 0, ..EmbeddedSettings::default() };
        let log = EmbeddedLog::open(database, &folder.path().join("log"), settings).unwrap();
        let routed = || NewRecord::new(Topic::MailRouted, "k", "v").in_partition(1);
        log.append(vec![routed(), routed()]).await.unwrap();
        begin(log.as_ref()).await.unwrap();
        assert_eq!(at(log.as_ref()).await, [0, 2], "where nothing is routed the end is the beginning");
        log.append(vec![routed()]).await.unwrap();
        begin(log.as_ref()).await.unwrap();
        assert_eq!(at(log.as_ref()).await, [0, 2]);
    }
}
