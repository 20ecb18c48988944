//! Dead targets, deaths and stops of the program, on paused time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use schemas::event::{AttemptOutcome, ForwardKind};

use super::super::directory::Standing;
use super::house::{House, called, delivered, failed};
use super::*;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// `a` is down until the switch says otherwise, and each call to it takes 20 s to fail.
fn down(house: &House) -> Arc<AtomicBool> {
    let is_up = Arc::new(AtomicBool::new(false));
    let up = Arc::clone(&is_up);
    house.answer(move |delivery| match delivery.due.forward.as_str() {
        "a" if !up.load(Ordering::SeqCst) => (20 * SECOND, failed()),
        _ => (Duration::from_millis(10), delivered()),
    });
    is_up
}

#[tokio::test(start_paused = true)]
async fn a_thousand_due_to_a_dead_target_delay_nothing_that_is_due_to_another() {
    let house = House::new();
    down(&house);
    (0..1_000).for_each(|number| _ = house.make_due("a", number));
    let (_stop, _run) = house.run();
    let mut made = Vec::new();
    for number in 1_000..1_600 {
        let at_ms = house.now_ms();
        made.push((house.make_due("b", number), at_ms));
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    tokio::time::sleep(SECOND).await;
    let called: HashMap<String, i64> =
        house.calls_to("b").into_iter().map(|call| (call.delivery_id, call.at_ms)).collect();
    let slowest = made.iter().map(|(id, at_ms)| called[id] - at_ms).max().unwrap();
    assert_eq!((called.len(), slowest), (600, 3), "each was called as soon as the log had come round");
    assert!(house.calls_to("a").len() < 20, "the dead target was left alone");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_comes_back_gets_all_that_was_due() {
    let house = House::new();
    let is_up = down(&house);
    let ids: Vec<String> = (0..1_000).map(|number| house.make_due("a", number)).collect();
    let (_stop, _run) = house.run();
    tokio::time::sleep(600 * SECOND).await;
    assert!(house.still_due().len() == 1_000);
    is_up.store(true, Ordering::SeqCst);
    let back = house.now_ms();
    house.all_done().await;
    assert!(ids.iter().all(|id| house.attempts_of(id).last().unwrap().outcome == AttemptOutcome::Delivered));
    let after_two_minutes = house.calls_to("a").iter().filter(|call| call.at_ms < back + 120_000).count();
    assert!(after_two_minutes > 950, "{after_two_minutes}: what had not been tried often went at once");
}

#[tokio::test(start_paused = true)]
async fn a_program_that_dies_thirty_times_keeps_ids_and_attempts_and_loses_nothing() {
    let house = House::new();
    let is_up = down(&house);
    let ids: Vec<String> = (0..1_000).map(|number| house.make_due("a", number)).collect();
    let others: Vec<String> = (1_000..1_500).map(|number| house.make_due("b", number)).collect();
    for death in 0..30 {
        let before = house.still_due();
        let (_stop, run) = house.run();
        tokio::time::sleep(Duration::from_millis(30 + 5_003 * death)).await;
        run.abort();
        assert!(run.await.is_err());
        for (id, due) in house.still_due() {
            assert!(due.attempts >= before[&id].attempts, "attempts that stand on the log stay");
        }
    }
    is_up.store(true, Ordering::SeqCst);
    let (_stop, _run) = house.run();
    house.all_done().await;
    for id in ids.iter().chain(&others) {
        let numbers: Vec<i32> = house.attempts_of(id).iter().map(|attempt| attempt.attempt).collect();
        assert_eq!(numbers, (1..=i32::try_from(numbers.len()).unwrap()).collect::<Vec<_>>());
        assert_eq!(house.attempts_of(id).last().unwrap().outcome, AttemptOutcome::Delivered);
    }
    let calls = house.calls.lock().unwrap();
    assert!(calls.iter().all(|call| ids.contains(&call.delivery_id) || others.contains(&call.delivery_id)));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_cut_off_before_its_record_is_made_again_under_its_id() {
    let house = House::new();
    house.answer(|_| (20 * SECOND, delivered()));
    let id = house.make_due("a", 0);
    let (_stop, run) = house.run();
    tokio::time::sleep(10 * SECOND).await;
    run.abort();
    _ = run.await;
    let (_stop, _run) = house.run();
    house.all_done().await;
    let calls = house.calls_to("a");
    assert_eq!(calls.iter().map(|call| (&*call.delivery_id, call.attempt)).collect::<Vec<_>>(), [(&*id, 1), (&*id, 1)]);
    assert_eq!(house.attempts_of(&id).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_back_off_goes_on_after_a_restart_where_it_was() {
    let house = House::new();
    house.answer(|delivery| (Duration::ZERO, if delivery.due.attempts < 3 { failed() } else { delivered() }));
    let id = house.make_due("a", 0);
    let (stop, run) = house.run();
    tokio::time::sleep(400 * SECOND).await;
    stop.cancel();
    assert_eq!(run.await.unwrap(), 0);
    let due = house.still_due()[&id].clone();
    assert_eq!(due.attempts, 3);
    let (_stop, _run) = house.run();
    house.all_done().await;
    let calls = house.calls_to("a");
    assert_eq!((calls.len(), calls[3].at_ms, calls[3].attempt), (4, due.next_at, 4));
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_the_calls_in_flight_and_starts_no_more() {
    let house = House::new();
    house.answer(|_| (9 * SECOND, delivered()));
    (0..50).for_each(|number| _ = house.make_due("a", number));
    (50..100).for_each(|number| _ = house.make_due("b", number));
    let (stop, run) = house.run();
    tokio::time::sleep(10 * SECOND).await;
    let started = house.calls.lock().unwrap().len();
    stop.cancel();
    assert_eq!(run.await.unwrap(), 0);
    assert_eq!(house.calls.lock().unwrap().len(), started);
    assert_eq!(house.recorded.lock().unwrap().len(), started, "each that was made is recorded");
    assert_eq!(house.still_due().len(), 100 - started);
}

#[tokio::test(start_paused = true)]
async fn a_stop_cuts_off_what_takes_longer_than_its_limit() {
    let house = House::new();
    house.answer(|_| (11 * SECOND, delivered()));
    house.make_due("a", 0);
    house.make_due("b", 1);
    let (stop, run) = house.run();
    tokio::time::sleep(Duration::from_millis(1)).await;
    let stopped = Instant::now();
    stop.cancel();
    assert_eq!(run.await.unwrap(), 2);
    assert_eq!(stopped.elapsed(), Settings::default().finish);
    assert_eq!((house.recorded.lock().unwrap().len(), house.still_due().len()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_hundred_dead_targets_leave_room_for_those_that_answer() {
    let house = House::new();
    house.answer(|delivery| match delivery.due.forward.starts_with("dead") {
        true => (20 * SECOND, failed()),
        false => (Duration::from_millis(10), delivered()),
    });
    for number in 0..1_000 {
        let forward = format!("dead{}", number % 100);
        house.stand(&forward, called(false, ForwardKind::Webhook));
        house.make_due(&forward, number);
    }
    let (_stop, _run) = house.run();
    // Until each has been called once they are not known to be dead, and hold what they can.
    tokio::time::sleep(60 * SECOND).await;
    for number in 1_000..1_100 {
        let at_ms = house.now_ms();
        let id = house.make_due("b", number);
        tokio::time::sleep(SECOND).await;
        let call = house.calls_to("b").into_iter().find(|call| call.delivery_id == id).unwrap();
        assert_eq!(call.at_ms - at_ms, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_paused_waits_over_a_restart_and_goes_when_it_is_resumed() {
    let house = House::new();
    house.stand("a", Standing::Held);
    (0..10).for_each(|number| _ = house.make_due("a", number));
    for _ in 0..2 {
        let (stop, run) = house.run();
        tokio::time::sleep(3_600 * SECOND).await;
        stop.cancel();
        assert_eq!(run.await.unwrap(), 0);
    }
    assert!(house.calls.lock().unwrap().is_empty());
    assert_eq!(house.engine().figures().held + house.engine().figures().waiting, 10);
    house.stand("a", called(false, ForwardKind::Webhook));
    let (_stop, _run) = house.run();
    house.all_done().await;
    assert_eq!(house.calls_to("a").len(), 10);
}
