//! The classifier as a service, in the shapes of Mailsac's own.

use api::http::{Classifier, classifier_alone};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use processors::spam::{Counts, Kind, MODEL_NAME, Model, hashes_of, of_parts};
use serde_json::Value;
use tower::ServiceExt;

use crate::house::House;

const MAIL: &str =
    r#"{"to":"ann@example.com","from":"bob@example.org","subject":"Cheap pills","text":"Buy pills online now"}"#;

async fn ask(router: &Router, path: &str, kind: &str, body: impl Into<Body>) -> (StatusCode, String) {
    let request = Request::post(path).header("content-type", kind).body(body.into()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn alone() -> Router {
    classifier_alone(Classifier::new(Model::starter))
}

#[tokio::test]
async fn the_answer_is_a_number_with_twenty_decimals_a_verdict_and_reasons() {
    let (status, body) = ask(&alone(), "/api/spam-checks", "application/json", MAIL).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let number = body.strip_prefix("{\"spamminess\":").and_then(|rest| rest.split(',').next()).unwrap();
    assert_eq!(number.split_once('.').unwrap().1.len(), 20, "{body}");
    let answer = json(&body);
    assert!(answer["spamminess"].as_f64().unwrap() > 0.5 && answer["spam"] == true, "{body}");
    assert_eq!(answer["version"], Model::starter().version());
    let reasons = answer["reasons"].as_array().unwrap();
    assert!(
        reasons.iter().any(|reason| reason["token"] == "online" && reason["weight"].as_f64() > Some(0.0)),
        "{body}"
    );
}

#[tokio::test]
async fn exactly_one_half_is_no_spam() {
    let router = classifier_alone(Classifier::new(|| std::sync::Arc::new(Model::default())));
    let (_, body) = ask(&router, "/api/spam-checks", "application/json", MAIL).await;
    assert!(body.starts_with("{\"spamminess\":0.50000000000000000000,\"spam\":false,"), "{body}");
}

#[tokio::test]
async fn all_four_members_have_to_be_texts_with_something_in_them() {
    for name in ["to", "from", "subject", "text"] {
        for value in [Value::Null, Value::from(""), Value::from(7)] {
            let mut mail = json(MAIL);
            mail[name] = value;
            let (status, body) = ask(&alone(), "/api/spam-checks", "application/json", mail.to_string()).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
            let told = json(&body);
            assert_eq!(told["url"], "/api/spam-checks");
            assert!(told["message"].as_str().unwrap().contains(name), "{body}");
        }
    }
}

#[tokio::test]
async fn what_is_no_json_is_a_fault_in_the_shape_that_clients_know_and_tells_nothing_of_our_insides() {
    let (status, body) = ask(&alone(), "/api/spam-checks", "application/json", "{\"to\":").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let told = json(&body);
    let members: Vec<&String> = told.as_object().unwrap().keys().collect();
    assert_eq!(members, ["code", "message", "stack", "url"]);
    assert_eq!(told["stack"], "");
}

#[tokio::test]
async fn a_server_of_its_own_knows_no_other_route() {
    for path in ["/", "/api", "/api/me", "/api/spam-checks/x"] {
        let (status, body) = ask(&alone(), path, "application/json", MAIL).await;
        assert_eq!((status, json(&body)["url"].as_str()), (StatusCode::NOT_FOUND, Some(path)), "{body}");
    }
    let get = Request::get("/api/spam-checks").body(Body::empty()).unwrap();
    assert_eq!(alone().oneshot(get).await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_whole_message_scores_as_its_parts_do() {
    let mut counts = Counts::default();
    let parts = of_parts("ann@example.com", "bob@example.org", "Cheap pills", "Buy pills online now\n");
    (0..3).for_each(|_| counts.train(&hashes_of(&parts), Kind::Spam));
    let model = std::sync::Arc::new(Model::new(&counts.to_event(MODEL_NAME, 1, 0)).unwrap());
    let router = classifier_alone(Classifier::new(move || std::sync::Arc::clone(&model)));
    let whole = "From: bob@example.org\r\nTo: ann@example.com\r\nSubject: Cheap pills\r\n\r\nBuy pills online now\r\n";
    let (_, of_parts) = ask(&router, "/api/spam-checks", "application/json", MAIL).await;
    for kind in ["message/rfc822", "text/plain; charset=utf-8"] {
        let (status, of_whole) = ask(&router, "/api/spam-checks", kind, whole).await;
        assert_eq!(
            (status, json(&of_whole)["spamminess"].clone()),
            (StatusCode::OK, json(&of_parts)["spamminess"].clone())
        );
    }
    let (status, _) = ask(&router, "/api/spam-checks", "message/rfc822", "\r\n").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_one_at_the_limit_is_not() {
    let head = "Subject: x\r\n\r\n";
    let message = |bytes: usize| format!("{head}{}", "a ".repeat(bytes / 2).get(..bytes - head.len()).unwrap());
    let most = api::http::MAX_CLASSIFIED_BYTES;
    let (status, _) = ask(&alone(), "/api/spam-checks", "message/rfc822", message(most)).await;
    assert_eq!(status, StatusCode::OK);
    let (status, body) = ask(&alone(), "/api/spam-checks", "message/rfc822", message(most) + "a").await;
    assert_eq!((status, json(&body)["url"].as_str()), (StatusCode::PAYLOAD_TOO_LARGE, Some("/api/spam-checks")));
    let (status, _) = ask(&alone(), "/api/spam-checks", "application/json", " ".repeat((1 << 20) + 1)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_main_server_answers_it_too() {
    let house = House::new().await;
    let (status, body) = ask(&house.router, "/api/spam-checks", "application/json", MAIL).await;
    assert_eq!((status, json(&body)["spam"].clone()), (StatusCode::OK, Value::Bool(true)));
}
