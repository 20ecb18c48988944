//! Where things stand: bounds, times, what is given up.

use super::{BOTH, Bench, NOW, append_each, at, last_partition, tail_of, texts};
use crate::LogError;
use schemas::Topic;

/// A topic has as many partitions as it should, and an empty one begins and ends at the same offset.
pub async fn bounds_say_what_is_there(bench: &dyn Bench) {
    let log = bench.open().await;
    for topic in BOTH {
        let bounds = log.bounds(topic).await.unwrap();
        assert_eq!(bounds.len(), bench.partitions() as usize);
        assert!(bounds.iter().all(|bounds| bounds.earliest == bounds.end));
        let last = append_each(log.as_ref(), topic, last_partition(bench), &["a", "b"]).await[1];
        let bounds = log.bounds(topic).await.unwrap()[last.partition as usize];
        assert_eq!((bounds.partition, bounds.end), (last.partition, last.offset + 1));
    }
    assert_eq!(log.bounds(Topic::Accounts).await.unwrap().len(), 1);
    bench.stop(log).await;
}

/// A reader may begin anywhere from the earliest record to the end; elsewhere is an error that says what there is.
pub async fn a_place_outside_is_out_of_range(bench: &dyn Bench) {
    let log = bench.open().await;
    for topic in BOTH {
        append_each(log.as_ref(), topic, 0, &["a", "b"]).await;
        log.tail(&[at(topic, 0, 2)]).await.unwrap();
        let beyond = match log.tail(&[at(topic, 0, 3)]).await {
            Ok(mut tail) => tail.poll(&NOW).await.map(|_| ()),
            Err(error) => Err(error),
        };
        let says =
            matches!(&beyond, Err(LogError::OutOfRange { position, earliest: 0, end: 2 }) if position.offset == 3);
        assert!(says, "{beyond:?}");
    }
    bench.stop(log).await;
}

/// What is given up can't be read, what comes behind it can, and both stay so.
pub async fn what_is_truncated_is_gone(bench: &dyn Bench) {
    let log = bench.open().await;
    for topic in BOTH {
        append_each(log.as_ref(), topic, 0, &["a", "b", "c"]).await;
        let mut behind = log.tail(&[at(topic, 0, 0)]).await.unwrap();
        log.truncate(&[at(topic, 0, 2)]).await.unwrap();
        assert!(matches!(behind.poll(&NOW).await, Err(LogError::OutOfRange { earliest: 2, .. })));
        log.truncate(&[at(topic, 0, 1)]).await.unwrap();
    }
    bench.kill(log).await;
    let log = bench.open().await;
    for topic in BOTH {
        let bounds = log.bounds(topic).await.unwrap()[0];
        assert_eq!((bounds.earliest, bounds.end), (2, 3));
        let mut tail = log.tail(&[at(topic, 0, 2)]).await.unwrap();
        assert_eq!(texts(&tail_of(tail.as_mut(), 1).await), ["c"]);
    }
    bench.stop(log).await;
}

/// When everything is given up, offsets go on where they were.
pub async fn offsets_go_on_after_everything_is_truncated(bench: &dyn Bench) {
    let log = bench.open().await;
    for topic in BOTH {
        append_each(log.as_ref(), topic, 0, &["a", "b"]).await;
        log.truncate(&[at(topic, 0, 2)]).await.unwrap();
        let beyond = log.truncate(&[at(topic, 0, 3)]).await;
        assert!(matches!(beyond, Err(LogError::OutOfRange { .. })), "{beyond:?}");
    }
    bench.stop(log).await;
    let log = bench.open().await;
    for topic in BOTH {
        assert_eq!(append_each(log.as_ref(), topic, 0, &["c"]).await, [at(topic, 0, 2)]);
    }
    bench.stop(log).await;
}

/// A time leads to the first record of that time or later, and to the end where there is none.
pub async fn a_time_leads_to_the_first_record_of_it(bench: &dyn Bench) {
    let log = bench.open().await;
    for topic in BOTH {
        let partition = last_partition(bench);
        append_each(log.as_ref(), topic, partition, &["a", "b", "c", "d", "e"]).await;
        let mut tail = log.tail(&[at(topic, partition, 0)]).await.unwrap();
        let records = tail_of(tail.as_mut(), 5).await;
        for record in &records {
            let first = records.iter().find(|other| other.timestamp_ms >= record.timestamp_ms).unwrap();
            let found = log.offsets_at(topic, record.timestamp_ms).await.unwrap();
            assert_eq!(found[partition as usize], first.position);
        }
        let after = log.offsets_at(topic, records[4].timestamp_ms + 1).await.unwrap();
        assert_eq!(after[partition as usize].offset, 5);
        assert_eq!(log.offsets_at(topic, 0).await.unwrap()[partition as usize].offset, 0);
        log.truncate(&[at(topic, partition, 2)]).await.unwrap();
        assert_eq!(log.offsets_at(topic, 0).await.unwrap()[partition as usize].offset, 2);
    }
    bench.stop(log).await;
}
