//! Where topics end, and whether somebody has come as far.

use eventlog::Log;
use schemas::{Position, Topic};

/// The end of every partition of these topics.
pub async fn ends(log: &dyn Log, topics: &[Topic]) -> eventlog::Result<Vec<Position>> {
    let mut ends = Vec::new();
    for &topic in topics {
        let bounds = log.bounds(topic).await?;
        ends.extend(bounds.iter().map(|bounds| Position::new(topic, bounds.partition, bounds.end)));
    }
    Ok(ends)
}

/// Whether these positions have reached every end; an empty partition needs none.
pub fn has_reached(positions: &[Position], ends: &[Position]) -> bool {
    ends.iter().all(|end| end.offset == 0 || positions.iter().any(|at| is_at_or_behind(at, end)))
}

fn is_at_or_behind(at: &Position, end: &Position) -> bool {
    (at.topic, at.partition) == (end.topic, end.partition) && at.offset >= end.offset
}
