//! How many schemas a process learns: a program of its own, since what is learnt is the process's.

use schemas::Topic;
use schemas::codec::{CodecError, MAX_LEARNED, MAX_SCHEMA_BYTES, learn};
use schemas::released::newest;

const FIRST_ID: i32 = 1_000;

#[test]
fn a_process_learns_schemas_up_to_their_limits_and_none_beyond() {
    let json = newest(Topic::Schemas).unwrap().json;
    let last = FIRST_ID + i32::try_from(MAX_LEARNED).unwrap();
    let padded = |bytes: usize| format!("{json}{}", " ".repeat(bytes - json.len()));
    assert!(matches!(learn(FIRST_ID, Topic::Schemas, &padded(MAX_SCHEMA_BYTES + 1)), Err(CodecError::Schema { .. })));
    learn(FIRST_ID, Topic::Schemas, &padded(MAX_SCHEMA_BYTES)).unwrap();
    for id in FIRST_ID + 1..last {
        learn(id, Topic::Schemas, json).unwrap();
    }
    assert!(matches!(learn(last, Topic::Schemas, json), Err(CodecError::Schema { id, .. }) if id == last));
    learn(FIRST_ID, Topic::Schemas, json).unwrap();
}
