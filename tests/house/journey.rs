//! The journey of a mail, from a client's `MAIL FROM` to everything that the API says of it, with one partition and
//! with three, on both logs and with both stores.

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::mail::{plain, rich};
use crate::support::on_every_ground;
use crate::support::server::{House, OnLog, Server};

on_every_ground!(
    a_mail_goes_all_the_way_with_one_partition,
    a_mail_goes_all_the_way_with_three_partitions,
    a_restart_keeps_everything,
);

const ANN: &str = "ann@example.org";

fn entry(server: &Server, inbox: &str, id: &str) -> Value {
    server.json(&format!("/api/addresses/{inbox}/messages/{id}"))
}

fn id_of(entry: &Value) -> &str {
    entry["_id"].as_str().unwrap()
}

fn a_mail_goes_all_the_way_with_one_partition(log: OnLog) {
    journey(&House::with_partitions_on(log, 1));
}

fn a_mail_goes_all_the_way_with_three_partitions(log: OnLog) {
    journey(&House::with_partitions_on(log, 3));
}

fn journey(house: &House) {
    let server = house.start();
    let content = rich("Welcome");
    let id = server.deliver(&[ANN, "bob+tag@Example.ORG"], &content);
    let first = server.inbox_of(ANN, 1).remove(0);
    assert_eq!(id_of(&first), format!("{id}-0"));
    let second = server.inbox_of("bob@example.org", 1).remove(0);
    assert_eq!(id_of(&second), format!("{id}-1"));
    assert_eq!(second["originalInbox"], "bob+tag@example.org");
    shapes(&first, &entry(&server, ANN, id_of(&first)), &content);
    bodies(&server, &first, &content);
    flags(&server, &first);
    deletion(&server);
    reservation(&server);
    catch_all(&server);
    lists(&server);
    account(&server);
    assert!(server.stop().success());
}

fn shapes(in_list: &Value, single: &Value, content: &[u8]) {
    for message in [in_list, single] {
        assert_eq!(message["from"], json!([{"address": "joerg@example.com", "name": "Jörg"}]));
        let to = json!([{"address": ANN, "name": "Ann"}, {"address": "bob@example.org", "name": ""}]);
        assert_eq!(message["to"], to);
        assert_eq!(message["cc"], json!([{"address": "carol@example.org", "name": ""}]));
        assert_eq!(message["bcc"], json!([]));
        assert_eq!(message["subject"], "Welcome");
        assert_eq!(message["savedBy"], Value::Null);
        assert_eq!(message["inbox"], ANN);
        assert_eq!(message["originalInbox"], ANN);
        assert_eq!(message["domain"], "example.org");
        assert!(message["received"].as_str().is_some_and(|time| time.len() == 24 && time.ends_with('Z')));
        assert_eq!(message["size"], content.len());
        assert_eq!(message["attachments"].as_array().map(Vec::len), Some(2), "{}", message["attachments"]);
        assert_eq!(message["ip"], "127.0.0.1");
        assert!(message["via"].is_string());
        assert_eq!(message["folder"], "inbox");
        assert_eq!(message["labels"], json!([]));
        assert!(message["read"].is_null() || message["read"] == false);
        assert_eq!(message["rtls"], false);
        let links = message["links"].as_array().unwrap();
        assert!(links.contains(&json!("https://example.com/welcome?a=1")), "{links:?}");
        assert!(message["spam"].as_f64().is_some_and(|score| (0.0..=1.0).contains(&score)), "{}", message["spam"]);
    }
}

