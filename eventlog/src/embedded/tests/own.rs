//! What only this body promises.

use std::future::Future;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use schemas::record::Offset;
use schemas::{NewRecord, Position, Topic};

use super::bench::FolderBench;
use crate::contract::{NOW, record, texts};
use crate::embedded::{EmbeddedLog, EmbeddedSettings};
use crate::{Log, LogError};

const RAW: Topic = Topic::MailRaw;

fn raw(offset: Offset) -> Position {
    Position::new(RAW, 0, offset)
}

async fn append(log: &dyn Log, value: &str) -> crate::Result<Vec<Position>> {
    log.append(vec![record(RAW, 0, value)]).await
}

fn segments(bench: &FolderBench) -> Vec<String> {
    let entries = std::fs::read_dir(bench.segments_path(0)).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".seg"));
    names.sort();
    names
}

#[tokio::test]
async fn a_failed_sync_is_never_ok_and_closes_the_log_until_it_is_reopened() {
    let bench = FolderBench::new(1);
    let log = bench.open_log();
    append(log.as_ref(), "a").await.unwrap();
    let mut tail = log.tail(&[raw(1)]).await.unwrap();
    std::fs::write(bench.segments_path(0).join("fail-sync"), "").unwrap();
    let failed = append(log.as_ref(), "b").await;
    assert!(matches!(failed, Err(LogError::Unavailable(_))), "{failed:?}");
    assert!(matches!(log.refuses(), Some(LogError::Unavailable(_))));
    assert!(log.failed().await.contains("sync"), "{}", log.failed().await);
    std::fs::remove_file(bench.segments_path(0).join("fail-sync")).unwrap();
    for value in [record(RAW, 0, "c"), record(Topic::Accounts, 0, "c")] {
        let refused = log.append(vec![value]).await;
        assert!(matches!(refused, Err(LogError::Unavailable(_))), "{refused:?}");
    }
    assert_eq!(log.bounds(RAW).await.unwrap()[0].end, 1, "nobody may read what was not synced");
    assert!(tail.poll(&NOW).await.is_err());
    drop((tail, log));

    let log = bench.open_log();
    assert_eq!(append(log.as_ref(), "d").await.unwrap(), [raw(1)]);
    let mut tail = log.tail(&[raw(0)]).await.unwrap();
    assert_eq!(texts(&tail.poll(&NOW).await.unwrap()), ["a"]);
    assert_eq!(texts(&tail.poll(&NOW).await.unwrap()), ["d"]);
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers_by_itself() {
    let bench = FolderBench::new(1);
    let log = bench.open_log();
    append(log.as_ref(), "a").await.unwrap();
    std::fs::write(bench.segments_path(0).join("fail-write"), "").unwrap();
    let full = append(log.as_ref(), "b").await;
    assert!(matches!(full, Err(LogError::Full(_))), "{full:?}");
    assert_eq!(log.read(raw(0)).unwrap().unwrap().position, raw(0), "reads go on");
    std::fs::remove_file(bench.segments_path(0).join("fail-write")).unwrap();
    assert_eq!(append(log.as_ref(), "c").await.unwrap(), [raw(1)]);
    assert_eq!(texts(&[log.read(raw(1)).unwrap().unwrap()]), ["c"]);
}

#[tokio::test]
async fn below_the_reserve_mail_is_refused_and_commits_have_half_of_it() {
    let mut bench = FolderBench::new(1);
    append(bench.open_log().as_ref(), "a").await.unwrap();
    let found = rustix::fs::statvfs(bench.path()).unwrap();
    let free = found.f_bavail * found.f_frsize;
    bench.settings.reserve_bytes = free + free / 2;
    let log = bench.open_log();
    let full = append(log.as_ref(), "b").await;
    assert!(matches!(full, Err(LogError::Full(_))), "{full:?}");
    assert!(!log.has_room() && matches!(log.refuses(), Some(LogError::Full(_))));
    let mut member = log.join("g", &[RAW]).await.unwrap();
    let next = member.poll(&NOW).await.unwrap()[0].position.next();
    member.commit(vec![record(Topic::MailParsed, 0, "fact")], &[next]).await.unwrap();
}

#[tokio::test]
async fn other_events_are_taken_down_to_a_quarter_of_the_reserve() {
    let mut bench = FolderBench::new(1);
    let found = rustix::fs::statvfs(bench.path()).unwrap();
    let free = found.f_bavail * found.f_frsize;
    for (reserve_bytes, is_taken) in [(free / 2, true), (free * 3, true), (free * 5, false)] {
        bench.settings.reserve_bytes = reserve_bytes;
        let log = bench.open_log();
        assert_eq!(log.has_room(), reserve_bytes < free);
        let appended = log.append(vec![record(Topic::MailActions, 0, "deleted")]).await;
        assert_eq!(appended.is_ok(), is_taken, "{appended:?}");
        assert!(is_taken || matches!(appended, Err(LogError::Full(_))), "{appended:?}");
    }
}

#[tokio::test]
async fn whole_segments_before_a_place_are_named_and_the_one_that_grows_is_not() {
    let bench = FolderBench::new(1);
    for value in ["a", "b", "c"] {
        append(bench.open_log().as_ref(), value).await.unwrap();
    }
    let log = bench.open_log();
    append(log.as_ref(), "d").await.unwrap();
    append(log.as_ref(), "e").await.unwrap();
    assert_eq!(log.whole_segments(&[raw(0)]), []);
    assert_eq!(log.whole_segments(&[raw(2)]), [raw(2)]);
    assert_eq!(log.whole_segments(&[raw(5)]), [raw(3)]);
}

#[tokio::test]
async fn each_start_begins_a_segment_and_a_start_without_appends_leaves_none() {
    let bench = FolderBench::new(1);
    for _ in 0..3 {
        drop(bench.open_log());
    }
    assert_eq!(segments(&bench).len(), 1);
    append(bench.open_log().as_ref(), "a").await.unwrap();
    append(bench.open_log().as_ref(), "b").await.unwrap();
    drop(bench.open_log());
    assert_eq!(segments(&bench), [0, 1, 2].map(|base| format!("{base:020}.seg")));
}

#[tokio::test]
async fn old_and_surplus_segments_expire_oldest_first_and_are_unlinked() {
    let bench = FolderBench::new(1);
    let log = bench.open_log();
    for number in 0..80 {
        append(log.as_ref(), &number.to_string()).await.unwrap();
    }
    let before = segments(&bench).len();
    let now_ms = log.read(raw(79)).unwrap().unwrap().timestamp_ms;
    assert!(before > 4, "{before}");
    assert!(log.expired(now_ms, None, None).is_empty());
    assert!(log.expired(now_ms, Some(60_000), Some(1 << 40)).is_empty());
    let old = log.expired(now_ms + 60_001, Some(60_000), None);
    assert!(old[0].offset > 40 && old[0].offset < 80, "the segment that grows stays: {old:?}");
    let surplus = log.expired(now_ms, None, Some(3000));
    assert!(surplus[0].offset > 0 && surplus[0].offset < old[0].offset, "{surplus:?}");
    log.truncate(&surplus).await.unwrap();
    assert!(segments(&bench).len() < before);
    assert_eq!(log.read(raw(0)).unwrap(), None);
    assert_eq!(log.read(surplus[0]).unwrap().unwrap().position, surplus[0]);
    assert!(log.expired(now_ms, None, Some(3000)).is_empty());
}

#[tokio::test]
async fn an_old_segment_is_closed_by_the_next_append() {
    let mut bench = FolderBench::new(1);
    bench.settings = EmbeddedSettings { segment_age: Duration::ZERO, segment_bytes: 1 << 20, ..bench.settings };
    let log = bench.open_log();
    append(log.as_ref(), "a").await.unwrap();
    let first_ms = log.read(raw(0)).unwrap().unwrap().timestamp_ms;
    while super::super::now_ms() <= first_ms + 1 {
        tokio::task::yield_now().await;
    }
    append(log.as_ref(), "b").await.unwrap();
    assert_eq!(segments(&bench).len(), 2);
}

#[tokio::test]
async fn the_number_of_partitions_is_fixed() {
    let mut bench = FolderBench::new(1);
    drop(bench.open_log());
    bench.settings.partitions = 3;
    let refused = EmbeddedLog::open(bench.database(), &bench.path().join("log"), bench.settings.clone());
    assert!(matches!(refused.err(), Some(LogError::Refused(text)) if text.contains("1 partitions")));
}

#[tokio::test]
async fn a_log_may_keep_the_number_of_partitions_that_it_was_made_with() {
    let mut bench = FolderBench::new(3);
    drop(bench.open_log());
    bench.settings = EmbeddedSettings { partitions: 1, keep_partitions: true, ..bench.settings };
    assert_eq!(bench.open_log().bounds(RAW).await.unwrap().len(), 3);
    std::fs::remove_dir_all(bench.path().join("db")).unwrap();
    assert_eq!(bench.open_log().bounds(RAW).await.unwrap().len(), 3, "the segments tell as well");
    let mut new = FolderBench::new(2);
    new.settings.keep_partitions = true;
    assert_eq!(new.open_log().bounds(RAW).await.unwrap().len(), 2);
}

#[tokio::test]
async fn segments_of_another_log_are_refused() {
    let (bench, other) = (FolderBench::new(1), FolderBench::new(1));
    drop((bench.open_log(), other.open_log()));
    std::fs::copy(other.path().join("log/id"), bench.path().join("log/id")).unwrap();
    let refused = EmbeddedLog::open(bench.database(), &bench.path().join("log"), bench.settings.clone());
    assert!(matches!(refused.err(), Some(LogError::Damaged(_))));
}

#[tokio::test]
async fn compaction_leaves_the_last_record_of_each_key_where_it_was() {
    let bench = FolderBench::new(1);
    let log = bench.open_log();
    let model = |key: &str, value: &str| NewRecord::new(Topic::SpamModels, key.to_owned(), value.to_owned());
    let records = vec![model("a", "1"), model("b", "1"), model("a", "2"), model("c", "1"), model("a", "3")];
    log.append(records).await.unwrap();
    assert_eq!(log.compact(Topic::SpamModels).unwrap(), 2);
    assert_eq!(log.compact(Topic::SpamModels).unwrap(), 0);
    let mut tail = log.tail(&[Position::new(Topic::SpamModels, 0, 0)]).await.unwrap();
    let left = tail.poll(&NOW).await.unwrap();
    assert_eq!(left.iter().map(|record| record.position.offset).collect::<Vec<_>>(), [1, 3, 4]);
    assert!(matches!(log.compact(Topic::Accounts), Err(LogError::Refused(_))));
    let found = log.offsets_at(Topic::SpamModels, 0).await.unwrap();
    assert_eq!(found[0].offset, 1, "a time before a gap leads to the record behind it");
}

#[tokio::test]
async fn old_tombstones_go_with_what_they_end_and_the_end_of_the_partition_stays() {
    let bench = FolderBench::new(1);
    let log = bench.open_log();
    let due = |key: &str| NewRecord::new(Topic::ForwardDue, key.to_owned(), "due").in_partition(0);
    let ended = |key: &str| NewRecord { value: None, ..due(key) };
    log.append(vec![due("a"), due("b"), ended("a"), due("c"), ended("c")]).await.unwrap();
    assert_eq!(log.compact(Topic::ForwardDue).unwrap(), 2, "tombstones of today stay");
    assert_eq!(log.core.facts.compact(Topic::ForwardDue, i64::MAX).unwrap(), 1);
    let mut tail = log.tail(&[Position::new(Topic::ForwardDue, 0, 0)]).await.unwrap();
    let left = tail.poll(&NOW).await.unwrap();
    assert_eq!(left.iter().map(|record| record.position.offset).collect::<Vec<_>>(), [1, 4]);
    drop((tail, log));
    assert_eq!(bench.open_log().bounds(Topic::ForwardDue).await.unwrap()[0].end, 5);
}

#[tokio::test]
async fn an_append_that_nobody_waits_for_any_more_harms_nobody() {
    let bench = FolderBench::new(1);
    let log = bench.open_log();
    let mut given_up = Box::pin(append(log.as_ref(), "a"));
    let _ = std::future::poll_fn(|context| Poll::Ready(given_up.as_mut().poll(context))).await;
    drop(given_up);
    let position = append(log.as_ref(), "b").await.unwrap()[0];
    assert_eq!(texts(&[log.read(position).unwrap().unwrap()]), ["b"]);
}

#[tokio::test]
async fn a_commit_to_mail_raw_is_refused_with_a_text() {
    let bench = FolderBench::new(1);
    let log = bench.open_log();
    let mut member = log.join("g", &[RAW]).await.unwrap();
    let refused = member.commit(vec![record(RAW, 0, "a")], &[]).await;
    assert!(matches!(&refused, Err(LogError::Refused(text)) if text.contains("mail.raw")), "{refused:?}");
}

#[tokio::test]
async fn a_stopped_log_answers_what_waits_and_refuses_the_rest() {
    let bench = FolderBench::new(1);
    let log = bench.open_log();
    let waiting: Vec<_> = (0..20)
        .map(|number| {
            let log = Arc::clone(&log);
            tokio::spawn(async move { append(log.as_ref(), &number.to_string()).await })
        })
        .collect();
    tokio::task::yield_now().await;
    let stopping = Arc::clone(&log);
    tokio::task::spawn_blocking(move || stopping.close()).await.unwrap();
    let mut answered = 0;
    for append in waiting {
        answered += u64::from(append.await.unwrap().is_ok());
    }
    assert!(matches!(append(log.as_ref(), "late").await, Err(LogError::Unavailable(_))));
    drop(log);
    assert_eq!(bench.open_log().bounds(RAW).await.unwrap()[0].end, answered);
}
