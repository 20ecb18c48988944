//! Ids that an outside registry gives: a program of its own, since they are set once for a process.

use std::collections::HashMap;

use schemas::codec::{CodecError, are_same, decode, encode, learn, schema_id, write_with};
use schemas::event::{ActionChange, MailAction, ReleasedSchema};
use schemas::released::newest;
use schemas::{Event, MessageId, Topic};

/// Ours for `mail.parsed`, and the registry's for `mail.actions`.
const TAKEN: i32 = 2;

fn action() -> Event {
    Event::Action(MailAction {
        message_id: MessageId::from_parts(7, [7; 10]),
        index: 0,
        at: 7,
        by: "ann".into(),
        change: ActionChange::Read { read: true },
    })
}

#[test]
fn values_are_written_with_the_ids_of_the_registry_and_read_by_theirs_and_ours() {
    let ours = encode(&action()).unwrap();
    assert_eq!(schema_id(&ours).unwrap(), newest(Topic::MailActions).unwrap().id);
    let ids: HashMap<i32, i32> = [(5, TAKEN), (9, 77)].into();
    learn(TAKEN, Topic::MailActions, newest(Topic::MailActions).unwrap().json).unwrap();
    write_with(ids.clone()).unwrap();
    let theirs = encode(&action()).unwrap();
    assert_eq!(schema_id(&theirs).unwrap(), TAKEN);
    assert_eq!(theirs[5..], ours[5..]);
    for value in [&ours, &theirs] {
        assert_eq!(decode(Topic::MailActions, value).unwrap(), action());
    }
    assert!(matches!(decode(Topic::MailRaw, &theirs), Err(CodecError::OtherTopic { id: TAKEN, .. })));
    // Where ids are learnt from, they are ours.
    let row = ReleasedSchema { subject: "s".into(), version: 1, id: 1, schema: "{}".into() };
    assert_eq!(schema_id(&encode(&Event::Schema(row)).unwrap()).unwrap(), newest(Topic::Schemas).unwrap().id);
    // Once for the process.
    write_with(ids).unwrap();
    assert!(matches!(write_with([(5, 6)].into()), Err(CodecError::Schema { id: 5, .. })));
}

#[test]
fn schemas_are_the_same_whatever_they_say_to_people() {
    let one = r#"{"type":"record","name":"R","doc":"a","fields":[{"name":"x","type":"int","doc":"b"}]}"#;
    let other = r#"{ "name": "R", "fields": [{"type": "int", "name": "x"}], "type": "record" }"#;
    assert!(are_same(one, other).unwrap());
    assert!(!are_same(one, &other.replace("int", "long")).unwrap());
    assert!(matches!(are_same(one, "{"), Err(CodecError::Schema { .. })));
}
