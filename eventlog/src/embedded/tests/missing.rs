//! Segments that are missing: the log does not start, and says what it lacks.

use schemas::{Position, Topic};

use super::bench::FolderBench;
use crate::contract::{NOW, record};
use crate::embedded::EmbeddedLog;
use crate::{Log, LogError};

const RAW: Topic = Topic::MailRaw;

/// A stopped log of three segments, one record each.
async fn three_segments() -> FolderBench {
    let bench = FolderBench::new(1);
    for value in ["a", "b", "c"] {
        bench.open_log().append(vec![record(RAW, 0, value)]).await.unwrap();
    }
    bench
}

async fn read_by_a_group(bench: &FolderBench) {
    let log = bench.open_log();
    let mut member = log.join("readers", &[RAW]).await.unwrap();
    let mut next = Position::new(RAW, 0, 0);
    while next.offset < 3 {
        next = member.poll(&NOW).await.unwrap().last().unwrap().position.next();
    }
    member.commit(vec![], &[next]).await.unwrap();
}

fn remove(bench: &FolderBench, base: u64) {
    std::fs::remove_file(bench.segments_path(0).join(format!("{base:020}.seg"))).unwrap();
}

#[track_caller]
fn refused(bench: &FolderBench, offsets: &str) {
    let folder = bench.segments_path(0);
    for _ in 0..2 {
        let opened = EmbeddedLog::open(bench.database(), &bench.path().join("log"), bench.settings.clone());
        let Some(LogError::Damaged(text)) = opened.err() else { panic!("it has to be refused as damaged") };
        assert!(text.contains(&format!("mail.raw/0 lacks the offsets {offsets}:")), "{text}");
        assert!(text.contains(&folder.display().to_string()) && text.contains("copy"), "{text}");
    }
}

#[tokio::test]
async fn a_log_that_ends_before_what_a_group_has_read_is_refused() {
    let bench = three_segments().await;
    read_by_a_group(&bench).await;
    for entry in std::fs::read_dir(bench.segments_path(0)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            std::fs::remove_file(path).unwrap();
        }
    }
    refused(&bench, "0 to 2");
}

#[tokio::test]
async fn a_missing_segment_between_two_others_is_refused() {
    let bench = three_segments().await;
    remove(&bench, 1);
    refused(&bench, "1 to 1");
}

#[tokio::test]
async fn a_missing_first_segment_is_refused_unless_it_was_given_up() {
    let bench = three_segments().await;
    bench.open_log().truncate(&[Position::new(RAW, 0, 1)]).await.unwrap();
    drop(bench.open_log());
    remove(&bench, 1);
    refused(&bench, "1 to 1");
}

#[tokio::test]
async fn a_new_database_takes_the_segments_as_they_begin() {
    let bench = three_segments().await;
    bench.open_log().truncate(&[Position::new(RAW, 0, 1)]).await.unwrap();
    std::fs::remove_dir_all(bench.path().join("db")).unwrap();
    for _ in 0..2 {
        assert_eq!(bench.open_log().bounds(RAW).await.unwrap()[0].earliest, 1);
    }
}
