//! Groups: positions that survive, outputs that come with them, and one member at a time.

use std::time::Instant;

use super::{AT_MOST, Bench, NOW, SOON, all_of, append_each, at, last_partition, poll_of, record, tail_of, texts};
use crate::LogError;
use schemas::Topic;

const RAW: Topic = Topic::MailRaw;
const FACTS: Topic = Topic::MailParsed;

/// A group begins at the earliest record, and goes on where it committed, after a stop and after a kill.
pub async fn a_group_goes_on_where_it_committed(bench: &dyn Bench) {
    let partition = last_partition(bench);
    let log = bench.open().await;
    assert!(log.committed("g").await.unwrap().is_empty());
    append_each(log.as_ref(), RAW, partition, &["a", "b", "c"]).await;
    let mut member = log.join("g", &[RAW]).await.unwrap();
    let records = poll_of(member.as_mut(), 3).await;
    assert_eq!(texts(&records), ["a", "b", "c"]);
    member.commit(Vec::new(), &[records[0].position.next()]).await.unwrap();
    drop(member);
    bench.kill(log).await;

    let log = bench.open().await;
    assert_eq!(log.committed("g").await.unwrap(), [at(RAW, partition, 1)]);
    let mut member = log.join("g", &[RAW]).await.unwrap();
    let records = poll_of(member.as_mut(), 2).await;
    assert_eq!(texts(&records), ["b", "c"]);
    member.commit(Vec::new(), &[records[1].position.next()]).await.unwrap();
    drop(member);
    bench.stop(log).await;

    let log = bench.open().await;
    let mut member = log.join("g", &[RAW]).await.unwrap();
    assert!(member.poll(&NOW).await.unwrap().is_empty());
    drop(member);
    bench.stop(log).await;
}

/// What was polled and not committed comes again.
pub async fn what_was_not_committed_comes_again(bench: &dyn Bench) {
    let log = bench.open().await;
    append_each(log.as_ref(), RAW, 0, &["a", "b"]).await;
    let mut member = log.join("g", &[RAW]).await.unwrap();
    assert_eq!(texts(&poll_of(member.as_mut(), 2).await), ["a", "b"]);
    assert!(member.poll(&NOW).await.unwrap().is_empty(), "a member gets a record once");
    let mut again = log.join("g", &[RAW]).await.unwrap();
    assert_eq!(texts(&poll_of(again.as_mut(), 2).await), ["a", "b"]);
    drop((member, again));
    bench.stop(log).await;
}

/// Groups do not disturb each other.
pub async fn groups_are_apart(bench: &dyn Bench) {
    let log = bench.open().await;
    append_each(log.as_ref(), RAW, 0, &["a"]).await;
    let mut one = log.join("g", &[RAW]).await.unwrap();
    let mut other = log.join("gg", &[RAW]).await.unwrap();
    let records = poll_of(one.as_mut(), 1).await;
    one.commit(Vec::new(), &[records[0].position.next()]).await.unwrap();
    assert_eq!(texts(&poll_of(other.as_mut(), 1).await), ["a"]);
    assert!(log.committed("gg").await.unwrap().is_empty());
    assert_eq!(log.committed("g").await.unwrap(), [at(RAW, 0, 1)]);
    drop((one, other));
    bench.stop(log).await;
}

/// A second member takes the first one's place: what the first commits is neither written nor moved.
pub async fn a_second_member_fences_the_first(bench: &dyn Bench) {
    let log = bench.open().await;
    append_each(log.as_ref(), RAW, 0, &["a"]).await;
    let mut first = log.join("g", &[RAW]).await.unwrap();
    let records = poll_of(first.as_mut(), 1).await;
    let mut second = log.join("g", &[RAW]).await.unwrap();
    let fenced = first.commit(vec![record(FACTS, 0, "stale")], &[records[0].position.next()]).await;
    assert!(matches!(fenced, Err(LogError::Fenced(_))), "{fenced:?}");
    let polled = first.poll(&NOW).await;
    assert!(matches!(polled, Err(LogError::Fenced(_))), "{polled:?}");
    assert!(all_of(log.as_ref(), FACTS, 0).await.is_empty());
    let records = poll_of(second.as_mut(), 1).await;
    second.commit(vec![record(FACTS, 0, "good")], &[records[0].position.next()]).await.unwrap();
    let mut tail = log.tail(&[at(FACTS, 0, 0)]).await.unwrap();
    assert_eq!(texts(&tail_of(tail.as_mut(), 1).await), ["good"]);
    assert_eq!(all_of(log.as_ref(), FACTS, 0).await, ["good"]);
    assert_eq!(log.committed("g").await.unwrap(), [at(RAW, 0, 1)]);
    drop((first, second));
    bench.stop(log).await;
}

