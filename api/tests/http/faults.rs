//! What is said when the log or the store can't, and that nothing is said of their insides.

use std::sync::Arc;

use crate::house::{Fault, House};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_without_room_is_503_and_changes_nothing() {
    let house = House::new().await;
    *house.log.fault.lock().unwrap() = Fault::Full;
    let answer = house.ask("POST /api/addresses/a@x.org ann").await;
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("nothing has changed"), "{}", answer.text());
    *house.log.fault.lock().unwrap() = Fault::None;
    assert_eq!(house.ask("GET /api/addresses ann").await.json(), serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_log_is_500_and_says_nothing_of_our_insides() {
    let house = House::new().await;
    *house.log.fault.lock().unwrap() = Fault::Damaged;
    let answer = house.ask("POST /api/addresses/a@x.org ann").await;
    assert_eq!(answer.status, 500);
    assert!(!answer.text().contains("secret"), "{}", answer.text());
}

#[tokio::test]
async fn a_change_that_does_not_show_in_five_seconds_is_503_and_logged() {
    let house = House::new().await;
    let id = house.deliver(&["open@x.org"], "Subject: x\n\nx\n").await;
    *house.log.fault.lock().unwrap() = Fault::Hidden;
    tokio::time::pause();
    for line in
        ["POST /api/addresses/a@x.org ann".to_owned(), format!("DELETE /api/addresses/open@x.org/messages/{id}-0 ann")]
    {
        let started = tokio::time::Instant::now();
        let answer = house.ask(&line).await;
        assert_eq!(answer.status, 503, "{line}");
        assert!(answer.text().contains("is logged"), "{}", answer.text());
        assert!(started.elapsed() >= std::time::Duration::from_secs(5), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_reservations_the_one_that_the_log_has_first_wins() {
    let house = House::new().await;
    *house.log.fault.lock().unwrap() = Fault::Raced;
    assert_eq!(house.ask("POST /api/addresses/a@x.org ann").await.status, 401);
    *house.log.fault.lock().unwrap() = Fault::None;
    assert_eq!(house.ask("GET /api/addresses/a@x.org bob").await.json()["owner"], "bob");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_reservations_at_a_time_one_wins() {
    let house = Arc::new(House::new().await);
    let asked: Vec<_> = (0..8)
        .map(|n| {
            let house = Arc::clone(&house);
            let who = if n % 2 == 0 { "ann" } else { "bob" };
            tokio::spawn(async move { house.ask(&format!("POST /api/addresses/a@x.org {who}")).await.status.as_u16() })
        })
        .collect();
    let mut statuses = Vec::new();
    for answer in asked {
        statuses.push(answer.await.unwrap());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 400 | 401)), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partial_updates_at_a_time_lose_nothing_of_each_other() {
    let house = Arc::new(House::new().await);
    house.ask("POST /api/addresses/a@x.org ann").await;
    let bodies = [
        r#"{"info":"i"}"#,
        r#"{"enablews":true}"#,
        r#"{"webhook":"https://h.example/"}"#,
        r#"{"webhookSlack":"https://s.example/"}"#,
        r#"{"webhookSlackToFrom":true}"#,
    ];
    let asked: Vec<_> = bodies
        .into_iter()
        .map(|body| {
            let house = Arc::clone(&house);
            tokio::spawn(async move { house.send("PUT /api/addresses/a@x.org ann", body).await.status })
        })
        .collect();
    for answer in asked {
        assert_eq!(answer.await.unwrap(), 200);
    }
    let address = house.ask("GET /api/addresses/a@x.org ann").await.json();
    assert_eq!(address["info"], "i");
    assert_eq!(address["enablews"], true);
    assert_eq!(address["webhook"], "https://h.example/");
    assert_eq!(address["webhookSlack"], "https://s.example/");
    assert_eq!(address["webhookSlackToFrom"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_names_what_is_missing() {
    let house = House::new().await;
    assert_eq!(house.ask("GET /readyz").await.json(), serde_json::json!({"ready": true, "missing": []}));
    house.missing.lock().unwrap().push("the log is closed".to_owned());
    let answer = house.ask("GET /readyz").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json(), serde_json::json!({"ready": false, "missing": ["the log is closed"]}));
}
