//! Bytes that nobody wrote, or that somebody wrote to do harm: reading them ends, in an event or in an error, and
//! takes no memory that they don't bring along.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use schemas::Topic;
use schemas::codec::{CodecError, MAX_VALUE_BYTES, decode, encode};
use schemas::event::DeadLetter;
use schemas::{Event, released::newest};

use crate::examples;

const SEED: u64 = 0x706f_7374_6c6f_6721;
const ROUNDS: usize = 20_000;

/// What the process may hold at its peak: far from the 64 MiB that a value may claim, times what ran beside.
const MAX_PEAK_KIB: u64 = 512 * 1024;

/// A value of this topic with the datum given.
fn value(topic: Topic, datum: &[u8]) -> Vec<u8> {
    let mut value = vec![0];
    value.extend(newest(topic).unwrap().id.to_be_bytes());
    value.extend(datum);
    value
}

/// A number as Avro writes it: zigzag, seven bits a byte.
fn long(number: i64) -> Vec<u8> {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    while rest > 0x7f {
        bytes.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

#[test]
fn what_is_no_value_is_refused_by_its_cause() {
    let value = encode(&examples::all()[0].1).unwrap();
    assert!(matches!(decode(Topic::MailRaw, &[]), Err(CodecError::Empty)));
    assert!(matches!(decode(Topic::MailRaw, &[1, 0, 0, 0, 1]), Err(CodecError::Magic(1))));
    assert!(matches!(decode(Topic::MailRaw, &value[..4]), Err(CodecError::Short)));
    assert!(matches!(decode(Topic::MailRaw, &[0, 0x7f, 0xff, 0xff, 0xff]), Err(CodecError::UnknownSchema(i32::MAX))));
    assert!(matches!(decode(Topic::MailParsed, &value), Err(CodecError::OtherTopic { id: 1, .. })));
    assert!(matches!(decode(Topic::MailRaw, &value[..5]), Err(CodecError::Datum(_))));
}

#[test]
fn a_value_of_another_topic_is_never_read() {
    for (case, event) in examples::all() {
        let bytes = encode(&event).unwrap();
        for topic in Topic::ALL {
            assert_eq!(decode(topic, &bytes).is_ok(), topic == event.topic(), "{case} as {topic}");
        }
    }
}

#[test]
fn a_value_cut_anywhere_or_with_a_byte_more_is_refused() {
    for (case, event) in examples::all() {
        let bytes = encode(&event).unwrap();
        for length in 0..bytes.len() {
            assert!(decode(event.topic(), &bytes[..length]).is_err(), "{case} cut at {length}");
        }
        assert!(decode(event.topic(), &[&bytes, &[0][..]].concat()).is_err(), "{case}");
    }
}

#[test]
fn random_bytes_never_panic() {
    let mut chance = StdRng::seed_from_u64(SEED);
    for _ in 0..ROUNDS {
        let length = chance.random_range(0..200);
        let datum: Vec<u8> = (0..length).map(|_| chance.random()).collect();
        let topic = Topic::ALL[chance.random_range(0..Topic::ALL.len())];
        let _ = decode(topic, &datum);
        let _ = decode(topic, &value(topic, &datum));
    }
}

#[test]
fn changed_bytes_never_panic_and_what_they_say_can_be_written_again() {
    let mut chance = StdRng::seed_from_u64(SEED);
    let examples = examples::all();
    for _ in 0..ROUNDS {
        let (case, event) = &examples[chance.random_range(0..examples.len())];
        let mut bytes = encode(event).unwrap().to_vec();
        for _ in 0..chance.random_range(1..4) {
            let place = chance.random_range(5..bytes.len());
            bytes[place] = chance.random();
        }
        if let Ok(read) = decode(event.topic(), &bytes) {
            encode(&read).unwrap_or_else(|error| panic!("{case}: {error}"));
        }
    }
}

#[test]
fn lengths_that_are_only_claimed_take_no_memory() {
    let limit = i64::try_from(MAX_VALUE_BYTES).unwrap();
    let id = [long(26), b"01kav9ft3v041061050r3gg28a".to_vec(), long(7)].concat();
    for claimed in [limit - 1, limit, limit + 1, i64::MAX, i64::MIN, -1] {
        for topic in Topic::ALL {
            let _ = decode(topic, &value(topic, &long(claimed))).unwrap_err();
        }
        // An array of so many headers, none of which follows; with a negative count a size in bytes follows.
        let array = [id.clone(), long(claimed), long(claimed)].concat();
        let _ = decode(Topic::MailParsed, &value(Topic::MailParsed, &array)).unwrap_err();
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak_kib: u64 = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0);
    assert!(peak_kib < MAX_PEAK_KIB, "{peak_kib} KiB");
}

#[test]
fn the_longest_value_is_written_and_read_and_one_byte_more_is_refused() {
    let dead = |bytes: usize| {
        Event::Dead(DeadLetter {
            origin: String::new(),
            topic: String::new(),
            partition: 0,
            offset: 0,
            stage: String::new(),
            cause: String::new(),
            timestamp: 0,
            key: None,
            headers: Vec::new(),
            value: vec![b'x'; bytes],
        })
    };
    let envelope = encode(&dead(0)).unwrap().len() + 3; // A length of 64 MiB takes three bytes more than one of 0.
    let longest = encode(&dead(MAX_VALUE_BYTES - envelope)).unwrap();
    assert_eq!(longest.len(), MAX_VALUE_BYTES);
    assert!(decode(Topic::DeadLetters, &longest).is_ok());
    let too_long = encode(&dead(MAX_VALUE_BYTES - envelope + 1));
    assert!(matches!(too_long, Err(CodecError::TooLong { bytes }) if bytes == MAX_VALUE_BYTES + 1));
    let longer = [&longest[..], &[0]].concat();
    assert!(matches!(decode(Topic::DeadLetters, &longer), Err(CodecError::TooLong { .. })));
}

#[test]
fn an_id_that_is_no_message_id_is_refused() {
    let datum = [long(2), b"..".to_vec(), long(0), long(0), long(3), b"ann".to_vec(), long(0), vec![1]].concat();
    assert!(matches!(decode(Topic::MailActions, &value(Topic::MailActions, &datum)), Err(CodecError::Datum(_))));
}
