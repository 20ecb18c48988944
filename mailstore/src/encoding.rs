//! How a row is written: a version byte, then MessagePack with named fields, so that a row written by an older
//! program reads with defaults for what it lacks. A body's own business: it never leaves the store.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::row::Row;
use crate::{Entry, Result, StoreError};

const VERSION: u8 = 1;

pub fn encode(row: &Row) -> Result<Vec<u8>> {
    write("a row", row)
}

pub fn decode(bytes: &[u8]) -> Result<Row> {
    read("a row", bytes)
}

/// An entry as a list of a body that keeps them whole has it.
pub fn encode_entry(entry: &Entry) -> Result<Vec<u8>> {
    write("an entry", entry)
}

pub fn decode_entry(bytes: &[u8]) -> Result<Entry> {
    read("an entry", bytes)
}

fn write(what: &str, value: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(1024);
    bytes.push(VERSION);
    rmp_serde::encode::write_named(&mut bytes, value)
        .map_err(|error| StoreError::Damaged(format!("{what} can't be written: {error}")))?;
    Ok(bytes)
}

fn read<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    match bytes.split_first() {
        Some((&VERSION, value)) => {
            rmp_serde::from_slice(value).map_err(|error| StoreError::Damaged(format!("{what} can't be read: {error}")))
        }
        Some((version, _)) => {
            Err(StoreError::Damaged(format!("{what} is of version {version}, which is not known here")))
        }
        None => Err(StoreError::Damaged(format!("{what} is empty"))),
    }
}

/// For members that are left out where they say nothing.
pub const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_read_back_and_missing_fields_have_defaults() {
        let row = Row { partition: Some(3), copied: true, ..Row::default() };
        assert_eq!(decode(&encode(&row).unwrap()).unwrap(), row);
        assert_eq!(decode(&[VERSION, 0x80]).unwrap(), Row::default());
    }

    #[test]
    fn a_row_of_another_version_is_damage() {
        for bytes in [&[][..], &[VERSION + 1, 0x80], &[VERSION, 0xc1]] {
            assert!(matches!(decode(bytes), Err(StoreError::Damaged(_))), "{bytes:?}");
        }
    }
}
