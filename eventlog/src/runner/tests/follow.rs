//! Tables that follow a topic.

use super::*;
use crate::Follower;

fn fold(table: &mut Vec<String>, record: &Record) {
    table.push(text(record));
}

async fn append_account(log: &dyn Log, value: &str) -> Position {
    log.append(vec![record(Topic::Accounts, 0, value)]).await.unwrap()[0]
}

fn follower(log: &Arc<dyn Log>, from: u64) -> (Ending, Arc<Follower<Vec<String>>>) {
    let shutdown = CancellationToken::new();
    let ending = Ending(shutdown.clone());
    (ending, Follower::start(Arc::clone(log), Topic::Accounts, Vec::new(), from, fold, shutdown))
}

#[tokio::test]
async fn a_table_has_everything_that_stood_there_when_it_caught_up() {
    let (_bench, log) = opened();
    append_account(log.as_ref(), "a").await;
    append_account(log.as_ref(), "b").await;
    let (_ending, follower) = follower(&log, 1);
    follower.catch_up().await.unwrap();
    assert_eq!(follower.read(Clone::clone), ["b"]);
    append_account(log.as_ref(), "c").await;
    follower.catch_up().await.unwrap();
    assert_eq!(follower.read(Clone::clone), ["b", "c"]);
    assert_eq!(follower.offset(), 3);
}

#[tokio::test]
async fn who_has_written_can_wait_until_the_table_shows_it() {
    let (_bench, log) = opened();
    let (_ending, follower) = follower(&log, 0);
    let position = append_account(log.as_ref(), "a").await;
    assert!(follower.reach(position.next().offset, LONG).await);
    assert_eq!(follower.read(Vec::len), 1);
    assert!(!follower.reach(2, Duration::ZERO).await);
}