/// Outputs are readable when the commit returns, and stand there with the positions or not at all.
pub async fn outputs_and_positions_are_committed_together(bench: &dyn Bench) {
    let partition = last_partition(bench);
    let log = bench.open().await;
    append_each(log.as_ref(), RAW, partition, &["a", "b"]).await;
    let mut member = log.join("g", &[RAW]).await.unwrap();
    let records = poll_of(member.as_mut(), 2).await;
    let outputs = vec![record(FACTS, partition, "fact"), record(Topic::MailRouted, partition, "route")];
    member.commit(outputs, &[records[1].position.next()]).await.unwrap();
    for (topic, value) in [(FACTS, "fact"), (Topic::MailRouted, "route")] {
        let mut tail = log.tail(&[at(topic, partition, 0)]).await.unwrap();
        assert_eq!(texts(&tail.poll(&NOW).await.unwrap()), [value]);
    }
    drop(member);
    bench.kill(log).await;
    let log = bench.open().await;
    let moved = log.committed("g").await.unwrap() == [at(RAW, partition, 2)];
    let facts = all_of(log.as_ref(), FACTS, partition).await;
    let routes = all_of(log.as_ref(), Topic::MailRouted, partition).await;
    let wanted = if moved { [vec!["fact"], vec!["route"]] } else { [Vec::new(), Vec::new()] };
    assert_eq!([facts, routes], wanted);
    bench.stop(log).await;
}

/// A commit of which one part is refused changes nothing.
pub async fn a_refused_commit_changes_nothing(bench: &dyn Bench) {
    let log = bench.open().await;
    append_each(log.as_ref(), RAW, 0, &["a"]).await;
    let mut member = log.join("g", &[RAW]).await.unwrap();
    let next = poll_of(member.as_mut(), 1).await[0].position.next();
    let large = record(FACTS, 0, &"x".repeat(bench.max_record_bytes() + 1));
    let refused = member.commit(vec![record(FACTS, 0, "small"), large], &[next]).await;
    assert!(matches!(refused, Err(LogError::TooLarge { .. })), "{refused:?}");
    let beyond = member.commit(vec![record(FACTS, 0, "small")], &[at(RAW, 0, 5)]).await;
    assert!(matches!(beyond, Err(LogError::OutOfRange { .. })), "{beyond:?}");
    let foreign = member.commit(vec![record(FACTS, 0, "small")], &[at(Topic::Accounts, 0, 0)]).await;
    assert!(matches!(foreign, Err(LogError::Refused(_))), "{foreign:?}");
    let nowhere = member.commit(vec![record(FACTS, bench.partitions(), "small")], &[next]).await;
    assert!(matches!(nowhere, Err(LogError::Refused(_))), "{nowhere:?}");
    assert_eq!(log.bounds(FACTS).await.unwrap()[0].end, 0);
    assert!(log.committed("g").await.unwrap().is_empty());
    member.commit(vec![record(FACTS, 0, "small")], &[next]).await.unwrap();
    drop(member);
    bench.stop(log).await;
}

/// A group whose position is given up stops: it is not moved silently.
pub async fn a_group_whose_position_is_gone_is_out_of_range(bench: &dyn Bench) {
    let log = bench.open().await;
    append_each(log.as_ref(), RAW, 0, &["a", "b", "c"]).await;
    let mut member = log.join("g", &[RAW]).await.unwrap();
    let records = poll_of(member.as_mut(), 3).await;
    member.commit(Vec::new(), &[records[0].position.next()]).await.unwrap();
    log.truncate(&[at(RAW, 0, 2)]).await.unwrap();
    let mut again = log.join("g", &[RAW]).await.unwrap();
    let polled = again.poll(&NOW).await;
    assert!(matches!(polled, Err(LogError::OutOfRange { earliest: 2, .. })), "{polled:?}");
    drop((member, again));
    bench.stop(log).await;
}

