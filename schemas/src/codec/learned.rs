//! Schemas that stand on the topic `schemas` and that this program was not built with: a newer program wrote them.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use apache_avro::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;

use super::{CodecError, bounds, compiled, cut};
use crate::Topic;

/// How many schemas a process learns, at most.
pub const MAX_LEARNED: usize = 1_000;
/// How long a schema may be that a process learns, in bytes.
pub const MAX_SCHEMA_BYTES: usize = 1024 * 1024;

pub struct Learned {
    pub topic: Topic,
    pub schema: Schema,
}

static LEARNED: LazyLock<RwLock<HashMap<i32, Arc<Learned>>>> = LazyLock::new(RwLock::default);

/// Makes values with this id readable, from now on and in the whole process. The same schema twice is fine; another
/// schema under an id that is taken is not, nor one that the newest schema of its topic can't be read from.
pub fn learn(id: i32, topic: Topic, schema_json: &str) -> Result<(), CodecError> {
    let refused = |cause: String| CodecError::Schema { id, cause: cut(&cause) };
    if schema_json.len() > MAX_SCHEMA_BYTES {
        return Err(refused(format!("it has {} bytes, more than {MAX_SCHEMA_BYTES}", schema_json.len())));
    }
    let schema = Schema::parse_str(schema_json).map_err(|error| refused(error.to_string()))?;
    if let Some(known) = compiled::by_id(id)? {
        return check_same(known.release.topic, known.schema, topic, &schema).map_err(refused);
    }
    bounds::check(&schema).map_err(refused)?;
    let newest = compiled::newest(topic)?;
    SchemaCompatibility::can_read(&schema, newest.schema)
        .map_err(|error| refused(format!("this program can't read it: {error}")))?;
    let mut learned = LEARNED.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = learned.get(&id) {
        return check_same(known.topic, &known.schema, topic, &schema).map_err(refused);
    }
    if learned.len() >= MAX_LEARNED {
        return Err(refused(format!("there are {MAX_LEARNED} others already")));
    }
    learned.insert(id, Arc::new(Learned { topic, schema }));
    Ok(())
}

pub fn by_id(id: i32) -> Option<Arc<Learned>> {
    LEARNED.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
}

fn check_same(topic: Topic, schema: &Schema, other_topic: Topic, other: &Schema) -> Result<(), String> {
    if topic != other_topic {
        return Err(format!("it belongs to {topic}, not to {other_topic}"));
    }
    if schema.canonical_form() != other.canonical_form() {
        return Err("another schema has this id".to_owned());
    }
    Ok(())
}
