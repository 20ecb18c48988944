//! What a rebuild promises, whatever the tables: what is carried over, and when the new tables may be used.

use std::collections::BTreeMap;

use schemas::record::{Offset, Partition};
use schemas::{Position, Topic};

use crate::row::Row;
use crate::{Result, StoreError};

/// Of a message that the log has given up, everything; of the others what no log tells: what the sweep removed.
pub fn carried_row(row: Row, raw_before: &[Position]) -> Option<Row> {
    let place = row.raw_place()?;
    let given_up = |start: &Position| {
        start.topic == Topic::MailRaw && start.partition == place.partition && place.offset < start.offset
    };
    if raw_before.iter().any(given_up) {
        return (!row.gone).then_some(row);
    }
    if row.swept.is_empty() && !row.gone {
        return None;
    }
    Some(Row {
        partition: row.partition,
        raw_offset: Some(place.offset),
        swept: row.swept,
        gone: row.gone,
        ..Row::default()
    })
}

/// No fact may be missed by a fold that goes on where the old tables stood. Says the old positions of the partitions
/// in which the new tables have none: those held nothing to fold.
pub fn check_caught_up(
    previous: &BTreeMap<(Topic, Partition), Offset>,
    next: &BTreeMap<(Topic, Partition), Offset>,
) -> Result<Vec<Position>> {
    if next.is_empty() && !previous.is_empty() {
        return Err(StoreError::Unavailable("nothing is folded into the rebuilt tables".to_owned()));
    }
    let mut empty = Vec::new();
    for ((topic, partition), offset) in previous {
        match next.get(&(*topic, *partition)) {
            Some(reached) if reached < offset => {
                let cause =
                    format!("the rebuilt tables stand at {reached} of {topic}/{partition}, those in use at {offset}");
                return Err(StoreError::Unavailable(cause));
            }
            Some(_) => {}
            None => empty.push(Position::new(*topic, *partition, *offset)),
        }
    }
    Ok(empty)
}

pub fn nothing_is_built() -> StoreError {
    StoreError::Unavailable("no rebuild is under way".to_owned())
}
