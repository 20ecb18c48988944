//! Who may read and do what: every route with no key, and with the keys of the owner, of somebody else and of an
//! administrator.

use schemas::event::AccountChange;

use crate::house::House;

const SECRET: &str = "only-for-bob";

/// Bob's reserved address with a mail in it.
async fn house() -> (House, String) {
    let house = House::new().await;
    assert_eq!(house.ask("POST /api/addresses/bob@x.org bob").await.status, 200);
    let mail = format!("From: a@y.org\nTo: bob@x.org\nSubject: {SECRET}\n\n{SECRET} https://y.org/{SECRET}\n");
    let id = house.deliver(&["bob@x.org"], &mail).await;
    (house, format!("{id}-0"))
}

/// Route, then the status for: nobody, somebody else, an administrator, the owner.
const MATRIX: &[(&str, [u16; 4])] = &[
    ("GET /api/addresses", [401, 200, 200, 200]),
    ("GET /api/addresses/bob@x.org", [401, 401, 401, 200]),
    ("POST /api/addresses/bob@x.org", [401, 401, 401, 400]),
    ("PUT /api/addresses/bob@x.org", [401, 401, 401, 200]),
    ("PUT /api/private-address-forwarding/bob@x.org", [401, 404, 404, 200]),
    ("POST /api/private-addresses-bulk", [401, 400, 400, 400]),
    ("GET /api/addresses/bob@x.org/availability", [401, 200, 200, 200]),
    ("GET /api/addresses/bob@x.org/message-count", [401, 403, 403, 200]),
    ("GET /api/addresses/bob@x.org/messages", [401, 403, 403, 200]),
    ("GET /api/addresses/starred/messages", [401, 200, 200, 200]),
    ("GET /api/addresses/bob@x.org/messages/ID", [401, 401, 401, 200]),
    ("GET /api/addresses/ann@x.org/messages/ID", [401, 404, 404, 404]),
    ("GET /api/addresses/bob@x.org/messages/ID/headers", [401, 401, 401, 200]),
    ("GET /api/addresses/bob@x.org/messages/ID/attachments", [401, 401, 401, 200]),
    ("GET /api/addresses/bob@x.org/messages/ID/attachments/x", [401, 401, 401, 404]),
    ("PUT /api/addresses/bob@x.org/messages/ID/read/true", [401, 401, 401, 200]),
    ("PUT /api/addresses/bob@x.org/messages/ID/labels/x", [401, 401, 401, 200]),
    ("DELETE /api/addresses/bob@x.org/messages/ID/labels/x", [401, 401, 401, 200]),
    ("PUT /api/addresses/bob@x.org/messages/ID/folder/spam", [401, 401, 401, 200]),
    ("GET /api/headers/bob@x.org/ID", [401, 401, 401, 200]),
    ("GET /api/raw/bob@x.org/ID", [401, 401, 401, 200]),
    ("GET /api/text/bob@x.org/ID", [401, 401, 401, 200]),
    ("GET /api/body/bob@x.org/ID", [401, 401, 401, 200]),
    ("GET /api/dirty/bob@x.org/ID", [401, 401, 401, 200]),
    ("GET /api/raw/ann@x.org/ID", [401, 404, 404, 404]),
    ("GET /api/me", [401, 200, 200, 200]),
    ("GET /api/me/stats", [401, 200, 200, 200]),
    ("GET /api/domains", [401, 200, 200, 200]),
    ("GET /api/domains/x.org", [401, 404, 404, 404]),
    ("PUT /api/addresses/bob@x.org/messages/ID/star", [401, 401, 401, 200]),
    ("DELETE /api/addresses/bob@x.org/messages", [401, 401, 401, 204]),
    ("DELETE /api/addresses/bob@x.org/messages/ID", [401, 401, 401, 200]),
    ("DELETE /api/addresses/bob@x.org", [401, 401, 401, 200]),
    ("GET /api/forwards", [401, 200, 200, 200]),
    ("GET /api/forwards/nobodys", [401, 404, 404, 404]),
    ("GET /api/forwards/nobodys/attempts", [401, 404, 404, 404]),
    ("POST /api/forwards/nobodys/test", [401, 404, 404, 404]),
    ("POST /api/forwards/nobodys/redeliver", [401, 404, 404, 404]),
    ("POST /api/forwards/redeliver", [401, 400, 400, 400]),
    ("POST /api/forwards/nobodys/backfill", [401, 404, 404, 404]),
    ("POST /api/forwards/nobodys/pause", [401, 404, 404, 404]),
    ("POST /api/forwards/nobodys/resume", [401, 404, 404, 404]),
    ("GET /api/admin/explain/bob@x.org", [401, 403, 200, 403]),
    ("GET /api/admin/accounts", [401, 403, 200, 403]),
    ("POST /api/admin/accounts", [401, 403, 400, 403]),
    ("DELETE /api/admin/accounts/nobody", [401, 403, 404, 403]),
    ("POST /api/admin/accounts/nobody/keys", [401, 403, 404, 403]),
    ("DELETE /api/admin/accounts/nobody/keys/x", [401, 403, 404, 403]),
    ("GET /api/admin/domains", [401, 403, 200, 403]),
    ("GET /api/admin/domains/x.org", [401, 403, 404, 403]),
    ("PUT /api/admin/domains/z.org", [401, 403, 200, 403]),
    ("DELETE /api/admin/domains/y.org", [401, 403, 404, 403]),
    ("PUT /api/admin/domains/y.org/catch-all", [401, 403, 200, 403]),
    ("DELETE /api/admin/domains/q.org/catch-all", [401, 403, 404, 403]),
    ("POST /api/admin/ingest", [401, 403, 400, 403]),
    ("PUT /api/admin/accounts/nobody/spam-folder", [401, 403, 400, 403]),
    ("GET /api/admin/dead-letters", [401, 403, 200, 403]),
    ("GET /api/admin/dead-letters/mail.raw/0/0", [401, 403, 404, 403]),
    ("POST /api/admin/dead-letters/mail.raw/0/0/retry", [401, 403, 404, 403]),
    ("POST /api/admin/dead-letters/mail.raw/0/0/drop", [401, 403, 404, 403]),
    ("GET /api/admin/corrections", [401, 403, 200, 403]),
    ("POST /api/admin/corrections/take-back", [401, 403, 400, 403]),
    ("POST /api/admin/replay/route?since=x", [401, 403, 400, 403]),
    ("POST /api/admin/replay/score?since=x", [401, 403, 400, 403]),
    ("GET /api/events/mail.routed", [401, 403, 200, 403]),
    ("GET /api/events/accounts", [401, 403, 200, 403]),
    ("POST /api/admin/rebuild", [401, 403, 200, 403]),
    ("GET /api/admin/dump", [401, 403, 200, 403]),
    ("GET /livez", [200, 200, 200, 200]),
    ("GET /readyz", [200, 200, 200, 200]),
    ("GET /metrics", [200, 200, 200, 200]),
    ("GET /", [200, 200, 200, 200]),
    ("GET /api/nothing", [404, 404, 404, 404]),
    ("GET /nothing", [404, 404, 404, 404]),
    ("PATCH /api/me", [405, 405, 405, 405]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_route_opens_to_whom_it_may_and_says_nothing_to_others() {
    let (house, id) = house().await;
    for (route, statuses) in MATRIX {
        for (who, expected) in ["none", "ann", "root", "bob"].into_iter().zip(statuses) {
            let line = format!("{} {who}", route.replace("ID", &id));
            let body = if route.contains("bulk") { r#"{"addresses":["bob@x.org"]}"# } else { "" };
            let answer = house.send(&line, body).await;
            assert_eq!(answer.status.as_u16(), *expected, "{line}: {}", answer.text());
            if who == "ann" || who == "none" {
                assert!(!answer.text().contains(SECRET), "{line}: {}", answer.text());
            }
            if answer.status.is_client_error() {
                assert!(answer.json()["message"].is_string(), "{line}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_and_what_is_not_yours_are_answered_alike() {
    let (house, id) = house().await;
    let other = format!("{}9-0", &id[..25]);
    for path in ["/api/raw/bob@x.org/", "/api/addresses/bob@x.org/messages/", "/api/raw/ann@x.org/"] {
        let there = house.ask(&format!("GET {path}{id} ann")).await;
        let not_there = house.ask(&format!("GET {path}{other} ann")).await;
        assert_eq!(there.status, not_there.status, "{path}");
        assert_eq!(there.text().replace(&id, "ID"), not_there.text().replace(&other, "ID"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_taken_from_header_query_or_body() {
    let house = House::new().await;
    for (line, body, status) in [
        ("GET /api/me?_mailsacKey=k_ann", "", 200),
        ("GET /api/me none mailsac-key=k_ann", "", 200),
        ("POST /api/addresses/b1@x.org none Content-Type=application/json", r#"{"_mailsacKey":"k_ann"}"#, 200),
        ("POST /api/addresses/b2@x.org none", "_mailsacKey=k_ann", 200),
        ("POST /api/addresses/b3@x.org none", r#"{"_mailsacKey":7}"#, 401),
        ("POST /api/addresses/b3@x.org none", "{", 401),
        ("GET /api/me?_mailsacKey=k_nobody", "", 401),
        ("GET /api/me?_mailsacKey=", "", 401),
        // A wrong key in the header is not healed by a right one elsewhere.
        ("GET /api/me?_mailsacKey=k_ann none mailsac-key=k_wrong", "", 401),
    ] {
        let answer = house.send(line, body).await;
        assert_eq!(answer.status.as_u16(), status, "{line}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_256_bytes_is_looked_up_and_one_of_257_is_not() {
    let house = House::new().await;
    for (length, status) in [(256, 200), (257, 401)] {
        let key = "k".repeat(length);
        let key_sha256 = accounts::key_sha256(&key);
        house.change(AccountChange::KeyCreated { account: "ann".into(), name: "long".into(), key_sha256 }).await;
        assert_eq!(house.ask(&format!("GET /api/me none mailsac-key={key}")).await.status.as_u16(), status);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_opens_nothing() {
    let house = House::new().await;
    assert_eq!(house.ask("DELETE /api/admin/accounts/ann/keys/first root").await.status, 204);
    assert_eq!(house.ask("GET /api/me ann").await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn public_mail_that_somebody_starred_is_hidden_from_others() {
    let house = House::new().await;
    let id = house.deliver(&["open@x.org"], "Subject: kept\n\nx\n").await;
    let seen = house.deliver(&["open@x.org"], "Subject: seen\n\nx\n").await;
    assert_eq!(house.ask(&format!("PUT /api/addresses/open@x.org/messages/{id}-0/star bob")).await.status, 200);
    let list = house.ask("GET /api/addresses/open@x.org/messages?limit=1 ann").await.json();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["_id"], format!("{seen}-0"));
    let all = house.ask("GET /api/addresses/open@x.org/messages ann").await.json();
    assert_eq!(all.as_array().unwrap().len(), 1);
    assert_eq!(house.ask(&format!("GET /api/raw/open@x.org/{id}-0 ann")).await.status, 404);
    assert_eq!(house.ask(&format!("GET /api/raw/open@x.org/{id}-0 bob")).await.status, 200);
    let starred = house.ask("GET /api/addresses/starred/messages bob").await.json();
    assert_eq!(starred[0]["subject"], "kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_of_an_inbox_that_became_somebody_elses_leaves_the_starred_list() {
    let house = House::new().await;
    let id = house.deliver(&["open@x.org"], "Subject: kept\n\nx\n").await;
    house.ask(&format!("PUT /api/addresses/open@x.org/messages/{id}-0/star ann")).await;
    assert_eq!(house.ask("POST /api/addresses/open@x.org bob").await.status, 200);
    assert_eq!(house.ask("GET /api/addresses/starred/messages ann").await.json(), serde_json::json!([]));
    assert_eq!(house.ask("GET /api/me/stats ann").await.json()["starredMessages"], 0);
}
