//! The websocket door on a socket: greeting, both shapes of a frame, errors, origins, limits, and how it closes.

use std::net::SocketAddr;
use std::sync::Arc;

use api::http::{Ask, Listening, Next, NotListening};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use schemas::event::{AccountChange, AddressSettings};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::house::House;

const ANN: &str = "ann@x.org";
type Client = WebSocketStream<TcpStream>;

struct Served {
    house: Arc<House>,
    address: SocketAddr,
}

/// One who listens to what the test says.
struct Scripted(mpsc::Receiver<Next>);

#[async_trait]
impl Listening for Scripted {
    fn cursor(&self) -> String {
        "here".into()
    }

    async fn next(&mut self) -> Next {
        match self.0.recv().await {
            Some(next) => next,
            None => std::future::pending().await,
        }
    }
}

impl Served {
    async fn new() -> Self {
        let house = Arc::new(House::new().await);
        for (owner, address) in [("ann", ANN), ("bob", "bob@x.org")] {
            let settings = AddressSettings { enable_websocket: true, ..AddressSettings::default() };
            house
                .change(AccountChange::AddressReserved { address: address.into(), owner: owner.into(), settings })
                .await;
        }
        for (owner, domain) in [("ann", "ann.org"), ("bob", "bob.org")] {
            let added = AccountChange::DomainAdded { domain: domain.into(), owner: owner.into(), private: true };
            house.change(added).await;
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(api::http::serve(listener, house.router.clone(), house.doors.shutdown.clone()));
        Self { house, address }
    }

    /// What the next one who asks is told.
    fn script(&self) -> mpsc::Sender<Next> {
        let (say, hear) = mpsc::channel(16);
        self.house.incoming.answers.lock().unwrap().push_back(Ok(Box::new(Scripted(hear))));
        say
    }

    async fn open(&self, query: &str, headers: &[(&str, &str)]) -> Result<Client, Error> {
        let mut request = format!("ws://{}/incoming-messages?{query}", self.address).into_client_request().unwrap();
        for (name, value) in headers {
            let name: axum::http::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        client_async(request, stream).await.map(|(client, _)| client)
    }

    async fn refused(&self, query: &str) -> (Value, u16) {
        let mut client = self.open(query, &[]).await.unwrap();
        let error = frame(&mut client).await;
        assert!(error["error"].as_str().is_some_and(|text| !text.is_empty()), "{error}");
        (error, closed(&mut client).await.0)
    }

    fn asked(&self) -> Ask {
        self.house.incoming.asked.lock().unwrap().pop().unwrap()
    }
}

async fn frame(client: &mut Client) -> Value {
    loop {
        match client.next().await.unwrap().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn closed(client: &mut Client) -> (u16, String) {
    loop {
        match client.next().await.unwrap().unwrap() {
            Message::Close(Some(frame)) => return (frame.code.into(), frame.reason.to_string()),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_listens_is_greeted_with_its_names_in_their_one_spelling() {
    let served = Served::new().await;
    for (query, headers) in [
        ("key=k_ann&addresses=ANN%2Btag@X.org,ann.ORG,,ann@x.org", &[][..]),
        ("addresses=ann@x.org&domains=ann.org", &[("Mailsac-Key", "k_ann")][..]),
        ("_mailsacKey=k_ann&addresses=ann@x.org&addresses=ann.org&_id=anything", &[][..]),
    ] {
        let _say = served.script();
        let mut client = served.open(query, headers).await.unwrap();
        let greeting = json!({"status": 200, "msg": "Listening", "addresses": [ANN], "domains": ["ann.org"],
            "cursor": "here"});
        assert_eq!(frame(&mut client).await, greeting, "{query}");
        let ask =
            Ask { account: "ann".into(), addresses: vec![ANN.into()], domains: vec!["ann.org".into()], after: None };
        assert_eq!(served.asked(), ask);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_listen_is_told_so_in_a_frame_and_the_socket_is_closed() {
    let served = Served::new().await;
    for (query, status, close) in [
        ("addresses=ann@x.org", 401, 4401),
        ("key=k_nobody&addresses=ann@x.org", 401, 4401),
        ("key=k_ann&addresses=bob@x.org", 403, 4403),
        ("key=k_ann&addresses=ann@x.org,bob@x.org", 403, 4403),
        ("key=k_ann&addresses=nobody@z.org", 403, 4403),
        ("key=k_ann&addresses=bob.org", 403, 4403),
        ("key=k_ann&addresses=z.org", 403, 4403),
        ("key=k_root&addresses=ann@x.org", 403, 4403),
        ("key=k_ann&addresses=a b@x.org", 400, 1008),
        ("key=k_ann", 400, 1008),
        ("key=k_ann&addresses=,", 400, 1008),
    ] {
        let (error, code) = served.refused(&query.replace(' ', "%20")).await;
        assert_eq!((&error["status"], code), (&json!(status), close), "{query}: {error}");
    }
    assert!(served.house.incoming.asked.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_feed_refuses_has_a_status_of_its_own() {
    let served = Served::new().await;
    for (cause, status, close) in [
        (NotListening::TooMany("4096".into()), 429, 1013),
        (NotListening::Cursor("no".into()), 400, 1008),
        (NotListening::Gone, 410, 1008),
        (NotListening::Unavailable, 503, 1013),
    ] {
        served.house.incoming.answers.lock().unwrap().push_back(Err(cause));
        let (error, code) = served.refused("key=k_ann&addresses=ann@x.org&after=abc").await;
        assert_eq!((&error["status"], code), (&json!(status), close), "{error}");
        assert_eq!(served.asked().after.as_deref(), Some("abc"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_origin_is_refused_before_the_upgrade() {
    let served = Served::new().await;
    let query = "key=k_ann&addresses=ann@x.org";
    let same = format!("http://{}", served.address);
    for origin in ["http://evil.example", "http://127.0.0.1:1", "null"] {
        match served.open(query, &[("Origin", origin)]).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), 403, "{origin}"),
            other => panic!("{origin}: {other:?}"),
        }
    }
    assert!(served.house.incoming.asked.lock().unwrap().is_empty());
    for origin in [same.as_str(), "https://app.test"] {
        let _say = served.script();
        let mut client = served.open(query, &[("Origin", origin)]).await.unwrap();
        assert_eq!(frame(&mut client).await["status"], 200, "{origin}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_no_upgrade_is_answered_by_http() {
    let served = Served::new().await;
    let answer = served.house.ask("GET /incoming-messages?addresses=ann@x.org ann").await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    let upgrade = "connection=upgrade upgrade=websocket sec-websocket-key=AAAAAAAAAAAAAAAAAAAAAA==";
    let old = served.house.ask(&format!("GET /incoming-messages ann {upgrade} sec-websocket-version=8")).await;
    assert_eq!(old.status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_comes_flat_and_as_email_with_a_cursor_however_large_it_is() {
    let served = Served::new().await;
    let say = served.script();
    let mut client = served.open("key=k_ann&addresses=ann@x.org", &[]).await.unwrap();
    frame(&mut client).await;
    for bytes in [10, 60 << 10, 64 << 10, 3 << 20] {
        let content = format!(
            "From: Jörg <j@y.org>\nTo: ann@x.org\nSubject: s\nX-Twice: 1\nX-Twice: 2\n\nHello {}\n",
            "é".repeat(bytes / 2)
        );
        let id = served.house.deliver(&[ANN], &content).await;
        let entry_id = schemas::EntryId { message: id.clone(), index: 0 };
        let entry = mailstore::Store::entry(served.house.store.as_ref(), &entry_id).await.unwrap().unwrap();
        let raw = mailstore::Store::raw(served.house.store.as_ref(), &id).await.unwrap().unwrap();
        let body = api::http::render(&[entry], &raw).remove(0);
        say.send(Next::Mail { body, cursor: format!("c{bytes}") }).await.unwrap();
        let mut mail = frame(&mut client).await;
        let members = mail.as_object_mut().unwrap();
        assert_eq!(members.remove("status"), Some(json!(200)));
        assert_eq!(members.remove("cursor"), Some(json!(format!("c{bytes}"))));
        let email = members.remove("email").unwrap();
        assert_eq!(mail, email);
        let single = served.house.ask(&format!("GET /api/addresses/{ANN}/messages/{entry_id} ann")).await.json();
        single.as_object().unwrap().iter().for_each(|(name, value)| assert_eq!(mail[name], *value, "{name}"));
        assert_eq!(mail["headers"]["x-twice"], json!(["1", "2"]));
        assert_eq!(mail["headers"]["subject"], "s");
        let text = served.house.ask(&format!("GET /api/text/{ANN}/{entry_id} ann")).await.text();
        assert_eq!(mail["text"], text);
        let raw = served.house.ask(&format!("GET /api/raw/{ANN}/{entry_id} ann")).await.text();
        assert_eq!(mail["raw"], raw);
        assert!(mail["html"].as_str().unwrap().contains("Hello"));
        assert_eq!(mail["body"], mail["html"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_over_8_mib_comes_without_its_bodies() {
    let served = Served::new().await;
    let id = served.house.deliver(&[ANN], "Subject: large\n\nx\n").await;
    let entry_id = schemas::EntryId { message: id, index: 0 };
    let entry = mailstore::Store::entry(served.house.store.as_ref(), &entry_id).await.unwrap().unwrap();
    let render = |bytes: usize| {
        let raw = Bytes::from([b"Subject: large\r\n\r\n".as_slice(), &vec![b'a'; bytes - 18]].concat());
        let body = api::http::render(std::slice::from_ref(&entry), &raw).remove(0);
        serde_json::from_slice::<Value>(&[&body, b"}".as_slice()].concat()).unwrap()
    };
    for (bytes, truncated) in [(2 << 20, false), ((8 << 20) + 1, true)] {
        let mail = render(bytes);
        assert_eq!(mail.get("truncated").is_some(), truncated);
        assert_eq!(mail.get("raw").is_none(), truncated);
        assert_eq!(mail["subject"], "large");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_too_slow_is_closed_with_its_cursor_and_who_has_caught_up_is_told_so() {
    let served = Served::new().await;
    let say = served.script();
    let mut client = served.open("key=k_ann&addresses=ann@x.org&after=abc", &[]).await.unwrap();
    frame(&mut client).await;
    say.send(Next::CaughtUp { cursor: "c1".into() }).await.unwrap();
    assert_eq!(frame(&mut client).await, json!({"status": 200, "msg": "caught_up", "cursor": "c1"}));
    say.send(Next::TooSlow { cursor: "c2".into() }).await.unwrap();
    assert_eq!(closed(&mut client).await, (1013, "c2".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_closes_with_1012_and_the_cursor() {
    let served = Served::new().await;
    let _say = served.script();
    let mut client = served.open("key=k_ann&addresses=ann@x.org", &[]).await.unwrap();
    frame(&mut client).await;
    served.house.doors.shutdown.cancel();
    assert_eq!(closed(&mut client).await, (1012, "here".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_says_is_ignored_up_to_4096_bytes_and_too_much_closes() {
    let served = Served::new().await;
    let say = served.script();
    let mut client = served.open("key=k_ann&addresses=ann@x.org", &[]).await.unwrap();
    frame(&mut client).await;
    client.send(Message::text("x".repeat(4096))).await.unwrap();
    say.send(Next::CaughtUp { cursor: "c".into() }).await.unwrap();
    assert_eq!(frame(&mut client).await["msg"], "caught_up");
    client.send(Message::text("x".repeat(4097))).await.unwrap();
    assert_eq!(closed(&mut client).await.0, 1009);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_says_more_than_1000_frames_between_two_pings_is_closed() {
    let served = Served::new().await;
    let say = served.script();
    let mut client = served.open("key=k_ann&addresses=ann@x.org", &[]).await.unwrap();
    frame(&mut client).await;
    for _ in 0..1000 {
        client.send(Message::text("now")).await.unwrap();
    }
    say.send(Next::CaughtUp { cursor: "c".into() }).await.unwrap();
    assert_eq!(frame(&mut client).await["msg"], "caught_up");
    client.send(Message::text("now")).await.unwrap();
    assert_eq!(closed(&mut client).await.0, 1008);
}
