//! Schema resolution by name: a value that was written with one schema, as another schema has it
//! (Avro 1.11, "Schema Resolution").

use apache_avro::Schema;
use apache_avro::schema::{EnumSchema, RecordField, RecordSchema, ResolvedSchema, UnionSchema};
use apache_avro::types::Value;
use serde_json::Value as Json;

/// The value, as `reader` has it; the cause when it has no place there.
pub fn resolve(value: Value, writer: &Schema, reader: &Schema) -> Result<Value, String> {
    let text = |error: apache_avro::Error| error.to_string();
    let written = ResolvedSchema::new(writer).map_err(text)?;
    let wanted = ResolvedSchema::new(reader).map_err(text)?;
    Resolver { written: &written, wanted: &wanted }.value(value, writer, reader)
}

struct Resolver<'a> {
    written: &'a ResolvedSchema<'a>,
    wanted: &'a ResolvedSchema<'a>,
}

impl<'a> Resolver<'a> {
    fn value(&self, value: Value, writer: &'a Schema, reader: &'a Schema) -> Result<Value, String> {
        let writer = named(self.written, writer)?;
        let reader = named(self.wanted, reader)?;
        match (value, writer, reader) {
            (Value::Union(index, inner), Schema::Union(union), _) => {
                let variant = usize::try_from(index).ok().and_then(|index| union.variants().get(index));
                let variant = variant.ok_or_else(|| format!("the union has no variant {index}"))?;
                self.value(*inner, variant, reader)
            }
            (value, _, Schema::Union(union)) => self.union(value, writer, union),
            (Value::Record(fields), Schema::Record(from), Schema::Record(to)) => self.record(fields, from, to),
            (Value::Enum(_, symbol), _, Schema::Enum(to)) => symbol_of(&symbol, to),
            (Value::Array(items), Schema::Array(from), Schema::Array(to)) => {
                let items = items.into_iter().map(|item| self.value(item, &from.items, &to.items));
                items.collect::<Result<_, _>>().map(Value::Array)
            }
            (value, _, reader) => promote(value, reader),
        }
    }

    fn record(
        &self,
        mut fields: Vec<(String, Value)>,
        from: &'a RecordSchema,
        to: &'a RecordSchema,
    ) -> Result<Value, String> {
        if from.name.name() != to.name.name() {
            return Err(format!("{} was written where {} is read", from.name.name(), to.name.name()));
        }
        let mut resolved = Vec::with_capacity(to.fields.len());
        for wanted in &to.fields {
            let written = fields.iter().position(|(name, _)| *name == wanted.name);
            let writer = from.fields.iter().find(|field| field.name == wanted.name);
            let value = match (written, writer) {
                (Some(place), Some(writer)) => {
                    let (_, value) = fields.swap_remove(place);
                    self.value(value, &writer.schema, &wanted.schema)?
                }
                _ => self.default_of(wanted)?,
            };
            resolved.push((wanted.name.clone(), value));
        }
        Ok(Value::Record(resolved))
    }

    fn union(&self, value: Value, writer: &'a Schema, union: &'a UnionSchema) -> Result<Value, String> {
        for (index, variant) in union.variants().iter().enumerate() {
            let variant = named(self.wanted, variant)?;
            if same_type(writer, variant) {
                let index = u32::try_from(index).map_err(|error| error.to_string())?;
                return Ok(Value::Union(index, Box::new(self.value(value, writer, variant)?)));
            }
        }
        let written = writer.name().map_or_else(|| "a value".to_owned(), |name| name.name().to_owned());
        Err(format!("this program has no variant for {written}"))
    }

    fn default_of(&self, field: &'a RecordField) -> Result<Value, String> {
        let default = field.default.as_ref().ok_or_else(|| format!("{} is missing and has no default", field.name))?;
        self.default_value(default, &field.schema)
            .ok_or_else(|| format!("the default of {} does not fit it", field.name))
    }

