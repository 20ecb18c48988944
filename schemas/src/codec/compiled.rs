//! The released schemas, parsed once, each with its reader and its writer.

use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;

use super::{CodecError, MAX_VALUE_BYTES, cut};
use crate::Topic;
use crate::released::{RELEASES, Release, newest as newest_release};

/// A released schema that values can be read and written with.
pub struct Compiled {
    pub release: &'static Release,
    pub schema: &'static Schema,
    pub reader: GenericDatumReader<'static>,
    pub writer: GenericDatumWriter<'static>,
}

static SCHEMAS: LazyLock<Vec<Result<Schema, String>>> = LazyLock::new(|| {
    let parse = |release: &Release| Schema::parse_str(release.json).map_err(|error| cut(&error.to_string()));
    RELEASES.iter().map(parse).collect()
});

static COMPILED: LazyLock<Result<Vec<Compiled>, (i32, String)>> = LazyLock::new(|| {
    // Once for the process, before anything is read: no length in a value is believed beyond this.
    apache_avro::util::max_allocation_bytes(MAX_VALUE_BYTES);
    RELEASES.iter().zip(SCHEMAS.iter()).map(|(release, parsed)| compile(release, parsed)).collect()
});

/// What values of this topic are written with.
pub fn newest(topic: Topic) -> Result<&'static Compiled, CodecError> {
    let id = newest_release(topic).map_or(0, |release| release.id);
    by_id(id)?.ok_or(CodecError::UnknownSchema(id))
}

/// The released schema with this id, if there is one.
pub fn by_id(id: i32) -> Result<Option<&'static Compiled>, CodecError> {
    match &*COMPILED {
        Ok(compiled) => Ok(compiled.iter().find(|known| known.release.id == id)),
        Err((broken, cause)) => Err(CodecError::Schema { id: *broken, cause: cause.clone() }),
    }
}

/// The released schema of this topic that is written the same way.
pub fn same(topic: Topic, schema: &Schema) -> Result<Option<&'static Compiled>, CodecError> {
    let form = schema.canonical_form();
    let candidates = RELEASES.iter().rev().filter(|release| release.topic == topic);
    for release in candidates {
        if let Some(known) = by_id(release.id)?.filter(|known| known.schema.canonical_form() == form) {
            return Ok(Some(known));
        }
    }
    Ok(None)
}

fn compile(release: &'static Release, parsed: &'static Result<Schema, String>) -> Result<Compiled, (i32, String)> {
    let failed = |cause: String| (release.id, cause);
    let schema = parsed.as_ref().map_err(|cause| failed(cause.clone()))?;
    let reader = GenericDatumReader::builder(schema).build().map_err(|error| failed(cut(&error.to_string())))?;
    // Values are checked by the types that they come from, and by what resolved them.
    let writer = GenericDatumWriter::builder(schema).validate(false).build();
    let writer = writer.map_err(|error| failed(cut(&error.to_string())))?;
    Ok(Compiled { release, schema, reader, writer })
}
