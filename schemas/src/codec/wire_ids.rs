//! The ids that values are written with, where an outside registry gives them. They are set once, before anything is
//! written, and hold for the whole process.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::CodecError;
use crate::Topic;
use crate::released::Release;

static IDS: OnceLock<HashMap<i32, i32>> = OnceLock::new();

/// Writes values with these ids: from those of [`crate::released`] to the registry's. The same ids twice are fine.
pub fn write_with(ids: HashMap<i32, i32>) -> Result<(), CodecError> {
    let standing = IDS.get_or_init(|| ids.clone());
    let changed = ids.iter().find(|(ours, outside)| standing.get(ours) != Some(outside));
    match changed {
        None => Ok(()),
        Some((&id, _)) => Err(CodecError::Schema {
            id,
            cause: "values of this process are written with another id already".to_owned(),
        }),
    }
}

/// The id that stands in values of this schema. The topic `schemas` keeps ours: it is where the others are learnt.
pub fn of(release: &Release) -> i32 {
    if release.topic == Topic::Schemas {
        return release.id;
    }
    IDS.get().and_then(|ids| ids.get(&release.id)).copied().unwrap_or(release.id)
}