/// A member reads several topics, and a busy one does not starve the other: what stands there comes long before the
/// busy one is through.
pub async fn a_member_reads_every_topic_that_it_named(bench: &dyn Bench) {
    const MANY: usize = 2000;
    let log = bench.open().await;
    let many: Vec<_> = (0..MANY).map(|number| record(RAW, 0, &number.to_string())).collect();
    log.append(many).await.unwrap();
    append_each(log.as_ref(), Topic::MailActions, 0, &["action"]).await;
    let mut member = log.join("g", &[RAW, Topic::MailActions]).await.unwrap();
    let few = crate::Limits { records: 5, ..SOON };
    let deadline = Instant::now() + AT_MOST;
    let mut seen = Vec::new();
    while !(seen.contains(&"action".to_owned()) && seen.contains(&"0".to_owned())) {
        let polled = texts(&member.poll(&few).await.unwrap());
        assert!(Instant::now() < deadline, "only one topic came: {} records", seen.len());
        seen.extend(polled);
    }
    drop(member);
    bench.stop(log).await;
}

/// Whoever reads comes to the end that the log names, whatever stands there last: a commit above all.
pub async fn a_reader_comes_to_the_end_behind_a_commit(bench: &dyn Bench) {
    let partition = last_partition(bench);
    let log = bench.open().await;
    append_each(log.as_ref(), RAW, partition, &["a", "b"]).await;
    let mut member = log.join("g", &[RAW]).await.unwrap();
    for polled in poll_of(member.as_mut(), 2).await {
        let fact = record(FACTS, partition, &format!("fact of {}", texts(std::slice::from_ref(&polled))[0]));
        member.commit(vec![fact], &[polled.position.next()]).await.unwrap();
    }
    let mut tail = log.tail(&[at(FACTS, partition, 0)]).await.unwrap();
    tail_of(tail.as_mut(), 2).await;
    assert_eq!(all_of(log.as_ref(), FACTS, partition).await, ["fact of a", "fact of b"]);
    let end = log.bounds(FACTS).await.unwrap()[partition as usize].end;
    let mut tail = log.tail(&[at(FACTS, partition, end)]).await.unwrap();
    assert!(tail.poll(&NOW).await.unwrap().is_empty());
    assert_eq!(tail.positions(), [at(FACTS, partition, end)]);
    let mut place = member.positions();
    place.retain(|place| place.partition == partition);
    assert_eq!(place, [at(RAW, partition, 2)]);
    drop(member);
    bench.stop(log).await;
}

/// Commits and appends to one partition share its offsets, and a reader sees all of them in order.
pub async fn commits_and_appends_share_a_partition(bench: &dyn Bench) {
    let log = bench.open().await;
    append_each(log.as_ref(), RAW, 0, &["a"]).await;
    let mut member = log.join("g", &[RAW]).await.unwrap();
    let next = poll_of(member.as_mut(), 1).await[0].position.next();
    append_each(log.as_ref(), Topic::DeadLetters, 0, &["appended"]).await;
    member.commit(vec![record(Topic::DeadLetters, 0, "committed")], &[next]).await.unwrap();
    append_each(log.as_ref(), Topic::DeadLetters, 0, &["appended again"]).await;
    let mut tail = log.tail(&[at(Topic::DeadLetters, 0, 0)]).await.unwrap();
    assert_eq!(texts(&tail_of(tail.as_mut(), 3).await), ["appended", "committed", "appended again"]);
    drop(member);
    bench.stop(log).await;
}

/// A member that commits a position ahead of what it has polled goes on there.
pub async fn a_member_goes_on_at_a_position_ahead(bench: &dyn Bench) {
    let log = bench.open().await;
    append_each(log.as_ref(), RAW, 0, &["a", "b", "c"]).await;
    let mut member = log.join("g", &[RAW]).await.unwrap();
    member.commit(Vec::new(), &[at(RAW, 0, 2)]).await.unwrap();
    assert_eq!(texts(&poll_of(member.as_mut(), 1).await), ["c"]);
    drop(member);
    bench.stop(log).await;
}