fn bodies(server: &Server, message: &Value, content: &[u8]) {
    let id = id_of(message);
    server.content(ANN, id, content);
    for (door, kind) in [("raw", "text/plain"), ("text", "text/plain"), ("body", "text/html"), ("dirty", "text/html")] {
        let answer = server.call("GET", &format!("/api/{door}/{ANN}/{id}"), &[]);
        assert!(answer.header("content-type").is_some_and(|found| found.starts_with(kind)), "{door}");
    }
    let text = server.text(&format!("/api/text/{ANN}/{id}"));
    assert_eq!(text.trim_end(), "Hello Ann, see https://example.com/welcome?a=1");
    let body = server.text(&format!("/api/body/{ANN}/{id}"));
    assert!(body.contains("<b>Ann</b>") && !body.contains("script") && !body.contains("onclick"), "{body}");
    assert!(!body.contains("<img") && !body.contains("<a "), "{body}");
    let dirty = server.text(&format!("/api/dirty/{ANN}/{id}"));
    assert!(dirty.contains("<script>alert(1)</script>"), "{dirty}");
    assert!(dirty.contains("data:image/png;base64,iVBORw0KGgo"), "{dirty}");
    let headers = server.json(&format!("/api/addresses/{ANN}/messages/{id}/headers"));
    assert_eq!(headers["x-twice"], json!(["one", "two"]));
    let ordered = server.json(&format!("/api/addresses/{ANN}/messages/{id}/headers?messageHeadersFormat=json-ordered"));
    let names: Vec<&str> = ordered.as_array().unwrap().iter().map(|header| header["name"].as_str().unwrap()).collect();
    let subject = names.iter().position(|name| name.eq_ignore_ascii_case("subject")).unwrap();
    assert!(names[..subject].iter().any(|name| name.eq_ignore_ascii_case("from")), "{names:?}");
    let plain = server.text(&format!("/api/addresses/{ANN}/messages/{id}/headers?messageHeadersFormat=plain"));
    assert!(plain.contains("Subject: Welcome"), "{plain}");
    let missing = server.call("GET", &format!("/api/addresses/{ANN}/messages/{}-9", &id[..26]), &[]);
    assert_eq!(missing.status, 404);
    assert!(missing.json()["message"].is_string());
    let keyless =
        crate::support::http::request(server.http, "GET", &format!("/api/addresses/{ANN}/messages"), &[], &[]);
    assert_eq!(keyless.unwrap().status, 401);
}

fn flags(server: &Server, message: &Value) {
    let path = format!("/api/addresses/{ANN}/messages/{}", id_of(message));
    let starred = server.change("PUT", &format!("{path}/star"), &Value::Null);
    assert!(starred["savedBy"].is_string(), "{starred}");
    assert_eq!(entry(server, ANN, id_of(message))["savedBy"], starred["savedBy"], "a change is read back at once");
    let unstarred = server.change("PUT", &format!("{path}/star"), &Value::Null);
    assert_eq!(unstarred["savedBy"], Value::Null);
    assert_eq!(server.change("PUT", &format!("{path}/read/true"), &Value::Null)["read"], true);
    assert_eq!(server.change("PUT", &format!("{path}/labels/later"), &Value::Null)["labels"], json!(["later"]));
    assert_eq!(server.change("PUT", &format!("{path}/folder/spam"), &Value::Null)["folder"], "spam");
    let changed = entry(server, ANN, id_of(message));
    assert_eq!((&changed["read"], &changed["labels"]), (&json!(true), &json!(["later"])));
    assert_eq!(changed["folder"], "spam");
    assert_eq!(server.change("DELETE", &format!("{path}/labels/later"), &Value::Null)["labels"], json!([]));
    assert_eq!(server.json(&format!("/api/addresses/{ANN}/message-count"))["count"], 1);
}

fn deletion(server: &Server) {
    let inbox = "gone@example.org";
    for token in ["one", "two", "three"] {
        server.deliver(&[inbox], &plain(token, 300));
    }
    let mails = server.inbox_of(inbox, 3);
    server.change("PUT", &format!("/api/addresses/{inbox}/messages/{}/star", id_of(&mails[0])), &Value::Null);
    let path = format!("/api/addresses/{inbox}/messages/{}", id_of(&mails[1]));
    let deleted = server.change("DELETE", &path, &Value::Null);
    assert_eq!(deleted["_id"], mails[1]["_id"]);
    assert_eq!(deleted["inbox"], inbox);
    assert_eq!(server.call("GET", &path, &[]).status, 404);
    assert_eq!(server.call("DELETE", &path, &[]).status, 404);
    assert_eq!(server.inbox(inbox).len(), 2);
    server.change("POST", &format!("/api/addresses/{inbox}"), &json!({}));
    assert_eq!(server.call("DELETE", &format!("/api/addresses/{inbox}/messages"), &[]).status, 204);
    let left = server.inbox(inbox);
    assert_eq!(left.len(), 1, "starred mail stays");
    assert_eq!(left[0]["_id"], mails[0]["_id"]);
}

fn reservation(server: &Server) {
    let address = "mine@example.org";
    let path = format!("/api/addresses/{address}");
    assert!(server.json(&path)["owner"].is_null(), "an address of nobody");
    let reserved = server.change("POST", &path, &json!({"info": "tests"}));
    assert_eq!((&reserved["_id"], &reserved["info"]), (&json!(address), &json!("tests")));
    assert!(reserved["owner"].is_string());
    assert_eq!(server.call("POST", &path, b"{}").status, 400, "it is taken");
    let changed = server.change("PUT", &path, &json!({"enablews": true}));
    assert_eq!((&changed["enablews"], &changed["info"]), (&json!(true), &json!("tests")));
    let listed = server.json("/api/addresses");
    assert!(listed.as_array().unwrap().iter().any(|object| object["_id"] == address), "{listed}");
    let alternate = reserved["encryptedInbox"].as_str().unwrap();
    let alternate = alternate.split('@').next().unwrap();
    assert!(alternate.starts_with("inbox-"), "{alternate}");
    let sent = format!("{alternate}@elsewhere.example");
    server.deliver(&[&sent], &plain("alternate", 300));
    assert_eq!(server.inbox_of(address, 1)[0]["originalInbox"], sent);
    let released = server.change("DELETE", &path, &Value::Null);
    assert_eq!(released["_id"], address);
    assert_eq!(server.call("DELETE", &path, &[]).status, 400, "it is nobody's");
}

