//! Where each group stands.

use schemas::record::{Offset, Partition};
use schemas::{Position, Topic};

use super::{Facts, read_fault};
use crate::Result;

/// Names hold no zero byte (see [`is_name`]), so no group's keys are among another's.
pub(super) fn key(group: &str, topic: Topic, partition: Partition) -> Vec<u8> {
    let mut key = prefix(group);
    key.extend_from_slice(topic.name().as_bytes());
    key.push(0);
    key.extend_from_slice(&partition.to_be_bytes());
    key
}

/// Whether a group may have this name.
pub(in crate::embedded) fn is_name(group: &str) -> bool {
    const LONGEST_BYTES: usize = 255;
    !group.is_empty() && group.len() <= LONGEST_BYTES && !group.bytes().any(|byte| byte == 0)
}

fn prefix(group: &str) -> Vec<u8> {
    let mut key = group.as_bytes().to_vec();
    key.push(0);
    key
}

impl Facts {
    /// The positions that the group has committed.
    pub fn committed(&self, group: &str) -> Result<Vec<Position>> {
        let start = prefix(group);
        let mut positions = Vec::new();
        for guard in self.groups.prefix(&start) {
            let (key, value) = guard.into_inner().map_err(read_fault)?;
            positions.extend(position(key.get(start.len()..).unwrap_or_default(), &value));
        }
        positions.sort_unstable();
        Ok(positions)
    }

    /// The group that has come furthest in a partition, and its next offset.
    pub fn furthest(&self, topic: Topic, partition: Partition) -> Result<Option<(String, Offset)>> {
        let mut furthest: Option<(String, Offset)> = None;
        for guard in self.groups.iter() {
            let (key, value) = guard.into_inner().map_err(read_fault)?;
            let Some(name_bytes) = key.iter().position(|&byte| byte == 0) else { continue };
            let (name, rest) = key.split_at(name_bytes);
            let Some(at) = position(rest.get(1..).unwrap_or_default(), &value) else { continue };
            let is_further = furthest.as_ref().is_none_or(|(_, offset)| at.offset > *offset);
            if (at.topic, at.partition) == (topic, partition) && is_further {
                furthest = Some((String::from_utf8_lossy(name).into_owned(), at.offset));
            }
        }
        Ok(furthest)
    }
}

/// `None` for a topic that this program does not know.
fn position(rest: &[u8], value: &[u8]) -> Option<Position> {
    let name_bytes = rest.iter().position(|&byte| byte == 0)?;
    let topic = std::str::from_utf8(rest.get(..name_bytes)?).ok()?.parse().ok()?;
    let partition = u32::from_be_bytes(*rest.get(name_bytes + 1..)?.first_chunk()?);
    let offset = u64::from_be_bytes(*value.first_chunk()?);
    Some(Position::new(topic, partition, offset))
}
