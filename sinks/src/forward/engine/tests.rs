//! What the engine promises, on paused time. Dead targets, restarts and stops are in `outages`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use schemas::event::{AttemptOutcome, ForwardKind};

use super::super::courier::{Attempted, Called};
use super::super::directory::Standing;
use super::super::ledger::{Next, SwitchedOff};
use super::super::schedule::WAITS_MS;
use super::house::{House, PARTITION, START_MS, called, delivered, failed, message};
use tokio_util::sync::CancellationToken;

const SECOND: Duration = Duration::from_secs(1);

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_due_is_delivered_once_and_recorded_with_its_answer() {
    let house = House::new();
    let id = house.make_due("a", 0);
    let (_stop, _run) = house.run();
    house.all_done().await;
    pass(60 * SECOND).await;
    assert_eq!(house.calls_to("a").len(), 1);
    let attempts = house.attempts_of(&id);
    assert_eq!((attempts[0].outcome, attempts[0].status, attempts.len()), (AttemptOutcome::Delivered, Some(200), 1));
    assert_eq!((attempts[0].answer.as_str(), attempts[0].duration_ms), ("ok", 10));
}

#[tokio::test(start_paused = true)]
async fn what_becomes_due_while_it_runs_is_called_at_once() {
    let house = House::new();
    let (_stop, _run) = house.run();
    pass(17 * SECOND).await;
    house.make_due("a", 0);
    house.all_done().await;
    assert_eq!(house.calls_to("a")[0].at_ms, START_MS + 17_000 + 3, "3 ms is what the log takes to come round");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_deliveries_to_two_hundred_targets_are_each_made_once() {
    let house = House::new();
    for number in 0..10_000 {
        let forward = format!("f{}", number % 200);
        house.stand(&forward, called(false, ForwardKind::Webhook));
        house.make_due(&forward, number);
    }
    let (_stop, _run) = house.run();
    house.all_done().await;
    let mut ids: Vec<String> = house.calls.lock().unwrap().iter().map(|call| call.delivery_id.clone()).collect();
    assert_eq!(ids.len(), 10_000);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 10_000);
    assert_eq!(house.most_in_flight.load(Ordering::SeqCst), 64);
}

