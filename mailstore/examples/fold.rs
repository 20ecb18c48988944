//! How fast facts are folded and lists are read: `cargo run --release -p mailstore --example fold -- [MESSAGES]`.
//! Prints one line a measurement. Rows are as large as those of real mail (about 1.5 KiB).

use std::sync::Arc;
use std::time::{Duration, Instant};

use mailstore::embedded::EmbeddedStore;
use mailstore::message::Message;
use mailstore::{Fact, ListQuery, RawBytes, RawSource, Result, Retention, Scope, Store, Upkeep};
use schemas::event::{
    ActionChange, Address, Attachment, Door, Folder, MailAction, MailParsed, MailRaw, MailRouted, MailScored,
    RoutedEntry,
};
use schemas::{EntryId, Event, MessageId, Position, Topic};

const BATCH_MESSAGES: usize = 256;
const INBOXES: usize = 100;
const TOPICS: [Topic; 4] = [Topic::MailRaw, Topic::MailParsed, Topic::MailScored, Topic::MailRouted];

/// Mail of 4 KiB, made when it is read.
struct Made;

impl RawSource for Made {
    fn read(&self, place: Position) -> Result<Option<MailRaw>> {
        Ok(Some(raw(place.offset)))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let messages: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(60_000);
    let folder = std::env::temp_dir().join(format!("postlog-fold-{}", std::process::id()));
    for together in [true, false] {
        let store = open(&folder)?;
        fold(&store, messages, together).await?;
        read(&store, messages).await?;
        if !together {
            act_and_sweep(&store, messages).await?;
            drop(store);
            let started = Instant::now();
            let store = open(&folder)?;
            println!("opened again: {:?}", started.elapsed());
            let started = Instant::now();
            store.settle(Duration::from_secs(10)).await?;
            println!("settled: {:?}", started.elapsed());
            drop(store);
            let started = Instant::now();
            let store = open(&folder)?;
            println!("opened again: {:?}", started.elapsed());
            read(&store, messages).await?;
        }
        let _ = std::fs::remove_dir_all(&folder);
    }
    Ok(())
}

/// A list as its bytes go out: made anew, and with what the store has kept of it.
async fn read_written_out(store: &EmbeddedStore) -> Result<()> {
    let query = |number| ListQuery { scope: Scope::Inbox(inbox(number)), until_ms: None, after: None, limit: 50 };
    let (mut anew, mut first, mut again) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..repeats() {
        let started = Instant::now();
        let entries = store.list(&query(number % 8)).await?;
        let messages: Vec<Message<'_>> = entries.iter().map(Message::from).collect();
        std::hint::black_box(serde_json::to_vec(&messages).unwrap_or_default());
        drop(messages);
        drop(entries);
        anew.push(started.elapsed());
        let times = if number < 8 { &mut first } else { &mut again };
        let started = Instant::now();
        std::hint::black_box(store.listed(&query(number % 8)).await?);
        times.push(started.elapsed());
    }
    report("list of 50 as JSON", anew);
    report("list of 50 written out, first", first);
    report("list of 50 written out, again", again);
    Ok(())
}

fn open(folder: &std::path::Path) -> Result<Arc<EmbeddedStore>> {
    let db = fjall::Database::builder(folder).cache_size(32 * 1024 * 1024).open();
    let db = db.map_err(|error| mailstore::StoreError::Unavailable(error.to_string()))?;
    EmbeddedStore::open(db, "measured", RawBytes::OnLog(Arc::new(Made)))
}

async fn fold(store: &EmbeddedStore, messages: usize, together: bool) -> Result<()> {
    let mut busy = Duration::ZERO;
    let mut slowest = Duration::ZERO;
    for first in (0..messages).step_by(BATCH_MESSAGES) {
        let offsets = first as u64..messages.min(first + BATCH_MESSAGES) as u64;
        let end = |topic| Position::new(topic, 0, offsets.end);
        let mut batches: Vec<(Vec<Fact>, Vec<Position>)> = Vec::new();
        for topic in TOPICS {
            let facts: Vec<Fact> = offsets.clone().map(|offset| fact(topic, offset)).collect();
            match batches.first_mut() {
                Some((all, ends)) if together => {
                    all.extend(facts);
                    ends.push(end(topic));
                }
                _ => batches.push((facts, vec![end(topic)])),
            }
        }
        for (facts, ends) in batches {
            let started = Instant::now();
            store.apply(facts, &ends).await?;
            busy += started.elapsed();
            slowest = slowest.max(started.elapsed());
        }
    }
    let rate = messages as f64 / busy.as_secs_f64();
    println!("fold, topics together {together}: {rate:.0} messages/s, slowest batch {slowest:?}, memory {}", memory());
    Ok(())
}

async fn read(store: &EmbeddedStore, messages: usize) -> Result<()> {
    for (name, count) in [("list of 50", 50), ("list of 20", 20)] {
        let query =
            |number| ListQuery { scope: Scope::Inbox(inbox(number)), until_ms: None, after: None, limit: count };
        let mut times = Vec::new();
        for number in 0..repeats() {
            let started = Instant::now();
            store.list(&query(number)).await?;
            times.push(started.elapsed());
        }
        report(name, times);
    }
    read_written_out(store).await?;
    let (mut entries, mut raws) = (Vec::new(), Vec::new());
    for number in 0..2000_u64 {
        let message = id(number * 7919 % messages as u64);
        let started = Instant::now();
        store.entry(&EntryId { message: message.clone(), index: 0 }).await?;
        entries.push(started.elapsed());
        let started = Instant::now();
        store.raw(&message).await?;
        raws.push(started.elapsed());
    }
    report("entry", entries);
    report("raw", raws);
    Ok(())
}

async fn act_and_sweep(store: &EmbeddedStore, messages: usize) -> Result<()> {
    let started = Instant::now();
    for offset in 0..(messages / 10) as u64 {
        let change = ActionChange::Deleted { deleted: true };
        let action = MailAction { message_id: id(offset * 10), index: 0, at: 0, by: "measured".to_owned(), change };
        let position = Position::new(Topic::MailActions, 0, offset);
        store.apply(vec![Fact { position, event: Event::Action(action) }], &[position.next()]).await?;
    }
    println!("single actions: {:?} each", started.elapsed() / u32::try_from(messages / 10).unwrap_or(1));
    let started = Instant::now();
    let raw_before = vec![Position::new(Topic::MailRaw, 0, messages as u64 / 2)];
    let swept = store.sweep(&Retention { raw_before, ..Retention::default() }).await?;
    println!("sweep: {swept:?} in {:?}, memory {}", started.elapsed(), memory());
    let started = Instant::now();
    let mut lines = 0_u64;
    store
        .dump(&mut |_| {
            lines += 1;
            Ok(())
        })
        .await?;
    println!("dump: {lines} lines in {:?}, memory {}", started.elapsed(), memory());
    Ok(())
}

fn report(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    println!("{name}: p50 {:?}, p99 {:?}", at(50), at(99));
}

/// How many lists are read of each kind.
fn repeats() -> usize {
    std::env::args().nth(2).and_then(|text| text.parse().ok()).unwrap_or(2000)
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or("not known");
    line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
}

fn id(offset: u64) -> MessageId {
    let mut random = [0; 10];
    for (byte, source) in random.iter_mut().zip(offset.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()) {
        *byte = source;
    }
    MessageId::from_parts(time(offset), random)
}

fn time(offset: u64) -> i64 {
    1_700_000_000_000 + i64::try_from(offset).unwrap_or(0) * 3
}

fn inbox(number: usize) -> String {
    format!("inbox-{}@measured.example", number * 31 % INBOXES)
}

fn raw(offset: u64) -> MailRaw {
    MailRaw {
        message_id: id(offset),
        arrived_at: time(offset),
        door: Door::Smtp,
        peer: None,
        received_by: "mx.measured.example".to_owned(),
        helo: Some("client.example".to_owned()),
        esmtp: true,
        tls: None,
        login: None,
        mail_from: "bounce+0123456789@sender.example".to_owned(),
        recipients: vec![inbox(usize::try_from(offset).unwrap_or(0))],
        smtputf8: false,
        content: vec![b'x'; 4096],
    }
}

fn fact(topic: Topic, offset: u64) -> Fact {
    let raw_offset = i64::try_from(offset).unwrap_or(0);
    let event = match topic {
        Topic::MailParsed => Event::Parsed(parsed(offset, raw_offset)),
        Topic::MailScored => Event::Scored(MailScored {
            message_id: id(offset),
            raw_offset,
            score: 0.5,
            log_odds: 0.0,
            model: "none".to_owned(),
            model_version: "0".to_owned(),
            model_sequence: 0,
            tokens: Vec::new(),
            replay: None,
        }),
        Topic::MailRouted => {
            let inbox = inbox(usize::try_from(offset).unwrap_or(0));
            let (original_inbox, recipients) = (inbox.clone(), vec![inbox.clone()]);
            let entry = RoutedEntry {
                index: 0,
                inbox,
                original_inbox,
                recipients,
                forwards: Vec::new(),
                starts_in_spam: false,
            };
            Event::Routed(MailRouted {
                message_id: id(offset),
                raw_offset,
                arrived_at: time(offset),
                entries: vec![entry],
                folder: Folder::Inbox,
                score: 0.5,
                accounts_offset: 0,
                replay: None,
            })
        }
        _ => Event::Raw(raw(offset)),
    };
    Fact { position: Position::new(topic, 0, offset), event }
}

fn parsed(offset: u64, raw_offset: i64) -> MailParsed {
    let address = |name: &str| Address { address: format!("{name}@sender.example"), name: format!("Name of {name}") };
    let attachment = Attachment {
        checksum: "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
        content_type: "application/pdf".to_owned(),
        content_disposition: "attachment".to_owned(),
        content_id: String::new(),
        file_name: "invoice.pdf".to_owned(),
        transfer_encoding: "base64".to_owned(),
        length_bytes: 12_345,
    };
    MailParsed {
        message_id: id(offset),
        raw_offset,
        headers: Vec::new(),
        from: vec![address("from")],
        to: vec![address("to"), address("two")],
        cc: Vec::new(),
        bcc: Vec::new(),
        reply_to: Vec::new(),
        subject: format!("Your order {offset} is on its way"),
        date: None,
        text: None,
        text_cut: false,
        html: None,
        html_cut: false,
        links: (0..8).map(|link| format!("https://click.sender.example/track/{offset:032}/{link}?to=you")).collect(),
        attachments: vec![attachment],
        size_bytes: 4096,
        problems: Vec::new(),
    }
}
