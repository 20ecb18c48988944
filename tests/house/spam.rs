//! People teach by moving mail, and what they have taught is taken back exactly; an account's folder rule; and why a
//! mail scored as it did.

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::mail::plain;
use crate::support::server::{House, Server, text_of};

pub const ANN: &str = "ann@example.org";

pub fn events(server: &Server, topic: &str) -> Vec<Value> {
    let text = server.text(&format!("/api/events/{topic}?from=earliest&follow=false"));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The version of the model for all that stands on the log.
pub fn trained(server: &Server) -> Option<String> {
    let mut models = events(server, "spam.models").into_iter().filter(|model| model["key"] == "default");
    models.next_back().map(|model| model["event"]["version"].as_str().unwrap().to_owned())
}

pub fn move_to(server: &Server, inbox: &str, id: &str, folder: &str) {
    let moved = server.change("PUT", &format!("/api/addresses/{inbox}/messages/{id}/folder/{folder}"), &Value::Null);
    assert_eq!(moved["folder"], folder);
}

fn ids(server: &Server, inbox: &str, mails: usize) -> Vec<String> {
    server.inbox_of(inbox, mails).iter().map(|mail| mail["_id"].as_str().unwrap().to_owned()).collect()
}

fn version_of(server: &Server, id: &str) -> String {
    server.json(&format!("/api/admin/explain/{id}"))["score"]["version"].as_str().unwrap().to_owned()
}

#[test]
fn moves_teach_and_taking_all_back_restores_the_first_model_bit_for_bit() {
    let house = House::new();
    let server = house.start();
    server.change("POST", &format!("/api/addresses/{ANN}"), &json!({}));
    for number in 0..6 {
        server.deliver(&[ANN], &plain(&format!("lesson{number}"), 900));
    }
    let mails = ids(&server, ANN, 6);
    let first = version_of(&server, &mails[0]);
    for id in &mails[..4] {
        move_to(&server, ANN, id, "trash");
        move_to(&server, ANN, id, "spam");
        move_to(&server, ANN, id, "spam");
    }
    eventually("a new model", || trained(&server).filter(|version| *version != first));
    let said = events(&server, "spam.corrections");
    assert_eq!(said.len(), 4, "moves between other folders, and within one, say nothing");
    assert!(said.iter().all(|one| one["event"]["verdict"] == "Spam" && one["event"]["scope"] == "Account"));
    server.deliver(&[ANN], &plain("later", 900));
    let later = ids(&server, ANN, 7).remove(0);
    eventually("new mail is scored by the new model", || (version_of(&server, &later) != first).then_some(()));
    // Two are put back where they were delivered to, and the mail of the others is gone when theirs are taken back.
    for id in &mails[..2] {
        move_to(&server, ANN, id, "inbox");
    }
    for id in &mails[2..4] {
        server.change("DELETE", &format!("/api/addresses/{ANN}/messages/{id}"), &Value::Null);
    }
    let listed = house.run(&["correction", "list", "--json"]);
    assert_eq!(String::from_utf8(listed.stdout).unwrap().lines().count(), 2);
    let taken = house.run(&["correction", "take-back", "--all"]);
    assert!(text_of(&taken).contains("2 corrections are taken back"), "{}", text_of(&taken));
    eventually("the first model again", || (trained(&server)? == first).then_some(()));
    let sequences: Vec<i64> =
        events(&server, "spam.models").iter().map(|model| model["event"]["sequence"].as_i64().unwrap()).collect();
    assert!(sequences.is_sorted_by(|one, next| one < next), "{sequences:?}");
    assert!(server.stop().success());
    let server = house.start();
    server.deliver(&[ANN], &plain("last", 900));
    let last = ids(&server, ANN, 6).remove(0);
    assert_eq!(version_of(&server, &last), first, "and after a restart");
    assert_eq!(trained(&server).as_ref(), Some(&first));
    assert!(server.stop().success());
}

#[test]
fn mail_over_an_accounts_score_starts_in_spam_and_moving_it_out_says_ham() {
    let house = House::new();
    let server = house.start();
    server.change("POST", &format!("/api/addresses/{ANN}"), &json!({}));
    server.deliver(&[ANN], &plain("before", 900));
    assert_eq!(server.inbox_of(ANN, 1)[0]["folder"], "inbox", "off by default");
    let account = server.json("/api/me")["_id"].as_str().unwrap().to_owned();
    let set = house.run(&["account", "spam-folder", &account, "--over", "0"]);
    assert!(text_of(&set).contains("over 0 is delivered"), "{}", text_of(&set));
    server.deliver(&[ANN, "public@example.com"], &plain("over", 900));
    let mails = server.inbox_of(ANN, 2);
    assert_eq!((&mails[0]["folder"], &mails[1]["folder"]), (&json!("spam"), &json!("inbox")));
    assert_eq!(server.inbox_of("public@example.com", 1)[0]["folder"], "inbox");
    assert!(events(&server, "spam.corrections").is_empty(), "a delivery is no correction");
    let id = mails[0]["_id"].as_str().unwrap();
    move_to(&server, ANN, id, "inbox");
    let said = events(&server, "spam.corrections");
    assert_eq!((said.len(), &said[0]["event"]["verdict"]), (1, &json!("Ham")));
    let explained = text_of(&house.run(&["explain", id]));
    for part in ["by the model default, version", "started in the folder spam", "is reserved by"] {
        assert!(explained.contains(part), "{part}: {explained}");
    }
    server.change("PUT", "/api/me/spam-folder", &json!({"over": null}));
    server.deliver(&[ANN], &plain("after", 900));
    assert_eq!(server.inbox_of(ANN, 3)[0]["folder"], "inbox");
    assert!(server.stop().success());
}
