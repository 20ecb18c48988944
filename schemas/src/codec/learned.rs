//! Schemas that stand on the topic `schemas` under an id that this program was not built with: a newer program wrote
//! them, or an outside registry numbered them. Such a registry counts by itself, so an id means something within its
//! topic only.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use apache_avro::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;

use super::compiled::Compiled;
use super::{CodecError, bounds, compiled, cut};
use crate::Topic;

/// How many schemas a process learns, at most.
pub const MAX_LEARNED: usize = 1_000;
/// How long a schema may be that a process learns, in bytes.
pub const MAX_SCHEMA_BYTES: usize = 1024 * 1024;

/// What an id stands for that is not one of ours.
pub enum Learned {
    /// A schema of ours under the id of an outside registry.
    Released(&'static Compiled),
    Newer(Schema),
}

impl Learned {
    fn schema(&self) -> &Schema {
        match self {
            Self::Released(compiled) => compiled.schema,
            Self::Newer(schema) => schema,
        }
    }
}

type Known = HashMap<(Topic, i32), Arc<Learned>>;

static LEARNED: LazyLock<RwLock<Known>> = LazyLock::new(RwLock::default);

/// Makes values of this topic with this id readable, from now on and in the whole process. The same schema twice is
/// fine; another schema under an id that is taken is not, nor one that the newest schema of its topic can't be read
/// from.
pub fn learn(id: i32, topic: Topic, schema_json: &str) -> Result<(), CodecError> {
    let refused = |cause: String| CodecError::Schema { id, cause: cut(&cause) };
    if schema_json.len() > MAX_SCHEMA_BYTES {
        return Err(refused(format!("it has {} bytes, more than {MAX_SCHEMA_BYTES}", schema_json.len())));
    }
    let schema = Schema::parse_str(schema_json).map_err(|error| refused(error.to_string()))?;
    if let Some(known) = compiled::by_id(id)?.filter(|known| known.release.topic == topic) {
        return check_same(known.schema, &schema).map_err(refused);
    }
    let read = match compiled::same(topic, &schema)? {
        Some(released) => Learned::Released(released),
        None => {
            check_readable(topic, &schema).map_err(refused)?;
            Learned::Newer(schema)
        }
    };
    let mut learned = LEARNED.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = learned.get(&(topic, id)) {
        return check_same(known.schema(), read.schema()).map_err(refused);
    }
    if learned.len() >= MAX_LEARNED {
        return Err(refused(format!("there are {MAX_LEARNED} others already")));
    }
    learned.insert((topic, id), Arc::new(read));
    Ok(())
}

pub fn by_id(topic: Topic, id: i32) -> Option<Arc<Learned>> {
    LEARNED.read().unwrap_or_else(PoisonError::into_inner).get(&(topic, id)).cloned()
}

/// A topic whose values have this id.
pub fn topic_of(id: i32) -> Option<Topic> {
    let learned = LEARNED.read().unwrap_or_else(PoisonError::into_inner);
    learned.keys().find(|(_, known)| *known == id).map(|(topic, _)| *topic)
}

fn check_readable(topic: Topic, schema: &Schema) -> Result<(), String> {
    bounds::check(schema)?;
    let newest = compiled::newest(topic).map_err(|error| error.to_string())?;
    SchemaCompatibility::can_read(schema, newest.schema)
        .map(|_| ())
        .map_err(|error| format!("this program can't read it: {error}"))
}

fn check_same(known: &Schema, other: &Schema) -> Result<(), String> {
    if known.canonical_form() != other.canonical_form() {
        return Err("another schema has this id".to_owned());
    }
    Ok(())
}