    /// A default is JSON of the field's type; of a union, of its first type.
    fn default_value(&self, json: &Json, schema: &'a Schema) -> Option<Value> {
        let schema = named(self.wanted, schema).ok()?;
        Some(match schema {
            Schema::Null => json.is_null().then_some(Value::Null)?,
            Schema::Boolean => Value::Boolean(json.as_bool()?),
            Schema::Int => Value::Int(i32::try_from(json.as_i64()?).ok()?),
            Schema::Long => Value::Long(json.as_i64()?),
            Schema::TimestampMillis => Value::TimestampMillis(json.as_i64()?),
            Schema::Double => Value::Double(json.as_f64()?),
            Schema::String => Value::String(json.as_str()?.to_owned()),
            Schema::Bytes => {
                let bytes = json.as_str()?.chars().map(|character| u8::try_from(u32::from(character)).ok());
                Value::Bytes(bytes.collect::<Option<_>>()?)
            }
            Schema::Enum(symbols) => symbol_of(json.as_str()?, symbols).ok()?,
            Schema::Union(union) => Value::Union(0, Box::new(self.default_value(json, union.variants().first()?)?)),
            Schema::Array(array) => {
                let items = json.as_array()?.iter().map(|item| self.default_value(item, &array.items));
                Value::Array(items.collect::<Option<_>>()?)
            }
            Schema::Record(record) => {
                let object = json.as_object()?;
                let field = |field: &'a RecordField| {
                    let default = object.get(&field.name).or(field.default.as_ref())?;
                    Some((field.name.clone(), self.default_value(default, &field.schema)?))
                };
                Value::Record(record.fields.iter().map(field).collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }
}

fn named<'a>(names: &ResolvedSchema<'a>, schema: &'a Schema) -> Result<&'a Schema, String> {
    match schema {
        Schema::Ref { name } => names.get_names().get(name).copied().ok_or_else(|| format!("there is no type {name}")),
        other => Ok(other),
    }
}

/// Whether a variant of a union is meant: by name where there are names.
fn same_type(writer: &Schema, reader: &Schema) -> bool {
    match (writer.name(), reader.name()) {
        (Some(written), Some(wanted)) => written.name() == wanted.name() && kind(writer) == kind(reader),
        (None, None) => kind(writer) == kind(reader),
        _ => false,
    }
}

/// Types between which values go without loss are one kind.
fn kind(schema: &Schema) -> &'static str {
    match schema {
        Schema::Null => "null",
        Schema::Boolean => "boolean",
        Schema::Int | Schema::Long | Schema::TimestampMillis => "integer",
        Schema::Float | Schema::Double => "number",
        Schema::String => "string",
        Schema::Bytes => "bytes",
        Schema::Array(_) => "array",
        Schema::Enum(_) => "enum",
        Schema::Record(_) => "record",
        _ => "other",
    }
}

fn symbol_of(symbol: &str, to: &EnumSchema) -> Result<Value, String> {
    let place = |wanted: &str| to.symbols.iter().position(|known| known == wanted);
    let default = || to.default.as_deref().and_then(|default| Some((place(default)?, default)));
    let found = place(symbol).map(|index| (index, symbol)).or_else(default);
    let (index, symbol) = found.ok_or_else(|| format!("{} has no symbol {symbol}", to.name.name()))?;
    Ok(Value::Enum(u32::try_from(index).map_err(|error| error.to_string())?, symbol.to_owned()))
}

fn promote(value: Value, reader: &Schema) -> Result<Value, String> {
    Ok(match (value, reader) {
        (Value::Int(number), Schema::Long) => Value::Long(number.into()),
        (Value::Int(number), Schema::TimestampMillis) => Value::TimestampMillis(number.into()),
        (Value::Int(number), Schema::Double) => Value::Double(number.into()),
        (Value::Long(number), Schema::TimestampMillis) => Value::TimestampMillis(number),
        (Value::TimestampMillis(number), Schema::Long) => Value::Long(number),
        (Value::Float(number), Schema::Double) => Value::Double(number.into()),
        (value @ Value::Null, Schema::Null)
        | (value @ Value::Boolean(_), Schema::Boolean)
        | (value @ Value::Int(_), Schema::Int)
        | (value @ Value::Long(_), Schema::Long)
        | (value @ Value::TimestampMillis(_), Schema::TimestampMillis)
        | (value @ Value::Float(_), Schema::Float)
        | (value @ Value::Double(_), Schema::Double)
        | (value @ Value::String(_), Schema::String)
        | (value @ Value::Bytes(_), Schema::Bytes) => value,
        (value, _) => {
            return Err(format!("{:?} has no place in the type that is read", std::mem::discriminant(&value)));
        }
    })
}
