//! How the fields that hold bytes are written: Avro `bytes` on the log, base64 text where people read (JSON).
//! Made for `#[serde(with = "crate::octets")]`; [`optional`] does the same for a field that may be null.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    } else {
        apache_avro::serde::bytes::serialize(bytes, serializer)
    }
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    if deserializer.is_human_readable() {
        BASE64_STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    } else {
        apache_avro::serde::bytes::deserialize(deserializer)
    }
}

/// The same for bytes that may be missing.
pub mod optional {
    use super::{BASE64_STANDARD, Deserialize, Deserializer, Engine, Error, Serializer};

    pub fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) if serializer.is_human_readable() => serializer.serialize_some(&BASE64_STANDARD.encode(bytes)),
            None if serializer.is_human_readable() => serializer.serialize_none(),
            _ => apache_avro::serde::bytes_opt::serialize(bytes, serializer),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        if !deserializer.is_human_readable() {
            return apache_avro::serde::bytes_opt::deserialize(deserializer);
        }
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| BASE64_STANDARD.decode(text).map_err(D::Error::custom)).transpose()
    }
}
