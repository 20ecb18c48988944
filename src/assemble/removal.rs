//! How far a topic may be given up. Pure: what may go is what everybody who needs it has had.

use schemas::record::Offset;
use schemas::{Position, Topic};

/// The expired positions, not further than `had` says in each partition; a partition that nobody has had stays.
pub fn within(expired: Vec<Position>, had: &[Position]) -> Vec<Position> {
    let reached = |position: &Position| {
        let same = |at: &&Position| (at.topic, at.partition) == (position.topic, position.partition);
        had.iter().find(same).map(|at| at.offset)
    };
    expired
        .into_iter()
        .filter_map(|position| {
            let offset = position.offset.min(reached(&position)?);
            (offset > 0).then_some(Position { offset, ..position })
        })
        .collect()
}

/// Where the mail that is still on the log begins, as far as a partition of another topic goes.
pub fn start_of(starts: &[Position], partition: u32) -> Offset {
    let of = |start: &&Position| start.topic == Topic::MailRaw && start.partition == partition;
    starts.iter().find(of).map_or(0, |start| start.offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(partition: u32, offset: u64) -> Position {
        Position::new(Topic::MailRaw, partition, offset)
    }

    #[test]
    fn what_somebody_has_not_had_stays() {
        let had = [at(0, 5), at(1, 90)];
        assert_eq!(within(vec![at(0, 10), at(1, 10), at(2, 10)], &had), [at(0, 5), at(1, 10)]);
    }

    #[test]
    fn nothing_is_given_up_where_nothing_was_had() {
        assert_eq!(within(vec![at(0, 10)], &[at(0, 0)]), []);
        assert_eq!(within(vec![at(0, 10)], &[Position::new(Topic::MailParsed, 0, 10)]), []);
    }

    #[test]
    fn a_partition_without_a_start_begins_at_nothing() {
        assert_eq!(start_of(&[at(1, 7)], 1), 7);
        assert_eq!(start_of(&[at(1, 7)], 0), 0);
    }
}
