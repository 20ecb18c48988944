//! How a row is written: a version byte, then MessagePack with named fields, so that a row written by an older
//! program reads with defaults for what it lacks. A body's own business: it never leaves the store.

use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(feature = "cql")]
use crate::Entry;
use crate::row::Row;
use crate::{Result, StoreError};

const VERSION: u8 = 1;

pub fn encode(row: &Row) -> Result<Vec<u8>> {
    write("a row", row)
}

pub fn decode(bytes: &[u8]) -> Result<Row> {
    read("a row", bytes)
}

/// An entry as a list of a body that keeps them whole has it.
#[cfg(feature = "cql")]
pub fn encode_entry(entry: &Entry) -> Result<Vec<u8>> {
    write("an entry", entry)
}

#[cfg(feature = "cql")]
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
    #[cfg(feature = "cql")]
    use schemas::event::Folder;

    use super::*;

    #[test]
    fn rows_read_back_and_missing_fields_have_defaults() {
        let row = Row { partition: Some(3), copied: true, ..Row::default() };
        assert_eq!(decode(&encode(&row).unwrap()).unwrap(), row);
        assert_eq!(decode(&[VERSION, 0x80]).unwrap(), Row::default());
    }

    /// As the first version of it was written: a field that comes later has a default, or old lists can't be read.
    #[cfg(feature = "cql")]
    const FIRST_ENTRY: &str = "01de0014a26964bc30316866377961743030303030303030303030303030303030302d30a5696e626f78af626f624065\
        78616d706c652e6f7267ae6f726967696e616c5f696e626f78af626f62406578616d706c652e6f7267aa726563697069\
        656e747391af626f62406578616d706c652e6f7267ab72656365697665645f617400a8656e76656c6f706587a96d6169\
        6c5f66726f6daf616e6e406578616d706c652e636f6da7706565725f6970c0ab72656365697665645f6279a26d78a468\
        656c6fc0a565736d7470c3a3746c73c2aa73697a655f62797465732aa466726f6d90a2746f90a2636390a362636390a7\
        7375626a656374a548656c6c6fa56c696e6b7390ab6174746163686d656e747390a870726f626c656d7390a47370616d\
        cb3fd0000000000000a6666f6c646572a5696e626f78ac64656c6976657265645f746fa47370616da472656164c3a873\
        617665645f6279c0a66c6162656c7390";

    #[test]
    #[cfg(feature = "cql")]
    fn an_entry_of_the_first_version_is_read() {
        let bytes: Vec<u8> = (0..FIRST_ENTRY.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&FIRST_ENTRY[at..at + 2], 16).unwrap())
            .collect();
        let entry = decode_entry(&bytes).unwrap();
        assert_eq!((entry.inbox.as_str(), entry.spam, entry.read), ("bob@example.org", 0.25, true));
        assert_eq!((entry.folder, entry.delivered_to), (Folder::Inbox, Folder::Spam));
        assert_eq!(decode_entry(&encode_entry(&entry).unwrap()).unwrap(), entry);
    }

    #[test]
    fn a_row_of_another_version_is_damage() {
        for bytes in [&[][..], &[VERSION + 1, 0x80], &[VERSION, 0xc1]] {
            assert!(matches!(decode(bytes), Err(StoreError::Damaged(_))), "{bytes:?}");
        }
    }
}
