//! A mail to deliver, a store that holds it, and a reader that is simple enough to be checked.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use mailstore::{Counts, Entry, Envelope, Fact, ListQuery, Store, StoreError};
use schemas::event::{Address, Folder, ForwardDue, ForwardKind, ForwardPayload, HeaderField};
use schemas::{EntryId, MessageId, Position};
use sinks::forward::{Clock, Courier, Delivery};
use sinks::guard::Guard;
use sinks::message::Reader;
use sinks::post::{Poster, Resolve};
use sinks::slack::SlackCourier;
use sinks::webhook::WebhookCourier;

pub const RAW: &str = "From: Bob <bob@example.com>\r\nReceived: one\r\nReceived: two\r\nSubject: s\r\n\r\nbody\r\n";
pub const NOW_MS: i64 = 1_700_000_000_999;

pub fn message_id() -> MessageId {
    MessageId::from_parts(1_700_000_000_000, [7; 10])
}

pub fn entry() -> Entry {
    let id = EntryId { message: message_id(), index: 0 };
    Entry {
        id: id.to_string(),
        inbox: "ann@example.org".to_owned(),
        original_inbox: "ann+x@example.org".to_owned(),
        recipients: vec!["ann+x@example.org".to_owned()],
        received_at: 1_700_000_000_000,
        envelope: Envelope { size_bytes: RAW.len() as u64, ..Envelope::default() },
        from: vec![Address { address: "bob@example.com".to_owned(), name: "Bob".to_owned() }],
        to: Vec::new(),
        cc: Vec::new(),
        bcc: Vec::new(),
        subject: "s".to_owned(),
        links: Vec::new(),
        attachments: Vec::new(),
        problems: Vec::new(),
        spam: 0.25,
        folder: Folder::Inbox,
        delivered_to: Folder::Inbox,
        read: false,
        saved_by: None,
        labels: Vec::new(),
    }
}

pub fn delivery(kind: ForwardKind, target: &str) -> Delivery {
    Delivery {
        due: ForwardDue {
            delivery_id: "dlv_0afefff23521bdfcf4eae48bd660e0b0".to_owned(),
            forward: "forward-1".to_owned(),
            message_id: message_id(),
            index: 0,
            routed_offset: 0,
            arrived_at: 1_700_000_000_000,
            next_at: 0,
            attempts: 0,
            origin: String::new(),
        },
        kind,
        target: target.to_owned(),
        payload: ForwardPayload::Full,
        secrets: Vec::new(),
        slack_to_from: true,
        entry: entry(),
        account: "account-1".to_owned(),
    }
}

/// Holds the bytes of one message, or none.
pub struct OneMail(pub Option<Bytes>);

#[async_trait]
impl Store for OneMail {
    async fn positions(&self) -> Result<Vec<Position>, StoreError> {
        Ok(Vec::new())
    }

    async fn apply(&self, _: Vec<Fact>, _: &[Position]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn list(&self, _: &ListQuery) -> Result<Vec<Entry>, StoreError> {
        Ok(Vec::new())
    }

    async fn entry(&self, _: &EntryId) -> Result<Option<Entry>, StoreError> {
        Ok(None)
    }

    async fn counts(&self, _: &str) -> Result<Counts, StoreError> {
        Ok(Counts::default())
    }

    async fn raw(&self, id: &MessageId) -> Result<Option<Bytes>, StoreError> {
        assert_eq!(*id, message_id());
        Ok(self.0.clone())
    }
}

pub struct SimpleReader;

impl Reader for SimpleReader {
    fn shown(&self, entry: &Entry, raw: &Bytes) -> Bytes {
        let mut shown = format!("X-Mailsac-Id: {}\r\n", entry.id).into_bytes();
        shown.extend_from_slice(raw);
        shown.into()
    }

    fn headers(&self, raw: &[u8]) -> Vec<HeaderField> {
        let text = String::from_utf8_lossy(raw);
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        let fields = head.split("\r\n").filter_map(|line| line.split_once(": "));
        fields.map(|(name, value)| HeaderField { name: name.to_owned(), value: value.to_owned() }).collect()
    }

    fn text(&self, raw: &[u8]) -> String {
        let text = String::from_utf8_lossy(raw);
        text.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned())
    }

    fn html(&self, raw: &[u8]) -> String {
        format!("<p>{}</p>", self.text(raw).trim_end())
    }
}

struct Fixed;

impl Clock for Fixed {
    fn now_ms(&self) -> i64 {
        NOW_MS
    }
}

/// A resolver that answers each question with the next of its answers, the last one for ever.
#[derive(Default)]
pub struct Answers {
    pub names: HashMap<String, Vec<Vec<IpAddr>>>,
    pub asked: Mutex<Vec<String>>,
}

impl Answers {
    pub fn to(name: &str, answers: &[&[&str]]) -> Arc<Self> {
        let read = |addresses: &&[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect();
        let names = HashMap::from([(name.to_owned(), answers.iter().map(read).collect())]);
        Arc::new(Self { names, asked: Mutex::default() })
    }

    pub fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[async_trait]
impl Resolve for Answers {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut asked = self.asked.lock().unwrap();
        let before = asked.iter().filter(|one| *one == name).count();
        asked.push(name.to_owned());
        let answers = self.names.get(name).ok_or_else(|| io::Error::other("no such name"))?;
        Ok(answers.get(before).or(answers.last()).cloned().unwrap_or_default())
    }
}

pub fn poster(guard: Guard, resolver: Arc<dyn Resolve>) -> Poster {
    Poster { guard, resolver, trust: None, timeout: Duration::from_secs(10), clock: Arc::new(Fixed) }
}

/// May call loopback, and looks nothing up.
pub fn at_home() -> Poster {
    poster(Guard { allow: Vec::new(), loopback: true }, Arc::new(Answers::default()))
}

pub fn webhook(poster: Poster) -> impl Courier {
    let store = Arc::new(OneMail(Some(Bytes::from_static(RAW.as_bytes()))));
    WebhookCourier::new(Arc::new(poster), store, Arc::new(SimpleReader))
}

pub fn slack(poster: Poster, raw: Option<Bytes>) -> impl Courier {
    let page = |entry: &Entry| Some(format!("https://mail.example/{}", entry.id));
    SlackCourier::new(Arc::new(poster), Arc::new(OneMail(raw)), Arc::new(SimpleReader), Arc::new(page))
}
