//! Which schemas are safe to read hostile bytes with: what a datum makes of memory, stack and time has to be bounded
//! by its length. An array of nothing, or a record inside itself, would break that.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::{Name, ResolvedSchema};

/// How deep types may be nested.
const MAX_DEPTH: usize = 32;

/// Fails with the cause when data of this schema has no bounds.
pub fn check(schema: &Schema) -> Result<(), String> {
    let resolved = ResolvedSchema::new(schema).map_err(|error| error.to_string())?;
    least_bytes(schema, resolved.get_names(), 0).map(|_| ())
}

/// The least bytes that a datum of this schema takes: 0 or more than 0 is what counts.
fn least_bytes(schema: &Schema, names: &HashMap<Name, &Schema>, depth: usize) -> Result<usize, String> {
    if depth > MAX_DEPTH {
        return Err(format!("types are nested more than {MAX_DEPTH} deep"));
    }
    match schema {
        Schema::Null => Ok(0),
        Schema::Ref { name } => {
            let named = names.get(name).ok_or_else(|| format!("there is no type {name}"))?;
            least_bytes(named, names, depth + 1)
        }
        Schema::Array(array) => items(&array.items, names, depth),
        Schema::Map(map) => items(&map.types, names, depth),
        Schema::Union(union) => {
            for variant in union.variants() {
                least_bytes(variant, names, depth + 1)?;
            }
            Ok(1)
        }
        Schema::Record(record) => {
            let mut sum: usize = 0;
            for field in &record.fields {
                sum = sum.saturating_add(least_bytes(&field.schema, names, depth + 1)?);
            }
            Ok(sum)
        }
        Schema::Fixed(fixed) => Ok(fixed.size),
        _ => Ok(1),
    }
}

fn items(schema: &Schema, names: &HashMap<Name, &Schema>, depth: usize) -> Result<usize, String> {
    if least_bytes(schema, names, depth + 1)? == 0 {
        return Err("an array holds items that take no bytes".to_owned());
    }
    Ok(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(arrays: usize) -> Schema {
        let json =
            (0..arrays).fold(r#""string""#.to_owned(), |inner, _| format!(r#"{{"type":"array","items":{inner}}}"#));
        Schema::parse_str(&json).unwrap()
    }

    #[test]
    fn types_may_be_nested_to_the_limit_and_not_beyond() {
        assert!(check(&nested(MAX_DEPTH)).is_ok());
        assert!(check(&nested(MAX_DEPTH + 1)).is_err());
    }
}
