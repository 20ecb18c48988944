//! Whether a partition of `mail.raw` holds everything that it must: mail is synced before anybody can move past it, so
//! what is missing was never lost by a crash. Going on would give its offsets out a second time.

use std::path::Path;

use schemas::record::{Offset, Partition};

use super::recover::Recovered;
use crate::{LogError, Result};

/// What the rest of the log knows of a partition.
#[derive(Clone, Debug, Default)]
pub(in crate::embedded) struct Known {
    /// What was given up ends here; `None` where the database is newer than the segments, and can't say.
    pub earliest: Option<Offset>,
    /// The group that has come furthest, and its next offset.
    pub furthest: Option<(String, Offset)>,
}

/// Refuses a partition in which offsets are missing.
pub(super) fn check(folder: &Path, partition: Partition, found: &Recovered, known: &Known) -> Result<()> {
    let missing = |from: Offset, to: Offset, why: &str| {
        let last = to.saturating_sub(1);
        Err(LogError::Damaged(format!(
            "mail.raw/{partition} lacks the offsets {from} to {last}: {why}. The segments in {} are not complete, and \
             the log does not start, since new mail would take the places of mail that is missing. Put the missing \
             files (*.seg) back, or the whole data folder from one copy",
            folder.display()
        )))
    };
    let mut next = known.earliest;
    for segment in &found.segments {
        if let Some(from) = next.filter(|from| *from < segment.base()) {
            return missing(from, segment.base(), &format!("the next segment begins at {}", segment.base()));
        }
        next = Some(segment.end().max(next.unwrap_or(0)));
    }
    if let Some(earliest) = known.earliest.filter(|earliest| *earliest > found.end) {
        return missing(found.end, earliest, &format!("everything before {earliest} was given up, and nothing behind"));
    }
    match &known.furthest {
        Some((group, reached)) if *reached > found.end => {
            missing(found.end, *reached, &format!("the group {group} has read as far as that"))
        }
        _ => Ok(()),
    }
}
