//! Where the forwards begin: a group that has never stood anywhere begins at the end of `mail.routed`. Whoever installs
//! a version with forwards does not have years of mail told to their receivers; on a new folder the end is the
//! beginning, so that nothing is missed there.

use std::time::Duration;

use eventlog::runner::Backoff;
use eventlog::{Limits, Log, LogError, Member, Result};
use schemas::{Position, Topic};
use tokio::time::Instant;

use super::GROUP;

/// For the group to give its partitions to somebody, where several nodes begin at once.
const LIMIT: Duration = Duration::from_secs(60);
/// Enough to be told which partitions the group gives: what it reads is of no interest.
const LOOK: Limits = Limits { records: 1, bytes: 1, wait: Duration::ZERO };

/// Returns once the group has a place in every partition: those that had none have it from this node or from another
/// that begins as well. To be called before anything is routed.
pub async fn begin(log: &dyn Log) -> Result<()> {
    let (mut backoff, until) = (Backoff::default(), Instant::now() + LIMIT);
    loop {
        match begin_as_member(log, until).await {
            Err(error) if error.is_transient() && Instant::now() < until => {
                tracing::warn!(%error, "the forwards can't be given a place for now");
                backoff.wait().await;
            }
            ended => return ended,
        }
    }
}

/// From joining to the first fault: a member that comes anew is not there beside the one before it.
async fn begin_as_member(log: &dyn Log, until: Instant) -> Result<()> {
    let mut new = without_place(log).await?;
    if new.is_empty() {
        return Ok(());
    }
    let mut backoff = Backoff::default();
    let mut member = log.join(GROUP, &[Topic::MailRouted]).await?;
    loop {
        match give_places(member.as_mut(), &new).await {
            // The others are given a place by whoever has them.
            Ok(()) | Err(LogError::Moved(_)) => {}
            Err(error) => return Err(error),
        }
        new = without_place(log).await?;
        if new.is_empty() {
            return Ok(());
        }
        if Instant::now() >= until {
            let text = format!("{} partitions of {} have no place for the group {GROUP}", new.len(), Topic::MailRouted);
            return Err(LogError::Unavailable(text));
        }
        backoff.wait().await;
    }
}

/// The ends of the partitions in which the group stands nowhere.
async fn without_place(log: &dyn Log) -> Result<Vec<Position>> {
    let committed = log.committed(GROUP).await?;
    let bounds = log.bounds(Topic::MailRouted).await?;
    let is_new = |partition| !committed.iter().any(|at| at.topic == Topic::MailRouted && at.partition == partition);
    let new = bounds.iter().filter(|bounds| is_new(bounds.partition));
    Ok(new.map(|bounds| Position::new(Topic::MailRouted, bounds.partition, bounds.end)).collect())
}

/// In those of them that this member has.
async fn give_places(member: &mut dyn Member, new: &[Position]) -> Result<()> {
    if member.positions().is_empty() {
        member.poll(&LOOK).await?;
    }
    let has = member.positions();
    let mine = new.iter().filter(|new| has.iter().any(|at| at.partition == new.partition)).copied();
    let mine: Vec<Position> = mine.collect();
    if mine.is_empty() { Ok(()) } else { member.commit(Vec::new(), &mine).await }
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
