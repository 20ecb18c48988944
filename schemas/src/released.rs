//! Every schema ever released, with the id that values name it by. A row is never edited or removed: a change to an
//! event is a new file, a new row at the end with the next id, and new golden bytes.

use crate::Topic;
use crate::event::ReleasedSchema;

/// A schema that this program was built with.
#[derive(Clone, Copy, Debug)]
pub struct Release {
    pub topic: Topic,
    /// Counts the schemas of this topic, from 1.
    pub version: i32,
    /// Stands in every value; the same for ever and everywhere.
    pub id: i32,
    /// The schema, as Avro's JSON.
    pub json: &'static str,
}

macro_rules! release {
    ($id:literal, $topic:ident, $version:literal, $file:literal) => {
        Release { topic: Topic::$topic, version: $version, id: $id, json: include_str!(concat!("../avsc/", $file)) }
    };
}

/// In the order of their ids; the last row of a topic is what is written today.
pub const RELEASES: [Release; 14] = [
    release!(1, MailRaw, 1, "mail.raw.v1.avsc"),
    release!(2, MailParsed, 1, "mail.parsed.v1.avsc"),
    release!(3, MailScored, 1, "mail.scored.v1.avsc"),
    release!(4, MailRouted, 1, "mail.routed.v1.avsc"),
    release!(5, MailActions, 1, "mail.actions.v1.avsc"),
    release!(6, SpamModels, 1, "spam.models.v1.avsc"),
    release!(7, Accounts, 1, "accounts.v1.avsc"),
    release!(8, DeadLetters, 1, "dead.letters.v1.avsc"),
    release!(9, Schemas, 1, "schemas.v1.avsc"),
    release!(10, ForwardDue, 1, "forward.due.v1.avsc"),
    release!(11, ForwardAttempts, 1, "forward.attempts.v1.avsc"),
    release!(12, SpamCorrections, 1, "spam.corrections.v1.avsc"),
    release!(13, Accounts, 2, "accounts.v2.avsc"),
    release!(14, MailRouted, 2, "mail.routed.v2.avsc"),
];

/// What the topic `schemas` has to hold, so that other programs can read this one's values.
pub fn released() -> Vec<ReleasedSchema> {
    let record = |release: &Release| ReleasedSchema {
        subject: release.topic.subject(),
        version: release.version,
        id: release.id,
        schema: release.json.to_owned(),
    };
    RELEASES.iter().map(record).collect()
}

/// The row that values of this topic are written with.
pub fn newest(topic: Topic) -> Option<&'static Release> {
    RELEASES.iter().rev().find(|release| release.topic == topic)
}
