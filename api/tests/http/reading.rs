//! What is read of a message: bytes, bodies, attachments, and the headers that keep a browser from acting on them.

use crate::house::House;

const HTML: &str = "Subject: x\nContent-Type: text/html\n\n";

async fn inbox(content: &str) -> (House, String) {
    let house = House::new().await;
    let id = house.deliver(&["a@x.org"], content).await;
    (house, format!("{id}-0"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_is_what_arrived_with_our_headers_on_top_and_none_forged() {
    let content = "X-Postlog-A: 1\n more\nSubject: x\nx-mailsac-spam: 0\nTo: a@x.org\n\nX-Mailsac-B: body\n";
    let (house, id) = inbox(content).await;
    let raw = house.ask(&format!("GET /api/raw/a@x.org/{id} ann")).await.text();
    let (top, rest) = raw.split_at(raw.find("Subject: x").unwrap());
    assert_eq!(rest, "Subject: x\r\nTo: a@x.org\r\n\r\nX-Mailsac-B: body\r\n");
    let message = id.strip_suffix("-0").unwrap();
    assert_eq!(
        top,
        format!(
            "X-Mailsac-Id: {id}\r\nX-Mailsac-Inbox: a@x.org\r\nX-Mailsac-Original-Inbox: a@x.org\r\n\
             X-Mailsac-Spam: 0.5000\r\nReceived: from client.test ([192.0.2.7])\r\n\tby mail.test with ESMTP id {message}\r\n\
             \tfor <a@x.org>;\r\n\tSun, 05 Jul 2020 22:25:41 +0000\r\n"
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn big_mail_is_read_back_whole() {
    let content = format!("Subject: x\n\n{}\n", "line of text\n".repeat(40_000));
    let (house, id) = inbox(&content).await;
    let raw = house.ask(&format!("GET /api/raw/a@x.org/{id} ann")).await.text();
    assert!(raw.ends_with(&content.replace('\n', "\r\n")));
    let text = house.ask(&format!("GET /api/text/a@x.org/{id} ann")).await.text();
    assert_eq!(text.matches("line of text").count(), 40_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_body_runs_nothing_loads_nothing_and_leads_nowhere() {
    for evil in [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<a href=\"javascript:alert(1)\">x</a>",
        "<a href=\"https://evil.example\">x</a>",
        "<svg onload=alert(1)><use href=\"https://evil.example#x\"/></svg>",
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
        "<iframe src=\"https://evil.example\"></iframe>",
        "<form action=\"https://evil.example\"><input></form>",
        "<style>@import url(https://evil.example)</style>",
        "<div style=\"background:url(https://evil.example)\">x</div>",
        "<table background=\"https://evil.example\"><tr><td>x</td></tr></table>",
        "<link rel=stylesheet href=\"https://evil.example\">",
        "<meta http-equiv=refresh content=\"0;url=https://evil.example\">",
        "<base href=\"https://evil.example\">",
        "<video poster=\"https://evil.example\"></video>",
        "<blockquote cite=\"https://evil.example\">x</blockquote>",
        "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
        "<object data=\"https://evil.example\"></object>",
        "<picture><source srcset=\"https://evil.example\"></picture>",
    ] {
        let (house, id) = inbox(&format!("{HTML}<p>fine</p>{evil}\n")).await;
        let body = house.ask(&format!("GET /api/body/a@x.org/{id} ann")).await;
        let text = body.text();
        assert!(text.contains("fine"), "{evil}: {text}");
        for sign in ["evil.example", "javascript:", "alert(1)", "<script", "onerror=", "<svg", "<style", "<form"] {
            // What is in a title is text.
            let harmless = sign == "onerror=" || sign == "alert(1)";
            assert!(!text.contains(sign) || (harmless && text.contains("title=")), "{evil}: {text}");
        }
        assert!(!text.contains("<html") && !text.contains("<img") && !text.contains("<a "), "{evil}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn html_without_end_is_shown_in_time() {
    for piece in ["<div>", "<b>", "<table>", "<a href=x>", "<p><b><i>"] {
        let (house, id) = inbox(&format!("{HTML}{}\n", piece.repeat(30_000))).await;
        let started = std::time::Instant::now();
        let body = house.ask(&format!("GET /api/body/a@x.org/{id} ann")).await;
        assert_eq!(body.status, 200);
        assert!(started.elapsed().as_secs() < 10, "{piece}: {:?}", started.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dirty_html_is_in_a_sandbox_and_nothing_is_sniffed() {
    let (house, id) = inbox(&format!("{HTML}<script>x()</script>\n")).await;
    let answer = house.ask(&format!("GET /api/dirty/a@x.org/{id} ann")).await;
    assert!(answer.text().contains("<script>x()</script>"));
    let policy = answer.header("content-security-policy");
    assert_eq!(policy, "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:");
    for path in ["raw", "text", "body", "dirty"] {
        let answer = house.ask(&format!("GET /api/{path}/a@x.org/{id} ann")).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(answer.header("content-security-policy").starts_with("sandbox"), "{path}");
        assert_eq!(answer.header("content-disposition"), "", "{path}");
        let saved = house.ask(&format!("GET /api/{path}/a@x.org/{id}?download=1 ann")).await;
        assert!(saved.header("content-disposition").starts_with("attachment; filename=\""), "{path}");
    }
}

const WITH_ATTACHMENT: &str = "Subject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n\
    --b\nContent-Type: text/plain\n\nhello\n\
    --b\nContent-Type: text/html; name=\"../e vil.html\"\nContent-ID: <c1@y.org>\n\
    Content-Disposition: attachment; filename=\"../e vil.html\"\nContent-Transfer-Encoding: base64\n\n\
    PHNjcmlwdD54KCk8L3NjcmlwdD4=\n--b--\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attachment_is_found_by_checksum_content_id_and_name() {
    let (house, id) = inbox(WITH_ATTACHMENT).await;
    let base = format!("/api/addresses/a@x.org/messages/{id}/attachments");
    let list = house.ask(&format!("GET {base} ann")).await.json();
    let checksum = list[0]["checksum"].as_str().unwrap();
    let name = list[0]["fileName"].as_str().unwrap().replace(' ', "%20").replace('/', "%2F");
    assert_eq!(list[0]["length"], 20);
    for identifier in [checksum, "c1@y.org", "%3Cc1@y.org%3E", &name, &checksum.to_uppercase()] {
        let answer = house.ask(&format!("GET {base}/{identifier} ann")).await;
        assert_eq!(answer.status, 200, "{identifier}");
        assert_eq!(answer.text(), "<script>x()</script>", "{identifier}");
        assert!(answer.header("content-type").starts_with("text/html"), "{identifier}");
        assert_eq!(answer.header("content-disposition"), "attachment; filename=\"e vil.html\"");
        assert!(answer.header("content-security-policy").starts_with("sandbox"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    assert_eq!(house.ask(&format!("GET {base}/none ann")).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_spelling_of_an_inbox_in_a_path_is_the_inbox() {
    let house = House::new().await;
    house.ask("POST /api/addresses/ann@x.org ann").await;
    let id = house.deliver(&["ann@x.org"], "Subject: x\n\nx\n").await;
    let address = house.ask("GET /api/addresses/ann@x.org ann").await.json();
    let alternate = address["encryptedInbox"].as_str().unwrap().to_owned();
    for email in ["ann@x.org", "ann%40x.org", "ANN@X.ORG", "ann+tag@x.org", "ann%2btag%40x.org", &alternate] {
        for path in [
            format!("/api/addresses/{email}/messages"),
            format!("/api/addresses/{email}/messages/"),
            format!("/api//addresses/{email}/messages"),
        ] {
            let list = house.ask(&format!("GET {path} ann")).await.json();
            assert_eq!(list[0]["_id"], format!("{id}-0"), "{path}");
        }
    }
    for odd in ["nobody", "a@", "@x.org", "a%20b@x.org", "%ff@x.org"] {
        let answer = house.ask(&format!("GET /api/addresses/{odd}/messages ann")).await;
        assert_eq!(answer.status, 400, "{odd}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_behind_an_alternate_is_not_told_to_others() {
    let house = House::new().await;
    let address = house.ask("POST /api/addresses/ann@x.org ann").await.json();
    let alternate = address["encryptedInbox"].as_str().unwrap();
    for path in ["", "/availability", "/messages", "/message-count", "/messages/x"] {
        let answer = house.ask(&format!("GET /api/addresses/{alternate}{path} bob")).await;
        assert!(!answer.text().contains("ann@"), "{path}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_leaves_what_is_starred_and_a_release_with_the_flag_nothing() {
    let house = House::new().await;
    house.ask("POST /api/addresses/a@x.org ann").await;
    let kept = house.deliver(&["a@x.org"], "Subject: kept\n\nx\n").await;
    house.deliver(&["a@x.org"], "Subject: gone\n\nx\n").await;
    house.ask(&format!("PUT /api/addresses/a@x.org/messages/{kept}-0/star ann")).await;
    let purged = house.ask("DELETE /api/addresses/a@x.org/messages ann").await;
    assert_eq!((purged.status.as_u16(), purged.text().as_str()), (204, ""));
    let left = house.ask("GET /api/addresses/a@x.org/messages ann").await.json();
    assert_eq!(left.as_array().unwrap().len(), 1);
    assert_eq!(left[0]["subject"], "kept");
    let released = house.ask("DELETE /api/addresses/a@x.org?deleteAddressMessages=true ann").await;
    assert_eq!(released.json()["_id"], "a@x.org");
    assert_eq!(house.ask("GET /api/addresses/a@x.org/messages bob").await.json(), serde_json::json!([]));
}
