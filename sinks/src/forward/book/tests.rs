//! What the book promises, on times that the tests hand in.

use schemas::MessageId;

use super::super::breaker::{FIRST_PAUSE_MS, OPENS_AFTER};
use super::super::directory::Target;
use super::*;

const NOW: i64 = 1_700_000_000_000;

fn called(kind: ForwardKind, ordered: bool) -> Standing {
    Standing::Called(Box::new(Target {
        kind,
        target: "https://example.org/".to_owned(),
        payload: schemas::event::ForwardPayload::Full,
        ordered,
        secrets: Vec::new(),
        slack_to_from: false,
        account: "ann".to_owned(),
    }))
}

/// Forwards are called what they are: "slack…", "ordered…", "held…", "gone…", and all else is a webhook.
fn find(forward: &str) -> Standing {
    match forward {
        held if held.starts_with("held") => Standing::Held,
        gone if gone.starts_with("gone") => Standing::Gone,
        slack if slack.starts_with("slack") => called(ForwardKind::Slack, false),
        other => called(ForwardKind::Webhook, other.starts_with("ordered")),
    }
}

fn event(forward: &str, number: i64) -> ForwardDue {
    ForwardDue {
        delivery_id: format!("{forward}/{number}"),
        forward: forward.to_owned(),
        message_id: MessageId::from_parts(NOW + number, [0; 10]),
        index: 0,
        routed_offset: number,
        arrived_at: NOW - 10_000 + number,
        next_at: 0,
        attempts: 0,
        origin: String::new(),
    }
}

fn record(offset: Offset, due: ForwardDue) -> DueRecord {
    let timestamp_ms = due.arrived_at + 1;
    DueRecord { partition: 0, offset, timestamp_ms, delivery_id: due.delivery_id.clone(), due: Some(due) }
}

fn tombstone(offset: Offset, delivery_id: &str) -> DueRecord {
    DueRecord { partition: 0, offset, timestamp_ms: NOW, delivery_id: delivery_id.to_owned(), due: None }
}

/// `count` deliveries to each forward, in turn.
fn book(forwards: &[&str], count: i64) -> Book {
    let mut book = Book::new(Limits::default());
    let mut offset = 0;
    for number in 0..count {
        for forward in forwards {
            book.fold(record(offset, event(forward, number)), NOW);
            offset += 1;
        }
    }
    book
}

fn take_all(book: &mut Book, now_ms: i64) -> Vec<String> {
    std::iter::from_fn(|| book.take(now_ms, find)).map(|taken| taken.due.delivery_id).collect()
}

fn count(taken: &[String], forward: &str) -> usize {
    taken.iter().filter(|id| id.starts_with(&format!("{forward}/"))).count()
}

const FAILED: Verdict = Verdict::Failed { asked_until_ms: None };

#[test]
fn a_target_has_one_call_at_first_and_up_to_eight_while_it_answers() {
    let mut book = book(&["a"], 100);
    let (mut in_flight, mut offset, mut widths) = (take_all(&mut book, NOW), 1_000, Vec::new());
    for _ in 0..5 {
        widths.push(in_flight.len());
        for id in std::mem::take(&mut in_flight) {
            book.settle(&id, offset, None, Verdict::Answered, NOW);
            offset += 1;
        }
        in_flight = take_all(&mut book, NOW);
    }
    assert_eq!(widths, [1, 2, 8, 8, 8]);
}

