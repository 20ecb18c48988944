//! Where the forwards begin: a group that has never stood anywhere begins at the end of `mail.routed`. Whoever installs
//! a version with forwards does not have years of mail told to their receivers; on a new folder the end is the
//! beginning, so that nothing is missed there.

use eventlog::{Log, Result};
use schemas::{Position, Topic};

use super::GROUP;

/// Gives the group a place in every partition in which it has none. To be called before anything is routed.
pub async fn begin(log: &dyn Log) -> Result<()> {
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
    member.commit(Vec::new(), &new).await
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
