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
    use schemas::event::{Address, Attachment, Folder};
    use serde_json::Value;

    use super::*;
    use crate::Envelope;
    use crate::row::{Arrival, Place, Routing, Score, Stamped, Summary};

    #[test]
    fn rows_read_back_and_missing_fields_have_defaults() {
        let row = Row { partition: Some(3), copied: true, ..Row::default() };
        assert_eq!(decode(&encode(&row).unwrap()).unwrap(), row);
        assert_eq!(decode(&[VERSION, 0x80]).unwrap(), Row::default());
    }

    /// Every member that an older row may lack says something here.
    fn full_row() -> Row {
        let address = || Address { address: "ann@example.com".to_owned(), name: "Ann".to_owned() };
        let attachment = Attachment {
            checksum: "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
            content_type: "text/plain".to_owned(),
            content_disposition: "attachment".to_owned(),
            content_id: "<1>".to_owned(),
            file_name: "a.txt".to_owned(),
            transfer_encoding: "base64".to_owned(),
            length_bytes: 3,
        };
        let envelope = Envelope { mail_from: "ann@example.com".to_owned(), size_bytes: 42, ..Envelope::default() };
        let summary = Summary {
            from: vec![address()],
            to: vec![address()],
            cc: vec![address()],
            bcc: vec![address()],
            subject: "Hello".to_owned(),
            links: vec!["https://example.com/".to_owned()],
            attachments: vec![attachment],
            problems: vec!["none".to_owned()],
        };
        let place = Place {
            index: 1,
            inbox: "bob@example.org".to_owned(),
            original_inbox: "bob+x@example.org".to_owned(),
            recipients: vec!["bob+x@example.org".to_owned()],
            starts_in_spam: true,
        };
        let routing = Routing { entries: vec![place], folder: Folder::Trash, score: 0.25 };
        Row {
            partition: Some(3),
            raw: Some(Stamped { offset: 7, value: Arrival { partition: 3, received_at: 9, envelope } }),
            parsed: Some(Stamped { offset: 8, value: summary }),
            score: Some(Score { model_sequence: 2, offset: 5, value: 0.75 }),
            routed: Some(Stamped { offset: 6, value: routing }),
            swept: [4].into(),
            copied: true,
            ..Row::default()
        }
    }

    /// What is left of a value when one member is taken out of it, for every member of these types.
    fn each_without_a_member(value: &Value, kept: &[&str]) -> Vec<Value> {
        let Value::Object(members) = value else { return Vec::new() };
        let mut all = Vec::new();
        for (name, inner) in members {
            if !kept.contains(&name.as_str()) {
                let mut rest = members.clone();
                rest.remove(name);
                all.push(Value::Object(rest));
            }
            for inner in each_without_a_member(inner, kept) {
                let mut changed = members.clone();
                changed.insert(name.clone(), inner);
                all.push(Value::Object(changed));
            }
        }
        all
    }

    fn versioned(value: &Value) -> Vec<u8> {
        [vec![VERSION], rmp_serde::to_vec_named(value).unwrap()].concat()
    }

    /// A member that is added later is one that older rows lack.
    #[test]
    fn a_row_that_lacks_any_member_is_read() {
        let row = serde_json::to_value(full_row()).unwrap();
        // Offset and value are what a column is.
        let without = each_without_a_member(&row, &["o", "v"]);
        assert!(without.len() > 20);
        for row in without {
            decode(&versioned(&row)).unwrap_or_else(|error| panic!("{error}: {row}"));
        }
    }

    #[test]
    #[cfg(feature = "cql")]
    fn an_entry_that_lacks_any_member_is_read() {
        let id = schemas::EntryId { message: schemas::MessageId::from_parts(9, [0; 10]), index: 1 };
        let entry = serde_json::to_value(full_row().into_entry(&id).unwrap()).unwrap();
        let without = each_without_a_member(&entry, &[]);
        assert!(without.len() > 20);
        for entry in without {
            decode_entry(&versioned(&entry)).unwrap_or_else(|error| panic!("{error}: {entry}"));
        }
    }

    /// As it was first written, addresses and attachments included: what is added to those needs a default of its own.
    const FIRST_ROW: &str = "0187a17003a17782a16f07a17683a17003a17409a16587a96d61696c5f66726f6daf616e6e406578616d706c652e636f\
        6da7706565725f6970c0ab72656365697665645f6279a0a468656c6fc0a565736d7470c2a3746c73c2aa73697a655f62\
        797465732aa16d82a16f08a17688a1669182a761646472657373af616e6e406578616d706c652e636f6da46e616d65a3\
        416e6ea1749182a761646472657373af616e6e406578616d706c652e636f6da46e616d65a3416e6ea1639182a7616464\
        72657373af616e6e406578616d706c652e636f6da46e616d65a3416e6ea1629182a761646472657373af616e6e406578\
        616d706c652e636f6da46e616d65a3416e6ea173a548656c6c6fa16c91b468747470733a2f2f6578616d706c652e636f\
        6d2fa1619187a8636865636b73756dd92064343164386364393866303062323034653938303039393865636638343237\
        65ac636f6e74656e745f74797065aa746578742f706c61696eb3636f6e74656e745f646973706f736974696f6eaa6174\
        746163686d656e74aa636f6e74656e745f6964a33c313ea966696c655f6e616d65a5612e747874b17472616e73666572\
        5f656e636f64696e67a6626173653634ac6c656e6774685f627974657303a17091a46e6f6e65a17383a16d02a16f05a1\
        76cb3fe8000000000000a17282a16f06a17683a1659185a16901a162af626f62406578616d706c652e6f7267a16fb162\
        6f622b78406578616d706c652e6f7267a17291b1626f622b78406578616d706c652e6f7267a16dc3a166a57472617368\
        a173cb3fd0000000000000a1789104a163c3";

    #[test]
    fn a_row_of_the_first_version_is_read() {
        assert_eq!(decode(&from_hex(FIRST_ROW)).unwrap(), full_row());
    }

    fn from_hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
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
        let entry = decode_entry(&from_hex(FIRST_ENTRY)).unwrap();
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