#[test]
fn no_more_than_sixty_four_calls_are_in_flight_in_all() {
    let names: Vec<String> = (0..65).map(|one| format!("t{one}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut book = book(&names, 2);
    assert_eq!(take_all(&mut book, NOW).len(), 64);
    book.settle("t0/0", 9_000, None, FAILED, NOW);
    assert_eq!(take_all(&mut book, NOW).len(), 1);
}

#[test]
fn a_thousand_due_to_a_dead_target_hold_up_nothing_that_is_due_to_another() {
    let mut book = book(&["dead"], 1_000);
    let mut offset = 10_000;
    for id in take_all(&mut book, NOW) {
        let again = ForwardDue { next_at: NOW + 5_000, attempts: 1, ..event("dead", 0) };
        book.settle(&id, offset, Some(ForwardDue { delivery_id: id.clone(), ..again }), FAILED, NOW);
        offset += 1;
    }
    let held_up = take_all(&mut book, NOW);
    assert_eq!(held_up.len(), 1, "the dead target keeps one call: {held_up:?}");
    for number in 0..100 {
        book.fold(record(offset, event("live", number)), NOW);
        let taken = book.take(NOW, find).unwrap();
        assert_eq!(taken.due.delivery_id, format!("live/{number}"));
        book.settle(&taken.due.delivery_id, offset + 1, None, Verdict::Answered, NOW);
        offset += 2;
    }
}

#[test]
fn targets_whose_last_call_failed_share_half_of_the_calls() {
    let names: Vec<String> = (0..100).map(|one| format!("t{one}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut book = book(&names, 3);
    let mut offset = 10_000;
    loop {
        let taken: Vec<Taken> = std::iter::from_fn(|| book.take(NOW, find)).collect();
        let struggling = book.struggling_in_flight;
        assert!(struggling <= 32, "{struggling}");
        if struggling == 32 {
            break;
        }
        for one in taken {
            let again = ForwardDue { next_at: NOW + 5_000, attempts: 1, ..one.due.clone() };
            book.settle(&one.due.delivery_id, offset, Some(again), FAILED, NOW);
            offset += 1;
        }
    }
    book.fold(record(offset, event("live", 0)), NOW);
    assert_eq!(take_all(&mut book, NOW), ["live/0"]);
}

#[test]
fn an_open_breaker_lets_one_call_through_after_its_pause_and_all_once_that_is_answered() {
    let mut book = book(&["a"], 40);
    let mut offset = 1_000;
    for _ in 0..OPENS_AFTER {
        let [id] = &take_all(&mut book, NOW)[..] else { panic!("one at a time") };
        let again = ForwardDue { delivery_id: id.clone(), next_at: NOW + 600_000, attempts: 1, ..event("a", 0) };
        book.settle(id, offset, Some(again), FAILED, NOW);
        offset += 1;
    }
    assert!(take_all(&mut book, NOW).is_empty());
    assert_eq!(book.figures(NOW).open, 1);
    let probe_at = book.wakes_at().unwrap();
    assert!((probe_at - NOW - FIRST_PAUSE_MS).abs() <= FIRST_PAUSE_MS / 10);
    assert!(take_all(&mut book, probe_at - 1).is_empty());
    let probe = take_all(&mut book, probe_at);
    assert_eq!((probe.len(), book.figures(probe_at).half_open), (1, 1));
    book.settle(&probe[0], offset, None, Verdict::Answered, probe_at);
    assert_eq!((take_all(&mut book, probe_at).len(), book.figures(probe_at).closed), (2, 1));
}

#[test]
fn what_an_answer_asked_to_wait_for_holds_its_target_up_to_an_hour_and_nobody_else() {
    let mut book = book(&["a", "b"], 3);
    take_all(&mut book, NOW);
    let day = NOW + 24 * 60 * 60 * 1_000;
    let again = ForwardDue { next_at: day, attempts: 1, ..event("a", 0) };
    book.settle("a/0", 1_000, Some(again), Verdict::Failed { asked_until_ms: Some(day) }, NOW);
    book.settle("b/0", 1_001, None, Verdict::Answered, NOW);
    assert_eq!(take_all(&mut book, NOW), ["b/1", "b/2"]);
    assert!(take_all(&mut book, NOW + MAX_TARGET_WAIT_MS - 1).is_empty());
    assert_eq!(take_all(&mut book, NOW + MAX_TARGET_WAIT_MS), ["a/1"]);
}

#[test]
fn slack_is_called_once_a_second() {
    let mut book = book(&["slack"], 5);
    let mut starts = Vec::new();
    for tick in 0..50 {
        let now = NOW + tick * 100;
        for id in take_all(&mut book, now) {
            starts.push(now - NOW);
            book.settle(&id, 1_000 + u64::try_from(tick).unwrap(), None, Verdict::Answered, now);
        }
    }
    assert_eq!(starts, [0, 1_000, 2_000, 3_000, 4_000]);
}

#[test]
fn an_ordered_target_gets_one_at_a_time_by_arrival_and_waits_until_it_has_ended() {
    let mut book = Book::new(Limits::default());
    for (offset, number) in [5, 2, 9, 1].into_iter().enumerate() {
        book.fold(record(u64::try_from(offset).unwrap(), event("ordered", number)), NOW);
    }
    assert_eq!(take_all(&mut book, NOW), ["ordered/1"]);
    let again = ForwardDue { next_at: NOW + 5_000, attempts: 1, ..event("ordered", 1) };
    book.settle("ordered/1", 100, Some(again), FAILED, NOW);
    assert!(take_all(&mut book, NOW + 4_999).is_empty(), "the head of the line is not due yet");
    for (offset, number) in (101..).zip([1, 2, 5, 9]) {
        let taken = take_all(&mut book, NOW + 5_000);
        assert_eq!(taken, [format!("ordered/{number}")]);
        book.settle(&taken[0], offset, None, Verdict::Answered, NOW + 5_000);
    }
}

#[test]
fn what_somebody_asked_for_waits_behind_the_mail_that_arrives_but_not_in_an_ordered_target() {
    for (forward, expected) in [("a", "a/7"), ("ordered", "ordered/2")] {
        let mut book = Book::new(Limits::default());
        book.fold(record(0, ForwardDue { origin: "backfill-1".to_owned(), ..event(forward, 2) }), NOW);
        book.fold(record(1, event(forward, 7)), NOW);
        assert_eq!(take_all(&mut book, NOW), [expected]);
    }
}

#[test]
fn what_has_been_due_longest_is_first() {
    let mut book = Book::new(Limits::default());
    book.fold(record(0, ForwardDue { next_at: NOW - 1, attempts: 2, ..event("a", 0) }), NOW);
    book.fold(record(1, event("a", 1)), NOW);
    book.fold(record(2, ForwardDue { next_at: NOW + 1, attempts: 2, ..event("a", 2) }), NOW);
    for expected in ["a/1", "a/0"] {
        assert_eq!(take_all(&mut book, NOW), [expected]);
        book.settle(expected, 100, None, Verdict::Silent, NOW);
    }
    assert!(take_all(&mut book, NOW).is_empty());
    assert_eq!(take_all(&mut book, NOW + 1), ["a/2"]);
}

#[test]
fn a_log_whose_clock_is_ahead_delays_nothing() {
    let mut book = Book::new(Limits::default());
    book.fold(DueRecord { timestamp_ms: NOW + 3_600_000, ..record(0, event("a", 0)) }, NOW);
    assert_eq!(take_all(&mut book, NOW), ["a/0"]);
}

#[test]
fn a_forward_that_is_off_holds_what_is_due_until_it_is_on_again() {
    let mut book = book(&["held"], 3);
    assert!(take_all(&mut book, NOW).is_empty());
    assert_eq!((book.figures(NOW).held, book.figures(NOW).waiting), (3, 0));
    assert_eq!(book.wakes_at(), Some(NOW + HELD_LOOK_MS));
    let taken = book.take(NOW + HELD_LOOK_MS, |_| called(ForwardKind::Webhook, false)).unwrap();
    assert_eq!((taken.due.delivery_id.as_str(), book.figures(NOW).waiting), ("held/0", 2));
}

#[test]
fn what_is_due_to_a_forward_that_is_gone_is_handed_out_to_be_ended() {
    let mut book = book(&["gone"], 2);
    let taken = book.take(NOW, find).unwrap();
    assert_eq!(taken.standing, Standing::Gone);
    book.settle(&taken.due.delivery_id, 100, None, Verdict::Silent, NOW);
    assert_eq!(take_all(&mut book, NOW), ["gone/1"]);
}

#[test]
fn what_has_ended_does_not_come_back_while_the_log_comes_round() {
    let mut book = Book::new(Limits::default());
    let again = ForwardDue { next_at: NOW, attempts: 1, ..event("a", 0) };
    book.fold(record(0, event("a", 0)), NOW);
    take_all(&mut book, NOW);
    book.settle("a/0", 5, Some(again.clone()), FAILED, NOW);
    take_all(&mut book, NOW);
    book.settle("a/0", 6, None, Verdict::Answered, NOW);
    book.fold(record(0, event("a", 0)), NOW);
    book.fold(record(5, again), NOW);
    assert!(take_all(&mut book, NOW).is_empty());
    book.fold(tombstone(6, "a/0"), NOW);
    assert!(book.known.is_empty() && book.since.is_empty(), "nothing is kept of what has ended");
}

#[test]
fn a_record_that_comes_round_before_the_attempt_is_settled_counts_once() {
    let mut book = book(&["a"], 1);
    take_all(&mut book, NOW);
    book.fold(tombstone(6, "a/0"), NOW);
    assert_eq!(book.figures(NOW).in_flight, 1);
    book.settle("a/0", 6, None, Verdict::Answered, NOW);
    assert!(book.known.is_empty());
    assert_eq!(book.figures(NOW).in_flight, 0);
}

#[test]
fn the_later_record_wins_over_an_attempt_that_was_recorded_before_it() {
    let mut book = book(&["a"], 1);
    take_all(&mut book, NOW);
    book.fold(record(7, ForwardDue { attempts: 0, ..event("a", 0) }), NOW);
    assert!(take_all(&mut book, NOW).is_empty(), "it is in flight");
    book.settle("a/0", 6, None, Verdict::Answered, NOW);
    assert_eq!(take_all(&mut book, NOW), ["a/0"]);
}

#[test]
fn a_delivery_that_ends_on_the_log_while_it_waits_is_not_made() {
    let mut book = book(&["a"], 2);
    book.fold(tombstone(50, "a/0"), NOW);
    assert_eq!(take_all(&mut book, NOW), ["a/1"]);
}

#[test]
fn what_was_put_back_starts_again_at_its_time() {
    let mut book = book(&["a"], 1);
    take_all(&mut book, NOW);
    book.put_back("a/0", NOW + 1_000);
    assert!(take_all(&mut book, NOW + 999).is_empty());
    let taken = book.take(NOW + 1_000, find).unwrap();
    assert_eq!((taken.due.attempts, taken.due.next_at), (0, 0), "nothing was recorded");
}

#[test]
fn a_book_that_is_folded_from_the_same_records_says_the_same() {
    let mut records = Vec::new();
    for number in 0..200 {
        records.push(record(records.len() as u64, event("a", number)));
    }
    for number in (0..200).step_by(2) {
        let again = ForwardDue { next_at: NOW + number, attempts: 3, ..event("a", number) };
        records.push(record(records.len() as u64, again));
    }
    for number in (0..200).step_by(5) {
        records.push(tombstone(records.len() as u64, &format!("a/{number}")));
    }
    let folded = |records: &[DueRecord]| {
        let mut book = Book::new(Limits::default());
        records.iter().for_each(|record| book.fold(record.clone(), NOW));
        let mut due: Vec<ForwardDue> =
            book.known.iter().map(|(id, known)| known.due.as_ref().unwrap().as_event(id)).collect();
        due.sort_by(|one, other| one.delivery_id.cmp(&other.delivery_id));
        due
    };
    let mut twice = records.clone();
    twice.extend(records.clone());
    assert_eq!(folded(&records), folded(&twice));
    let kept = folded(&records);
    assert_eq!(kept.len(), 160);
    assert!(kept.iter().all(|due| due.attempts == if due.routed_offset % 2 == 0 { 3 } else { 0 }));
}

#[test]
fn a_target_that_looks_dead_at_the_start_is_asked_with_one_call_and_left_alone() {
    let mut book = Book::new(Limits::default());
    for number in 0..10 {
        book.fold(record(number, ForwardDue { attempts: 2, ..event("a", i64::try_from(number).unwrap()) }), NOW);
    }
    book.begin();
    let probe = take_all(&mut book, NOW);
    assert_eq!(count(&probe, "a"), 1);
    let again = ForwardDue { delivery_id: probe[0].clone(), next_at: NOW + 1, attempts: 3, ..event("a", 0) };
    book.settle(&probe[0], 100, Some(again), FAILED, NOW);
    assert_eq!(book.figures(NOW).open, 1);
    assert!(take_all(&mut book, NOW + 1).is_empty());
}

#[test]
fn the_age_is_that_of_the_oldest_mail_or_of_the_asking() {
    let mut book = book(&["a"], 2);
    assert_eq!(book.figures(NOW).oldest_age_ms, 10_000);
    let asked = ForwardDue { origin: "test".to_owned(), arrived_at: 5, ..event("b", 0) };
    book.fold(DueRecord { timestamp_ms: NOW - 20_000, ..record(90, asked) }, NOW);
    assert_eq!(book.figures(NOW).oldest_age_ms, 20_000);
    book.fold(tombstone(91, "b/0"), NOW);
    book.fold(tombstone(92, "a/0"), NOW);
    book.fold(tombstone(93, "a/1"), NOW);
    assert_eq!(book.figures(NOW), Figures::default());
    assert!(book.queues.is_empty(), "queues that say nothing are forgotten");
}
