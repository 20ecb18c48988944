//! The operator's routes: mail brought in, the log read, the store rebuilt and dumped, accounts and keys.

use serde_json::{Value, json};

use crate::house::{FIRST_MS, House, totals};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_brought_in_is_on_the_log_with_crlf_and_its_recipients() {
    let house = House::new().await;
    let line = "POST /api/admin/ingest?to=a@x.org&to=b%2Bt@x.org&from=s@y.org root";
    let answer = house.send(line, "Subject: x\n\nhello\n").await;
    assert_eq!(answer.status, 200);
    let id = answer.json()["id"].clone();
    let events = lines(&house.ask("GET /api/events/mail.raw root").await.text());
    assert_eq!(events.len(), 1);
    let event = &events[0]["event"];
    assert_eq!(events[0]["key"], id);
    assert_eq!(event["message_id"], id);
    assert_eq!(event["recipients"], json!(["a@x.org", "b+t@x.org"]));
    assert_eq!(event["mail_from"], "s@y.org");
    assert_eq!(event["door"], "Ingest");
    assert_eq!(event["content"], "U3ViamVjdDogeA0KDQpoZWxsbw0K");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_brought_in_for_one_inbox_have_a_moment_each() {
    let house = House::new().await;
    for _ in 0..40 {
        assert_eq!(house.send("POST /api/admin/ingest?to=a@x.org root", "Subject: x\n\nx\n").await.status, 200);
    }
    let events = lines(&house.ask("GET /api/events/mail.raw root").await.text());
    let moments = events.iter().map(|line| line["event"]["arrived_at"].as_i64().unwrap());
    assert_eq!(moments.collect::<std::collections::BTreeSet<_>>().len(), 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_for_what_is_no_address_is_not_brought_in() {
    let house = House::new().await;
    let answer = house.send("POST /api/admin/ingest?to=a@x.org&to=bad%20addr root", "Subject: x\n\nx\n").await;
    assert_eq!(answer.status, 400);
    let fault = "to is not an address: it has no @";
    assert_eq!(answer.json(), json!({"message": fault, "error": "Bad Request", "validationErrors": [fault]}));
    assert_eq!(house.ask("GET /api/events/mail.raw root").await.text(), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recipients_are_read_from_the_message_when_none_are_given() {
    let house = House::new().await;
    for mail in ["To: A <a@x.org>\nCc: c@x.org\n\nx", "Subject: nobody\n\nx"] {
        assert_eq!(house.send("POST /api/admin/ingest root", mail).await.status, 200);
    }
    let events = lines(&house.ask("GET /api/events/mail.raw root").await.text());
    assert_eq!(events[0]["event"]["recipients"], json!(["a@x.org", "c@x.org"]));
    assert_eq!(events[1]["event"]["recipients"], json!(["undisclosed-recipients@localhost"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_read_from_any_place_up_to_the_end_of_now() {
    let house = House::new().await;
    let offsets = |text: String| lines(&text).iter().map(|line| line["offset"].as_u64().unwrap()).collect::<Vec<_>>();
    let from = async |from: &str| {
        let answer = house.ask(&format!("GET /api/events/accounts?from={from} root")).await;
        (answer.status.as_u16(), offsets(answer.text()))
    };
    assert_eq!(from("earliest").await, (200, vec![0, 1, 2, 3, 4, 5]));
    assert_eq!(from("4").await, (200, vec![4, 5]));
    assert_eq!(from("99").await, (200, vec![]));
    assert_eq!(from("latest").await, (200, vec![]));
    assert_eq!(from("2020-01-01").await, (200, vec![0, 1, 2, 3, 4, 5]));
    assert_eq!(from("9999-01-01").await, (200, vec![]));
    assert_eq!(house.ask("GET /api/events/accounts?from=sometime root").await.status, 400);
    assert_eq!(house.ask("GET /api/events/nothing root").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followed_events_come_as_they_happen_and_end_with_the_server() {
    use http_body_util::BodyExt;
    use tower::ServiceExt;
    let house = House::new().await;
    let uri = "/api/events/accounts?from=latest&follow=true";
    let request = axum::http::Request::builder().uri(uri).header("mailsac-key", "k_root");
    let response = house.router.clone().oneshot(request.body(axum::body::Body::empty()).unwrap()).await.unwrap();
    let mut body = response.into_body();
    house.ask("POST /api/addresses/a@x.org ann").await;
    let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
    let line: Value = serde_json::from_slice(&frame).unwrap();
    assert_eq!(line["event"]["change"]["AddressReserved"]["address"], "a@x.org");
    assert_eq!(line["topic"], "accounts");
    house.doors.shutdown.cancel();
    assert!(body.frame().await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_tells_its_steps_and_ends_with_the_totals() {
    let house = House::new().await;
    let told = lines(&house.ask("POST /api/admin/rebuild root").await.text());
    assert_eq!(told[0], json!({"stage": "folding", "done": 1, "total": 2}));
    assert_eq!(told[1], json!({"totals": {"messages": 3, "entries": 4}}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_is_every_line_of_the_store() {
    let house = House::new().await;
    for n in 0..200_u8 {
        house.deliver_at(FIRST_MS, [n; 10], &["a@x.org", "b@x.org"], "Subject: x\n\nx\n").await;
    }
    assert_eq!(totals(&house).await.entries, 400);
    let mut expected = Vec::new();
    let mut take = |line: String| {
        expected.push(line);
        Ok(())
    };
    mailstore::Upkeep::dump(&*house.store, &mut take).await.unwrap();
    let dumped = house.ask("GET /api/admin/dump root").await;
    assert_eq!(dumped.header("content-type"), "application/x-ndjson");
    assert_eq!(dumped.text().lines().collect::<Vec<_>>(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_account_can_use_its_key_at_once_and_no_more_when_it_is_removed() {
    let house = House::new().await;
    let made = house.send("POST /api/admin/accounts root", r#"{"account":"cid","email":"cid@x.org"}"#).await.json();
    let key = made["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("k_") && key.len() == 34, "{key}");
    let me = format!("GET /api/me none mailsac-key={key}");
    assert_eq!(house.ask(&me).await.json()["_id"], "cid");
    let again = house.send("POST /api/admin/accounts root", r#"{"account":"cid","email":"other@x.org"}"#).await;
    assert_eq!(again.status, 400);
    assert!(!house.ask("GET /api/admin/accounts root").await.text().contains(&key));
    assert_eq!(house.ask("DELETE /api/admin/accounts/cid root").await.status, 204);
    assert_eq!(house.ask(&me).await.status, 401);
    assert_eq!(house.ask("DELETE /api/admin/accounts/root root").await.status, 400);
}
