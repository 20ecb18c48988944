//! What goes in comes out.

use super::{BOTH, Bench, NOW, append_each, at, header, last_partition, record, tail_of, texts};
use crate::{Limits, LogError};
use bytes::Bytes;
use schemas::{NewRecord, Topic};

/// Offsets rise by append, and a reader gets the records in that order, whole.
pub async fn appends_are_read_back_in_order(bench: &dyn Bench) {
    let log = bench.open().await;
    for topic in BOTH {
        let partition = last_partition(bench);
        let values: Vec<String> = (0..50).map(|number| number.to_string()).collect();
        let batch = values.iter().map(|value| record(topic, partition, value)).collect();
        let positions = log.append(batch).await.unwrap();
        assert!(positions.is_sorted_by(|before, after| before.offset < after.offset), "{positions:?}");
        let mut tail = log.tail(&[at(topic, partition, 0)]).await.unwrap();
        let records = tail_of(tail.as_mut(), 50).await;
        assert_eq!(texts(&records), values);
        assert_eq!(records.iter().map(|record| record.position).collect::<Vec<_>>(), positions);
        assert_eq!(records[7].key.as_deref(), Some(b"key of 7".as_slice()));
        assert!(records.is_sorted_by_key(|record| record.timestamp_ms));
    }
    bench.stop(log).await;
}

/// One append may name several topics; the places are in the order of its records.
pub async fn an_append_over_topics_answers_in_its_own_order(bench: &dyn Bench) {
    let log = bench.open().await;
    let (raw, action) = (record(Topic::MailRaw, 0, "raw"), record(Topic::MailActions, 0, "action"));
    let positions = log.append(vec![action.clone(), raw.clone(), action, raw]).await.unwrap();
    let topics: Vec<Topic> = positions.iter().map(|position| position.topic).collect();
    assert_eq!(topics, [Topic::MailActions, Topic::MailRaw, Topic::MailActions, Topic::MailRaw]);
    bench.stop(log).await;
}

/// What was answered is there after a stop and after a kill, at the same places.
pub async fn what_was_acknowledged_survives(bench: &dyn Bench) {
    let mut written = Vec::new();
    for round in 0..4 {
        let log = bench.open().await;
        for topic in BOTH {
            let value = format!("{round}");
            written.extend(
                log.append(vec![record(topic, 0, &value)]).await.unwrap().into_iter().map(|at| (at, value.clone())),
            );
        }
        for &(position, ref value) in &written {
            let mut tail = log.tail(&[position]).await.unwrap();
            let records = tail_of(tail.as_mut(), 1).await;
            assert_eq!((records[0].position, texts(&records)[0].as_str()), (position, value.as_str()));
        }
        if round % 2 == 0 { bench.kill(log).await } else { bench.stop(log).await }
    }
}

/// The log's id is drawn once.
pub async fn the_id_stays(bench: &dyn Bench) {
    let log = bench.open().await;
    let id = log.id().clone();
    bench.kill(log).await;
    let log = bench.open().await;
    assert_eq!(log.id(), &id);
    bench.stop(log).await;
}

/// Nothing and empty are told apart, header names repeat and keep their order.
pub async fn every_shape_of_a_record_reads_back(bench: &dyn Bench) {
    let log = bench.open().await;
    for topic in BOTH {
        let plain = record(topic, 0, "value");
        let shapes = vec![
            NewRecord { value: None, ..plain.clone() },
            NewRecord { key: None, ..plain.clone() },
            NewRecord { value: Some(Bytes::new()), ..plain.clone() },
            NewRecord { headers: vec![header("b", b"1"), header("a", b"\xff\0"), header("b", b"2")], ..plain },
        ];
        let first = log.append(shapes.clone()).await.unwrap()[0];
        let mut tail = log.tail(&[first]).await.unwrap();
        for (read, shape) in tail_of(tail.as_mut(), shapes.len()).await.into_iter().zip(shapes) {
            assert_eq!((read.key, read.headers, read.value), (shape.key, shape.headers, shape.value));
        }
    }
    bench.stop(log).await;
}

/// The same key always leads to the same partition; records without a key find one.
pub async fn a_key_has_one_partition(bench: &dyn Bench) {
    let log = bench.open().await;
    for topic in BOTH {
        for key in ["a", "b", "c", "d"] {
            let keyed = NewRecord::new(topic, key, "v");
            let positions = log.append(vec![keyed.clone(), keyed]).await.unwrap();
            assert_eq!(positions[0].partition, positions[1].partition);
        }
        let unkeyed = NewRecord { key: None, ..NewRecord::new(topic, "", "v") };
        let positions = log.append(vec![unkeyed; 20]).await.unwrap();
        assert!(positions.iter().all(|position| position.partition < bench.partitions()));
    }
    bench.stop(log).await;
}

