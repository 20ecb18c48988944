//! What a caller controls has a limit: at it, and one past it.

use axum::body::Body;
use axum::http::Request;

use crate::house::{House, MAX_MESSAGE_BYTES};

const MAX_BODY_BYTES: usize = 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_1000_is_given_and_one_of_1001_refused() {
    let house = House::new().await;
    for (limit, status) in [("0", 200), ("1000", 200), ("1001", 400), ("-1", 400), ("x", 400), ("", 200)] {
        let answer = house.ask(&format!("GET /api/addresses/a@x.org/messages?limit={limit} ann")).await;
        assert_eq!(answer.status.as_u16(), status, "{limit}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_with_a_body_takes_a_mebibyte_and_not_a_byte_more() {
    let house = House::new().await;
    let id = house.deliver(&["a@x.org"], "Subject: x\n\nx\n").await;
    for route in [
        "POST /api/addresses/b@x.org",
        "PUT /api/addresses/b@x.org",
        "PUT /api/private-address-forwarding/b@x.org",
        "POST /api/private-addresses-bulk",
        "PUT /api/addresses/a@x.org/messages/ID/star",
        "PUT /api/addresses/a@x.org/messages/ID/read/true",
        "PUT /api/addresses/a@x.org/messages/ID/labels/x",
        "PUT /api/addresses/a@x.org/messages/ID/folder/spam",
        "POST /api/admin/accounts",
        "POST /api/admin/accounts/ann/keys",
        "PUT /api/admin/domains/x.org",
        "PUT /api/admin/domains/x.org/catch-all",
        "POST /api/admin/rebuild",
    ] {
        let line = format!("{} root", route.replace("ID", &format!("{id}-0")));
        let at_limit = house.send(&line, &" ".repeat(MAX_BODY_BYTES)).await.status.as_u16();
        assert!(matches!(at_limit, 200 | 400), "{line}: {at_limit}");
        assert_eq!(house.send(&line, &" ".repeat(MAX_BODY_BYTES + 1)).await.status, 413, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_at_the_limit_is_taken_and_one_a_byte_longer_is_not() {
    let house = House::new().await;
    let mail = |bytes: usize| format!("Subject: x\r\n\r\n{}", "y".repeat(bytes - 14));
    let line = "POST /api/admin/ingest?to=a@x.org root";
    assert_eq!(house.send(line, &mail(MAX_MESSAGE_BYTES)).await.status, 200);
    assert_eq!(house.send(line, &mail(MAX_MESSAGE_BYTES + 1)).await.status, 413);
    // CRLF for LF makes it longer than it was sent.
    let grown = format!("Subject: x\n\n{}", "\n".repeat(MAX_MESSAGE_BYTES - 12));
    assert_eq!(house.send(line, &grown).await.status, 413);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_addresses_are_reserved_at_once_and_not_one_more() {
    let house = House::new().await;
    let body = |prefix: &str, count: usize| {
        let addresses: Vec<String> = (0..count).map(|n| format!("{prefix}{n}@x.org")).collect();
        serde_json::json!({ "addresses": addresses }).to_string()
    };
    let line = "POST /api/private-addresses-bulk ann";
    assert_eq!(house.send(line, &body("a", 100)).await.json().as_array().unwrap().len(), 100);
    assert_eq!(house.send(line, &body("b", 101)).await.status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_label_of_200_bytes_is_taken_and_the_hundredth_label_is_the_last() {
    let house = House::new().await;
    let id = house.deliver(&["a@x.org"], "Subject: x\n\nx\n").await;
    let label = |label: &str| format!("PUT /api/addresses/a@x.org/messages/{id}-0/labels/{label} ann");
    assert_eq!(house.ask(&label(&"l".repeat(201))).await.status, 400);
    assert_eq!(house.ask(&label("%0a")).await.status, 400);
    assert_eq!(house.ask(&label(&"l".repeat(200))).await.status, 200);
    for n in 1..100 {
        assert_eq!(house.ask(&label(&format!("l{n}"))).await.status, 200);
    }
    assert_eq!(house.ask(&label("one-more")).await.status, 400);
    assert_eq!(house.ask(&label("l7")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inbox_is_emptied_however_many_pages_it_has() {
    let house = House::new().await;
    house.ask("POST /api/addresses/a@x.org ann").await;
    for n in 0..=255_u8 {
        house.deliver_at(crate::house::FIRST_MS, [n; 10], &["a@x.org"], "Subject: x\n\nx\n").await;
        house.deliver_at(crate::house::FIRST_MS + 1, [n; 10], &["a@x.org"], "Subject: x\n\nx\n").await;
    }
    assert_eq!(house.ask("GET /api/addresses/a@x.org/message-count ann").await.json()["count"], 512);
    assert_eq!(house.ask("DELETE /api/addresses/a@x.org/messages/ ann").await.status, 204);
    assert_eq!(house.ask("GET /api/addresses/a@x.org/message-count ann").await.json()["count"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paging_loses_nothing_among_mails_of_one_millisecond() {
    let house = House::new().await;
    for n in 0..10_u8 {
        house.deliver_at(crate::house::FIRST_MS, [n; 10], &["a@x.org"], "Subject: x\n\nx\n").await;
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let line = format!("GET /api/addresses/a@x.org/messages?limit=3&after={after} ann");
        let page = house.ask(&line).await.json();
        let page = page.as_array().unwrap().clone();
        let Some(last) = page.last() else { break };
        after = last["_id"].as_str().unwrap().to_owned();
        seen.extend(page.iter().map(|message| message["_id"].as_str().unwrap().to_owned()));
    }
    assert_eq!(seen.len(), 10);
    let mut falling = seen.clone();
    falling.sort_by(|a, b| b.cmp(a));
    falling.dedup();
    assert_eq!(seen, falling);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn until_takes_the_moment_itself_and_all_of_a_bare_day() {
    let house = House::new().await;
    for _ in 0..3 {
        house.deliver(&["a@x.org"], "Subject: x\n\nx\n").await;
    }
    for (until, count) in [
        ("2020-07-05T22:25:41.408Z", 1),
        ("2020-07-05T22:25:41.407Z", 0),
        ("2020-07-06T00:25:42.408+02:00", 2),
        ("2020-07-05", 3),
        ("2020-07-04", 0),
    ] {
        let answer = house.ask(&format!("GET /api/addresses/a@x.org/messages?until={until} ann")).await;
        assert_eq!(answer.json().as_array().unwrap().len(), count, "{until}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compressed_body_is_refused_before_it_is_read() {
    let house = House::new().await;
    let answer = house.send("PUT /api/addresses/a@x.org ann Content-Encoding=gzip", "{}").await;
    assert_eq!(answer.status, 415);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let house = House::new().await;
    tokio::time::pause();
    let never = Body::from_stream(futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>());
    let request = Request::builder().method("PUT").uri("/api/addresses/a@x.org").header("mailsac-key", "k_ann");
    assert_eq!(house.request(request.body(never).unwrap()).await.status, 408);
}
