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