/// A record at the limit is taken; with one past it nothing of the append is.
pub async fn a_record_at_the_limit_fits_and_one_past_it_is_too_large(bench: &dyn Bench) {
    let log = bench.open().await;
    let limit = bench.max_record_bytes();
    for topic in BOTH {
        let sized = |bytes: usize| NewRecord::new(topic, "key", vec![b'x'; bytes - 3]).in_partition(0);
        let position = log.append(vec![sized(limit)]).await.unwrap()[0];
        let refused = log.append(vec![record(topic, 0, "small"), sized(limit + 1)]).await;
        let too_large = matches!(refused, Err(LogError::TooLarge { size_bytes, limit_bytes })
            if size_bytes == limit + 1 && limit_bytes == limit);
        assert!(too_large, "{refused:?}");
        let mut tail = log.tail(&[position]).await.unwrap();
        let small = Limits { bytes: 1, ..NOW };
        assert_eq!(tail.poll(&small).await.unwrap()[0].size_bytes(), limit, "one comes, however big it is");
        assert!(tail.poll(&NOW).await.unwrap().is_empty());
    }
    bench.stop(log).await;
}

/// A partition that the topic does not have is refused, and nothing is written.
pub async fn an_unknown_partition_is_refused(bench: &dyn Bench) {
    let log = bench.open().await;
    for topic in BOTH {
        let beyond = record(topic, bench.partitions(), "v");
        let refused = log.append(vec![record(topic, 0, "v"), beyond]).await;
        assert!(matches!(refused, Err(LogError::Refused(_))), "{refused:?}");
        assert_eq!(log.bounds(topic).await.unwrap()[0].end, 0);
        assert!(log.tail(&[at(topic, bench.partitions(), 0)]).await.is_err());
    }
    bench.stop(log).await;
}

/// A poll brings at most what its limits say.
pub async fn a_poll_keeps_to_its_limits(bench: &dyn Bench) {
    let log = bench.open().await;
    for topic in BOTH {
        append_each(log.as_ref(), topic, 0, &["aaaa", "bbbb", "cccc", "dddd"]).await;
        let mut tail = log.tail(&[at(topic, 0, 0)]).await.unwrap();
        assert_eq!(texts(&tail.poll(&Limits { records: 3, ..NOW }).await.unwrap()), ["aaaa", "bbbb", "cccc"]);
        assert_eq!(texts(&tail.poll(&NOW).await.unwrap()), ["dddd"]);
        assert!(tail.poll(&NOW).await.unwrap().is_empty());
    }
    bench.stop(log).await;
}

/// A poll that waits is woken by an append to any of its partitions.
pub async fn an_append_wakes_who_waits(bench: &dyn Bench) {
    let log = bench.open().await;
    for topic in BOTH {
        let from: Vec<_> = (0..bench.partitions()).map(|partition| at(topic, partition, 0)).collect();
        let mut tail = log.tail(&from).await.unwrap();
        let waiting = tokio::spawn(async move { tail_of(tail.as_mut(), 1).await });
        tokio::task::yield_now().await;
        append_each(log.as_ref(), topic, last_partition(bench), &["late"]).await;
        assert_eq!(texts(&waiting.await.unwrap()), ["late"]);
    }
    bench.stop(log).await;
}

/// Two readers of one topic do not disturb each other.
pub async fn two_readers_each_get_everything(bench: &dyn Bench) {
    let log = bench.open().await;
    for topic in BOTH {
        append_each(log.as_ref(), topic, 0, &["a", "b"]).await;
        let mut first = log.tail(&[at(topic, 0, 0)]).await.unwrap();
        let mut second = log.tail(&[at(topic, 0, 1)]).await.unwrap();
        assert_eq!(texts(&tail_of(first.as_mut(), 2).await), ["a", "b"]);
        append_each(log.as_ref(), topic, 0, &["c"]).await;
        assert_eq!(texts(&tail_of(second.as_mut(), 2).await), ["b", "c"]);
        assert_eq!(texts(&tail_of(first.as_mut(), 1).await), ["c"]);
    }
    bench.stop(log).await;
}

/// Appends from many tasks at once are all there once, and a task's own are in its order.
pub async fn appends_at_once_are_all_there(bench: &dyn Bench) {
    let log = bench.open().await;
    for topic in BOTH {
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                let log = std::sync::Arc::clone(&log);
                tokio::spawn(async move {
                    for number in 0..20 {
                        log.append(vec![record(topic, 0, &format!("{task}/{number}"))]).await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let mut tail = log.tail(&[at(topic, 0, 0)]).await.unwrap();
        let values = texts(&tail_of(tail.as_mut(), 160).await);
        for task in 0..8 {
            let own: Vec<_> = values.iter().filter(|value| value.starts_with(&format!("{task}/"))).cloned().collect();
            assert_eq!(own, (0..20).map(|number| format!("{task}/{number}")).collect::<Vec<_>>());
        }
    }
    bench.stop(log).await;
}
