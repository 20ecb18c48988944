//! What moves say about spam, and who may say it; the folder rule; and what an operator takes back.

use axum::http::StatusCode;
use eventlog::{Limits, Log};
use schemas::event::{AccountChange, AddressSettings, CorrectionScope, SpamCorrection, SpamVerdict};
use schemas::{Event, Position, Topic, codec};

use crate::house::House;

async fn said(house: &House) -> Vec<SpamCorrection> {
    let topic = Topic::SpamCorrections;
    let mut tail = house.log.tail(&[Position::new(topic, 0, 0)]).await.unwrap();
    let limits = Limits { records: 100, bytes: 1 << 20, wait: std::time::Duration::ZERO };
    let records = tail.poll(&limits).await.unwrap();
    let read = |value: Option<bytes::Bytes>| match codec::decode(topic, &value.unwrap()) {
        Ok(Event::Correction(correction)) => correction,
        other => panic!("{other:?}"),
    };
    records.into_iter().map(|record| read(record.value)).collect()
}

async fn with_own_inbox() -> House {
    let house = House::new().await;
    let (address, owner) = ("own@x.org".to_owned(), "ann".to_owned());
    house.change(AccountChange::AddressReserved { address, owner, settings: AddressSettings::default() }).await;
    house
}

async fn move_to(house: &House, inbox: &str, id: &str, folder: &str, who: &str) {
    let moved = house.ask(&format!("PUT /api/addresses/{inbox}/messages/{id}-0/folder/{folder} {who}")).await;
    assert_eq!(moved.status, StatusCode::OK, "{}", moved.text());
}

#[tokio::test]
async fn an_owners_move_into_spam_says_so_with_the_hashes_and_no_text() {
    let house = with_own_inbox().await;
    let id = house.deliver(&["own@x.org"], "Subject: Cheap pills\n\nbuy pills\n").await;
    for folder in ["trash", "spam", "spam", "inbox", "all"] {
        move_to(&house, "own@x.org", id.as_str(), folder, "ann").await;
    }
    let said = said(&house).await;
    let words: Vec<_> = said.iter().map(|one| (one.verdict, one.scope, one.account.as_str())).collect();
    assert_eq!(
        words,
        [
            (SpamVerdict::Spam, CorrectionScope::Account, "ann"),
            (SpamVerdict::TakenBack, CorrectionScope::Account, "ann"),
        ]
    );
    assert!(!said[0].tokens.is_empty() && said[0].hashes().is_sorted());
    assert_eq!(said[0].tokens, said[1].tokens);
}

#[tokio::test]
async fn on_mail_that_nobody_owns_only_an_administrators_moves_count() {
    let house = House::new().await;
    let id = house.deliver(&["public@x.org"], "Subject: Hi\n\nbody\n").await;
    move_to(&house, "public@x.org", id.as_str(), "spam", "bob").await;
    move_to(&house, "public@x.org", id.as_str(), "inbox", "bob").await;
    assert!(said(&house).await.is_empty());
    move_to(&house, "public@x.org", id.as_str(), "spam", "root").await;
    let said = said(&house).await;
    assert_eq!((said.len(), said[0].scope, said[0].account.as_str()), (1, CorrectionScope::Everybody, "root"));
}

#[tokio::test]
async fn an_automatic_delivery_to_spam_says_nothing_and_moving_it_out_says_ham() {
    let house = with_own_inbox().await;
    house.change(AccountChange::SpamFolderSet { account: "ann".into(), over_thousandths: Some(0) }).await;
    let id = house.deliver(&["own@x.org"], "Subject: Hi\n\nbody\n").await;
    let listed = house.ask("GET /api/addresses/own@x.org/messages ann").await.json();
    assert_eq!(listed[0]["folder"], "spam");
    assert!(said(&house).await.is_empty());
    move_to(&house, "own@x.org", id.as_str(), "inbox", "ann").await;
    move_to(&house, "own@x.org", id.as_str(), "spam", "ann").await;
    let words: Vec<_> = said(&house).await.iter().map(|one| one.verdict).collect();
    assert_eq!(words, [SpamVerdict::Ham, SpamVerdict::TakenBack]);
}

#[tokio::test]
async fn an_account_sets_its_own_folder_rule_and_an_administrator_anybodys() {
    let house = House::new().await;
    let set = async |line: &str, body: &str| {
        let answer = house.send(line, body).await;
        (answer.status.as_u16(), answer.text())
    };
    assert_eq!(set("PUT /api/me/spam-folder ann", r#"{"over": 0.9}"#).await.0, 200);
    assert_eq!(house.ask("GET /api/me ann").await.json()["disableSpam"], false);
    assert_eq!(set("PUT /api/admin/accounts/bob/spam-folder ann", r#"{"over": 0.9}"#).await.0, 403);
    let (status, text) = set("PUT /api/admin/accounts/bob/spam-folder root", r#"{"over": 0.25}"#).await;
    assert_eq!((status, text.as_str()), (200, r#"{"account":"bob","over":0.25}"#));
    assert_eq!(set("PUT /api/admin/accounts/bob/spam-folder root", r#"{"over": null}"#).await.0, 200);
    assert_eq!(house.ask("GET /api/me bob").await.json()["disableSpam"], true);
    for body in [r#"{"over": 1.1}"#, r#"{"over": "x"}"#, "{}"] {
        assert_eq!(set("PUT /api/me/spam-folder ann", body).await.0, 400, "{body}");
    }
    assert_eq!(set("PUT /api/admin/accounts/nobody/spam-folder root", r#"{"over": 0.5}"#).await.0, 404);
}

#[tokio::test]
async fn an_operator_lists_corrections_and_takes_them_back() {
    let house = with_own_inbox().await;
    for number in 0..3 {
        let id = house.deliver(&["own@x.org"], &format!("Subject: {number}\n\nbody\n")).await;
        move_to(&house, "own@x.org", id.as_str(), "spam", "ann").await;
    }
    let standing = async || house.ask("GET /api/admin/corrections root").await.text().lines().count();
    assert_eq!(standing().await, 3);
    assert_eq!(house.ask("GET /api/admin/corrections ann").await.status, StatusCode::FORBIDDEN);
    let message = said(&house).await[0].message_id.to_string();
    let take_back = async |body: String| {
        let answer = house.send("POST /api/admin/corrections/take-back root", &body).await;
        (answer.status.as_u16(), answer.text())
    };
    assert_eq!(take_back("{}".to_owned()).await.0, 400, "all is said where all are meant");
    let one = take_back(format!(r#"{{"message": "{message}"}}"#)).await;
    assert_eq!(one, (200, r#"{"takenBack":1}"#.to_owned()));
    assert_eq!(standing().await, 2);
    assert_eq!(take_back(r#"{"account": "ann"}"#.to_owned()).await.1, r#"{"takenBack":2}"#);
    assert_eq!((standing().await, said(&house).await.len()), (0, 6));
}