#[tokio::test(start_paused = true)]
async fn an_ordered_target_gets_its_mail_by_arrival_whatever_fails_in_between() {
    let house = House::new();
    house.stand("a", called(true, ForwardKind::Webhook));
    for number in [4, 0, 3, 1, 2] {
        house.make_due("a", number);
    }
    house.answer(|delivery| {
        let fails = delivery.due.routed_offset == 1 && delivery.due.attempts < 2;
        (Duration::from_millis(10), if fails { failed() } else { delivered() })
    });
    let (_stop, _run) = house.run();
    house.all_done().await;
    let arrivals: Vec<i64> = house.calls_to("a").iter().map(|call| call.arrived_at - (START_MS - 1_000_000)).collect();
    assert_eq!(arrivals, [0, 1, 1, 1, 2, 3, 4]);
    assert_eq!(house.most_in_flight.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failing_delivery_is_tried_ten_times_over_days_and_then_told_as_a_story() {
    let house = House::new();
    house.answer(|_| (Duration::from_millis(10), failed()));
    let id = house.make_due("a", 0);
    let (_stop, _run) = house.run();
    house.all_done().await;
    let attempts = house.attempts_of(&id);
    assert_eq!(attempts.iter().map(|one| one.attempt).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
    for (pair, wait) in attempts.windows(2).zip(WAITS_MS.iter().skip(1)) {
        let waited = pair[1].at - pair[0].at;
        assert!((waited - wait).abs() <= wait / 10 + 100, "{waited} ms for {wait} ms");
        assert_eq!(pair[0].outcome, AttemptOutcome::Later);
    }
    assert_eq!(attempts[9].outcome, AttemptOutcome::Exhausted);
    let last = house.recorded.lock().unwrap().last().cloned().unwrap();
    let Next::Ended { story: Some(story) } = last.next else { panic!("it has no story") };
    assert_eq!(story.lines().count(), 11, "{story}");
    assert!(story.lines().skip(1).all(|line| line.contains("status 503, the target is down")), "{story}");
    assert!(!story.contains("target.example"));
    assert!(house.calls_to("a").iter().all(|call| call.delivery_id == id));
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_the_answer_asks_for_is_kept() {
    let house = House::new();
    house.answer(|delivery| {
        let outcome = Called::Later { retry_after: Some(90 * SECOND), cause: "slow down".to_owned() };
        let busy = Attempted { outcome, status: Some(429), answer: String::new() };
        (Duration::ZERO, if delivery.due.attempts == 0 { busy } else { delivered() })
    });
    let id = house.make_due("a", 0);
    let (_stop, _run) = house.run();
    house.all_done().await;
    let attempts = house.attempts_of(&id);
    assert_eq!(attempts[1].at - attempts[0].at, 90_000);
    assert_eq!((attempts[0].status, attempts[0].next_at), (Some(429), Some(attempts[1].at)));
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_wants_nothing_more_has_its_forward_switched_off_and_the_rest_waits() {
    let house = House::new();
    house.answer(|_| {
        let outcome = Called::Refused { cause: "it answered 410".to_owned(), off: true };
        (Duration::ZERO, Attempted { outcome, status: Some(410), answer: String::new() })
    });
    let first = house.make_due("a", 0);
    let (_stop, _run) = house.run();
    house.all_done().await;
    let recorded = house.recorded.lock().unwrap()[0].clone();
    let off = SwitchedOff { forward: "a".to_owned(), owner: "ann".to_owned(), cause: "it answered 410".to_owned() };
    assert_eq!(recorded.off, Some(off));
    assert!(matches!(recorded.next, Next::Ended { story: Some(_) }));
    assert_eq!(house.attempts_of(&first)[0].outcome, AttemptOutcome::Refused);

    house.stand("a", Standing::Held);
    house.make_due("a", 1);
    pass(3_600 * SECOND).await;
    assert_eq!((house.calls_to("a").len(), house.still_due().len()), (1, 1));
    house.answer(|_| (Duration::ZERO, delivered()));
    house.stand("a", called(false, ForwardKind::Webhook));
    house.all_done().await;
    assert_eq!(house.calls_to("a").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_before_the_store_shows_it() {
    let house = House::new();
    house.shown.send_replace(0);
    house.caught_up.send_replace(false);
    let id = house.make_due("a", 0);
    let (_stop, _run) = house.run();
    pass(Duration::from_millis(1_700)).await;
    assert!(house.calls_to("a").is_empty());
    house.shown.send_replace(1);
    house.all_done().await;
    assert_eq!(house.calls_to("a")[0].at_ms, START_MS + 1_700, "at once, as it shows");
    assert_eq!(house.attempts_of(&id).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_lags_for_an_hour_costs_no_attempt() {
    let house = House::new();
    house.shown.send_replace(0);
    let ids: Vec<String> = (0..100).map(|number| house.make_due("a", number)).collect();
    let (_stop, _run) = house.run();
    pass(3_600 * SECOND).await;
    assert!(house.calls_to("a").is_empty() && house.recorded.lock().unwrap().is_empty());
    house.shown.send_replace(100);
    house.all_done().await;
    assert!(ids.iter().all(|id| house.attempts_of(id)[0].outcome == AttemptOutcome::Delivered));
}

#[tokio::test(start_paused = true)]
async fn what_was_deleted_meanwhile_ends_unsent() {
    let house = House::new();
    house.deleted.lock().unwrap().insert(message(0));
    let (deleted, kept) = (house.make_due("a", 0), house.make_due("a", 1));
    let (_stop, _run) = house.run();
    house.all_done().await;
    assert_eq!(house.calls_to("a").iter().map(|call| &call.delivery_id).collect::<Vec<_>>(), [&kept]);
    let attempts = house.attempts_of(&deleted);
    assert_eq!((attempts[0].outcome, attempts[0].attempt), (AttemptOutcome::Dropped, 0));
    assert_eq!(house.recorded.lock().unwrap()[0].next, Next::Ended { story: None });
}

#[tokio::test(start_paused = true)]
async fn what_the_store_does_not_show_is_deleted_only_once_the_store_has_caught_up() {
    let house = House::new();
    house.deleted.lock().unwrap().insert(message(0));
    house.caught_up.send_replace(false);
    let id = house.make_due("a", 0);
    let (_stop, _run) = house.run();
    pass(30 * SECOND).await;
    assert_eq!((house.attempts_of(&id).len(), house.still_due().len()), (0, 1));
    house.deleted.lock().unwrap().clear();
    house.all_done().await;
    assert_eq!(house.attempts_of(&id)[0].outcome, AttemptOutcome::Delivered);
}

#[tokio::test(start_paused = true)]
async fn what_is_due_to_a_forward_that_no_rule_names_ends_unsent() {
    let house = House::new();
    let id = house.make_due("gone", 0);
    let (_stop, _run) = house.run();
    house.all_done().await;
    assert!(house.calls.lock().unwrap().is_empty());
    assert_eq!(house.attempts_of(&id)[0].outcome, AttemptOutcome::Dropped);
    assert_eq!(house.attempts_of(&id)[0].cause, "no rule names the forward any more");
}

#[tokio::test(start_paused = true)]
async fn a_table_of_accounts_that_lags_loses_nothing() {
    let house = House::new();
    house.forwards_at_end.lock().unwrap().insert("new".to_owned(), called(false, ForwardKind::Webhook));
    let id = house.make_due("new", 0);
    let (_stop, _run) = house.run();
    house.all_done().await;
    assert_eq!(house.attempts_of(&id)[0].outcome, AttemptOutcome::Delivered);
}

#[tokio::test(start_paused = true)]
async fn slack_gets_one_message_a_second() {
    let house = House::new();
    house.stand("a", called(false, ForwardKind::Slack));
    (0..20).for_each(|number| _ = house.make_due("a", number));
    let (_stop, _run) = house.run();
    house.all_done().await;
    let calls = house.calls_to("a");
    assert_eq!(calls.len(), 20);
    assert!(calls.windows(2).all(|pair| pair[1].at_ms - pair[0].at_ms >= 1_000));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_ends_is_cut_off_and_made_again() {
    let house = House::new();
    house.answer(|delivery| {
        (if delivery.due.attempts == 0 { Duration::from_secs(86_400) } else { Duration::ZERO }, delivered())
    });
    let id = house.make_due("a", 0);
    let (_stop, _run) = house.run();
    house.all_done().await;
    let attempts = house.attempts_of(&id);
    assert_eq!((attempts[0].outcome, attempts[0].duration_ms), (AttemptOutcome::Later, 60_000));
    assert_eq!(attempts[0].cause, "no answer within 60 s");
    assert_eq!(attempts[1].outcome, AttemptOutcome::Delivered);
}

#[tokio::test(start_paused = true)]
async fn a_courier_that_panics_costs_an_attempt_and_nobody_else_anything() {
    let house = House::new();
    house.answer(|delivery| {
        assert!(delivery.due.routed_offset != 0 || delivery.due.attempts > 0, "a courier that fails");
        (Duration::ZERO, delivered())
    });
    let ids: Vec<String> = (0..10).map(|number| house.make_due("a", number)).collect();
    let (_stop, _run) = house.run();
    house.all_done().await;
    assert_eq!(house.attempts_of(&ids[0]).len(), 2);
    assert!(ids[1..].iter().all(|id| house.attempts_of(id).len() == 1));
}

#[tokio::test(start_paused = true)]
async fn what_the_log_does_not_take_is_asked_of_it_again_and_called_once() {
    let house = House::new();
    house.refusals.store(7, Ordering::SeqCst);
    let id = house.make_due("a", 0);
    let (_stop, _run) = house.run();
    house.all_done().await;
    assert_eq!((house.calls_to("a").len(), house.attempts_of(&id).len()), (1, 1));
}

#[test]
fn neither_target_nor_secret_shows_where_a_delivery_is_printed() {
    let Standing::Called(target) = called(false, ForwardKind::Webhook) else { panic!() };
    let printed = format!("{target:?} {:?}", Standing::Called(target.clone()));
    assert!(!printed.contains("target.example") && !printed.contains("whsec"), "{printed}");
}

#[tokio::test(start_paused = true)]
async fn of_a_call_whose_partition_went_to_another_engine_only_a_delivery_is_recorded() {
    for (answer, recorded) in [(delivered(), 1), (failed(), 0)] {
        let house = House::new();
        house.answer(move |_| (Duration::from_secs(5), answer.clone()));
        house.make_due("a", 0);
        let engine = house.engine();
        let stop = CancellationToken::new();
        let run = tokio::spawn(Arc::clone(&engine).run(stop.clone()));
        tokio::time::sleep(Duration::from_secs(1)).await;
        engine.forget(PARTITION);
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert_eq!((house.calls_to("a").len(), house.recorded.lock().unwrap().len()), (1, recorded));
        assert_eq!(engine.figures().in_flight, 0);
        stop.cancel();
        run.await.unwrap();
    }
}
