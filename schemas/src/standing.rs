//! What stands on the topic `schemas`, folded: every schema by subject, version and id, as a schema registry shows them.
//! What this program was built with stands there from the beginning, whether the topic holds it yet or not.
//!
//! # Keys
//! A schema under its own id has the key `subject/version`. Where an outside registry numbers it, a second record with
//! the key `subject/version/id` says so; the last of these is the id that is written today.

use std::collections::BTreeMap;

use crate::event::ReleasedSchema;
use crate::released::released;
use crate::{Event, Record, Topic, codec};

/// Rows that are kept: the topic is written by more than this program.
const MAX_ROWS: usize = 4 * codec::MAX_LEARNED;

/// See the module.
#[derive(Clone, Debug)]
pub struct Standing {
    subjects: BTreeMap<String, BTreeMap<i32, Version>>,
    rows: usize,
}

/// One version of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Version {
    schema: String,
    own_id: Option<i32>,
    /// Those of outside registries, the last one being in use.
    outside_ids: Vec<i32>,
}

impl Version {
    fn id(&self) -> Option<i32> {
        self.outside_ids.last().copied().or(self.own_id)
    }

    fn has(&self, id: i32) -> bool {
        self.own_id == Some(id) || self.outside_ids.contains(&id)
    }
}

impl Default for Standing {
    fn default() -> Self {
        let mut standing = Self { subjects: BTreeMap::new(), rows: 0 };
        for schema in released() {
            standing.add(schema, false);
        }
        standing
    }
}

/// The record key of a schema, under its own id or under an outside registry's.
pub fn key(schema: &ReleasedSchema, outside: bool) -> String {
    let ReleasedSchema { subject, version, id, .. } = schema;
    if outside { format!("{subject}/{version}/{id}") } else { format!("{subject}/{version}") }
}

impl Standing {
    /// Folds a record of the topic, and makes values with its id readable. What can't be read is said, and left out.
    pub fn take(&mut self, record: &Record) -> Result<(), codec::CodecError> {
        let Some(value) = &record.value else { return Ok(()) };
        let Event::Schema(schema) = codec::decode(Topic::Schemas, value)? else { return Ok(()) };
        let outside = record.key.as_deref().is_some_and(|known| known == key(&schema, true).as_bytes());
        let topic = schema.subject.strip_suffix("-value").and_then(|name| name.parse().ok());
        let (id, text) = (schema.id, schema.schema.clone());
        self.add(schema, outside);
        // A subject that is nobody's topic here is a newer program's: its values are not read here either.
        topic.map_or(Ok(()), |topic| codec::learn(id, topic, &text))
    }

    fn add(&mut self, schema: ReleasedSchema, outside: bool) {
        let ReleasedSchema { subject, version, id, schema: text } = schema;
        if self.rows >= MAX_ROWS || version < 1 {
            return;
        }
        let versions = self.subjects.entry(subject).or_default();
        let row = versions.entry(version).or_insert_with(|| {
            self.rows += 1;
            Version { schema: text, own_id: None, outside_ids: Vec::new() }
        });
        if outside {
            row.outside_ids.retain(|known| *known != id);
            row.outside_ids.push(id);
            self.rows += 1;
        } else {
            row.own_id.get_or_insert(id);
        }
    }

    pub fn subjects(&self) -> impl Iterator<Item = &str> {
        self.subjects.keys().map(String::as_str)
    }

    /// The versions of a subject, rising; none where there is no such subject.
    pub fn versions(&self, subject: &str) -> Vec<i32> {
        self.subjects.get(subject).map(|versions| versions.keys().copied().collect()).unwrap_or_default()
    }

    /// A version with the id that its values are written with today.
    pub fn version(&self, subject: &str, version: i32) -> Option<ReleasedSchema> {
        let found = self.subjects.get(subject)?.get(&version)?;
        Some(ReleasedSchema { subject: subject.to_owned(), version, id: found.id()?, schema: found.schema.clone() })
    }

    /// The newest version.
    pub fn latest(&self, subject: &str) -> Option<ReleasedSchema> {
        let version = *self.subjects.get(subject)?.keys().next_back()?;
        self.version(subject, version)
    }

    /// Every version that values with this id may be of, those that are written with it today first. More than one
    /// only where an outside registry has given an id of ours to another schema.
    pub fn by_id(&self, id: i32) -> Vec<ReleasedSchema> {
        let mut found: Vec<(bool, ReleasedSchema)> = Vec::new();
        for (subject, versions) in &self.subjects {
            for (version, row) in versions.iter().filter(|(_, row)| row.has(id)) {
                let schema =
                    ReleasedSchema { subject: subject.clone(), version: *version, id, schema: row.schema.clone() };
                found.push((row.id() != Some(id), schema));
            }
        }
        found.sort_by_key(|(is_former, _)| *is_former);
        found.into_iter().map(|(_, schema)| schema).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(subject: &str, version: i32, id: i32, schema: &str) -> ReleasedSchema {
        ReleasedSchema { subject: subject.to_owned(), version, id, schema: schema.to_owned() }
    }

    #[test]
    fn what_the_program_was_built_with_stands_from_the_beginning() {
        let standing = Standing::default();
        assert_eq!(standing.versions("mail.raw-value"), [1]);
        assert_eq!(standing.latest("mail.raw-value").map(|found| found.id), Some(1));
        assert_eq!(standing.by_id(1).first().map(|found| found.subject.as_str()), Some("mail.raw-value"));
        assert!(standing.by_id(0).is_empty() && standing.versions("x").is_empty() && standing.latest("x").is_none());
    }

    #[test]
    fn an_outside_id_is_the_one_in_use_and_the_own_one_stays_readable() {
        let mut standing = Standing::default();
        standing.add(row("mail.raw-value", 1, 100_007, "{}"), true);
        assert_eq!(standing.latest("mail.raw-value").map(|found| found.id), Some(100_007));
        for id in [1, 100_007] {
            assert_eq!(standing.by_id(id).len(), 1, "{id}");
        }
    }

    #[test]
    fn an_id_that_two_registries_gave_is_first_of_what_is_written_with_it_today() {
        let mut standing = Standing::default();
        standing.add(row("mail.raw-value", 1, 2, "{}"), true);
        let subjects: Vec<String> = standing.by_id(2).into_iter().map(|found| found.subject).collect();
        assert_eq!(subjects, ["mail.parsed-value", "mail.raw-value"], "both are written with it today");
        standing.add(row("mail.parsed-value", 1, 3, "{}"), true);
        let subjects: Vec<String> = standing.by_id(2).into_iter().map(|found| found.subject).collect();
        assert_eq!(subjects, ["mail.raw-value", "mail.parsed-value"]);
    }
}