fn catch_all(server: &Server) {
    let domain = "caught.example";
    let added = server.call("PUT", &format!("/api/admin/domains/{domain}"), b"{}");
    assert!(matches!(added.status, 200 | 204), "{}", added.text());
    let set = server.call(
        "PUT",
        &format!("/api/admin/domains/{domain}/catch-all"),
        json!({"inbox": format!("all@{domain}")}).to_string().as_bytes(),
    );
    assert!(matches!(set.status, 200 | 204), "{}", set.text());
    server.change("POST", &format!("/api/addresses/own@{domain}"), &json!({}));
    server.deliver(&[&format!("Any+x@{domain}"), &format!("own@{domain}")], &plain("caught", 300));
    let caught = server.inbox_of(&format!("all@{domain}"), 1).remove(0);
    assert_eq!(caught["originalInbox"], format!("any+x@{domain}"));
    let own = server.inbox_of(&format!("own@{domain}"), 1).remove(0);
    assert_eq!(own["originalInbox"], format!("own@{domain}"));
    assert_eq!(server.inbox(&format!("any@{domain}")).len(), 0, "the catch-all's inbox has it");
}

fn lists(server: &Server) {
    let inbox = "many@example.org";
    let mut client = server.smtp();
    for number in 0..7 {
        client.send("sender@example.com", &[inbox], &plain(&format!("mail{number}"), 200)).unwrap().queued_as();
    }
    let all = server.inbox_of(inbox, 7);
    assert_eq!(all[0]["subject"], "mail6", "newest first");
    let mut pages = Vec::new();
    let mut until = None;
    while pages.len() < all.len() {
        let bound = until.map_or_else(String::new, |until: String| format!("&until={until}"));
        let page = server.json(&format!("/api/addresses/{inbox}/messages?limit=3{bound}"));
        let page = page.as_array().unwrap();
        let new: Vec<&Value> = page.iter().filter(|message| !pages.contains(*message)).collect();
        assert!(!new.is_empty(), "paging goes on; mails of one millisecond fill less than a page");
        until = page.last().map(|message| message["received"].as_str().unwrap().to_owned());
        let new: Vec<Value> = new.into_iter().cloned().collect();
        pages.extend(new);
    }
    assert_eq!(pages, all, "paging by `until` loses nothing and repeats nothing");
}

fn account(server: &Server) {
    assert!(server.json("/api/me")["_id"].is_string());
    let metrics = crate::support::http::request(server.http, "GET", "/metrics", &[], &[]).unwrap();
    assert!(metrics.text().contains("postlog_"), "{}", metrics.text());
    let live = crate::support::http::request(server.http, "GET", "/livez", &[], &[]).unwrap();
    assert_eq!(live.status, 200);
}

fn a_restart_keeps_everything(log: OnLog) {
    let house = House::with_partitions_on(log, 3);
    let server = house.start();
    server.change("POST", "/api/addresses/kept@example.org", &json!({"info": "kept"}));
    let content = rich("Kept");
    for _ in 0..5 {
        server.deliver(&["kept@example.org", ANN], &content);
    }
    let mails = server.inbox_of("kept@example.org", 5);
    server.change("PUT", &format!("/api/addresses/kept@example.org/messages/{}/star", id_of(&mails[2])), &Value::Null);
    server.change("DELETE", &format!("/api/addresses/kept@example.org/messages/{}", id_of(&mails[4])), &Value::Null);
    let kept = server.inbox_of("kept@example.org", 4);
    server.inbox_of(ANN, 5);
    let dump = house.dump();
    assert!(server.stop().success());
    assert_eq!(house.dump(), dump, "dumped while nobody runs");
    let server = house.start();
    assert_eq!(server.inbox("kept@example.org"), kept);
    assert_eq!(server.json("/api/addresses/kept@example.org")["info"], "kept");
    assert_eq!(house.dump(), dump);
    server.content(ANN, id_of(&server.inbox(ANN)[0]), &content);
    server.kill();
    let server = house.start();
    assert_eq!(eventually("the same after a kill", || Some(house.dump()).filter(|now| *now == dump)), dump);
    assert!(server.stop().success());
}
