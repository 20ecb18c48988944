//! How fast pages of a full inbox are read from CQL:
//! `cargo run --release -p mailstore --features cql --example cql_inbox -- HOST:PORT [MESSAGES] [READS]`, with a server
//! as `scripts/cassandra` starts it. Prints one line a measurement.
//!
//! A few messages are folded as a sink folds them. A million would take longer than anyone waits, so the other rows
//! of the inbox are written straight into the partitions that the store would have chosen, each as large as a folded
//! one; the lists are then read through the store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use mailstore::cql::{CqlSettings, CqlStore};
use mailstore::{Fact, ListQuery, Result, Scope, Store, StoreError};
use schemas::event::{Address, Door, Folder, MailParsed, MailRaw, MailRouted, RoutedEntry};
use schemas::{EntryId, Event, MessageId, Position, Topic};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::statement::batch::{Batch, BatchStatement, BatchType};

const INBOX: &str = "full@measured.example";
const PAGE: usize = 50;
/// Folded through the store, to see what that costs.
const FOLDED: u64 = 2_000;
const BATCH_MESSAGES: u64 = 100;
/// Milliseconds between two messages: a million come in a month.
const APART_MS: i64 = 2_600;
const BUCKET_ROWS: u64 = 10_000;
const WIDTH_BITS: [u32; 4] = [31, 26, 21, 16];
const ROWS_TOGETHER: usize = 30;
const FILL_TRIES: u32 = 20;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let node = arguments.next().unwrap_or_else(|| "127.0.0.1:9042".to_owned());
    let messages: u64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let reads: usize = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(300);
    let keyspace = format!("measured_{}", std::process::id());
    let store = CqlStore::open(&CqlSettings::new(vec![node.clone()], &keyspace), "measured").await?;
    fold(&store).await?;
    let session = SessionBuilder::new().known_node(&node).build().await.map_err(unavailable)?;
    fill(&session, &keyspace, messages).await?;
    println!("memory before reading: {}", memory());
    read_pages(&store, messages, reads).await?;
    println!("memory after reading: {}", memory());
    let started = Instant::now();
    let counts = store.counts(INBOX).await?;
    println!("counted for the first time: {counts:?} in {:?}", started.elapsed());
    let started = Instant::now();
    store.counts(INBOX).await?;
    println!("counted again: {:?}", started.elapsed());
    session.query_unpaged(format!("DROP KEYSPACE {keyspace}"), ()).await.map(drop).map_err(unavailable)
}

async fn fold(store: &CqlStore) -> Result<()> {
    let started = Instant::now();
    for first in (0..FOLDED).step_by(usize::try_from(BATCH_MESSAGES).unwrap_or(1)) {
        let offsets = first..first + BATCH_MESSAGES;
        let topics = [Topic::MailRaw, Topic::MailParsed, Topic::MailRouted];
        let facts = topics.iter().flat_map(|topic| offsets.clone().map(|offset| fact(*topic, offset))).collect();
        let ends: Vec<Position> = topics.iter().map(|topic| Position::new(*topic, 0, offsets.end)).collect();
        store.apply(facts, &ends).await?;
    }
    println!("fold of {FOLDED} messages: {:.0} messages/s", FOLDED as f64 / started.elapsed().as_secs_f64());
    Ok(())
}

/// The rows of the inbox behind those that were folded.
async fn fill(session: &Session, keyspace: &str, messages: u64) -> Result<()> {
    let started = Instant::now();
    let list = format!("I{INBOX}");
    let text = format!("SELECT entry FROM {keyspace}.listed_1 WHERE list_name = ? AND level = 0 AND start = ? LIMIT 1");
    let start = time(0) >> WIDTH_BITS[0] << WIDTH_BITS[0];
    let answer = session.query_unpaged(text, (&list, start)).await.map_err(unavailable)?;
    let rows = answer.into_rows_result().map_err(unavailable)?;
    let (entry,) = rows.first_row::<(Vec<u8>,)>().map_err(unavailable)?;
    println!("a row has {} bytes", entry.len());
    let entry = Arc::new(entry);
    let insert = session
        .prepare(format!(
            "INSERT INTO {keyspace}.listed_1 (list_name, level, start, sort, id, idx, entry, unread)
                VALUES (?, ?, ?, ?, ?, 0, ?, true)"
        ))
        .await
        .map_err(unavailable)?;
    let bucket = session
        .prepare(format!("UPDATE {keyspace}.bucket_1 SET marks[1] = 1 WHERE list_name = ? AND level = ? AND start = ?"))
        .await
        .map_err(unavailable)?;
    let mut rows: std::collections::BTreeMap<(i32, i64), Vec<u64>> = std::collections::BTreeMap::new();
    for offset in FOLDED..messages {
        let places = (0_i32..).zip(WIDTH_BITS).map(|(level, bits)| (level, time(offset) >> bits << bits));
        let last = places.clone().last().unwrap_or_default();
        let place = places.clone().find(|place| rows.get(place).is_none_or(|rows| (rows.len() as u64) < BUCKET_ROWS));
        rows.entry(place.unwrap_or(last)).or_default().push(offset);
    }
    println!("{} partitions, the largest has {} rows", rows.len(), rows.values().map(Vec::len).max().unwrap_or(0));
    let mut writes = Vec::new();
    for ((level, start), offsets) in rows {
        session.execute_unpaged(&bucket, (&list, level, start)).await.map_err(unavailable)?;
        writes.extend(offsets.chunks(ROWS_TOGETHER).map(|chunk| (level, start, chunk.to_vec())));
    }
    let (insert, list, entry) = (&insert, &list, &entry);
    stream::iter(writes)
        .map(|(level, start, offsets)| async move {
            let statements = offsets.iter().map(|_| BatchStatement::from(insert.clone())).collect();
            let mut batch = Batch::new_with_statements(BatchType::Unlogged, statements);
            let ids: Vec<(i64, String)> =
                offsets.iter().map(|offset| (time(*offset), id(*offset).to_string())).collect();
            let values: Vec<_> = ids.iter().map(|(time, id)| (list, level, start, *time, id, &**entry)).collect();
            batch.set_is_idempotent(true);
            let mut tries = 0;
            loop {
                match session.batch(&batch, &values).await {
                    Ok(_) => return Ok(()),
                    Err(error) if tries == FILL_TRIES => return Err(unavailable(error)),
                    Err(_) => tries += 1,
                }
            }
        })
        .buffer_unordered(16)
        .try_collect::<()>()
        .await?;
    println!("{} rows written in {:?}", messages - FOLDED, started.elapsed());
    Ok(())
}

/// Page 1 as everybody reads it, and page 1,000 as it is come to: behind the last entry of page 999.
async fn read_pages(store: &CqlStore, messages: u64, reads: usize) -> Result<()> {
    for page in [1, 1_000] {
        let skipped = (page - 1) * PAGE as u64;
        let mut times = Vec::new();
        for read in 0..reads {
            let last = messages.saturating_sub(skipped + read as u64);
            let after = (page > 1).then(|| EntryId { message: id(last), index: 0 });
            let query = ListQuery { scope: Scope::Inbox(INBOX.to_owned()), until_ms: None, after, limit: PAGE };
            let started = Instant::now();
            let entries = store.list(&query).await?;
            times.push(started.elapsed());
            if entries.len() != PAGE {
                return Err(StoreError::Damaged(format!("page {page} has {} entries", entries.len())));
            }
        }
        report(&format!("list of {PAGE}, page {page}"), times);
    }
    Ok(())
}

fn report(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    println!("{name}: p50 {:?}, p99 {:?}, of {} reads", at(50), at(99), times.len());
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or("not known");
    line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
}

fn unavailable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

fn id(offset: u64) -> MessageId {
    let mut random = [0; 10];
    for (byte, source) in random.iter_mut().zip(offset.to_be_bytes()) {
        *byte = source;
    }
    MessageId::from_parts(time(offset), random)
}

fn time(offset: u64) -> i64 {
    1_700_000_000_000 + i64::try_from(offset).unwrap_or(0) * APART_MS
}

fn fact(topic: Topic, offset: u64) -> Fact {
    let raw_offset = i64::try_from(offset).unwrap_or(0);
    let address = |name: &str| Address { address: format!("{name}@sender.example"), name: format!("Name of {name}") };
    let event = match topic {
        Topic::MailParsed => Event::Parsed(MailParsed {
            message_id: id(offset),
            raw_offset,
            headers: Vec::new(),
            from: vec![address("from")],
            to: vec![address("to")],
            cc: Vec::new(),
            bcc: Vec::new(),
            reply_to: Vec::new(),
            subject: format!("Your order {offset} is on its way"),
            date: None,
            text: None,
            text_cut: false,
            html: None,
            html_cut: false,
            links: vec![format!("https://sender.example/track/{offset}")],
            attachments: Vec::new(),
            size_bytes: 1024,
            problems: Vec::new(),
        }),
        Topic::MailRouted => Event::Routed(MailRouted {
            message_id: id(offset),
            raw_offset,
            arrived_at: time(offset),
            entries: vec![RoutedEntry {
                index: 0,
                inbox: INBOX.to_owned(),
                original_inbox: INBOX.to_owned(),
                recipients: vec![INBOX.to_owned()],
                forwards: Vec::new(),
                starts_in_spam: false,
            }],
            folder: Folder::Inbox,
            score: 0.5,
            accounts_offset: 0,
            replay: None,
        }),
        _ => Event::Raw(MailRaw {
            message_id: id(offset),
            arrived_at: time(offset),
            door: Door::Smtp,
            peer: None,
            received_by: "mx.measured.example".to_owned(),
            helo: Some("client.example".to_owned()),
            esmtp: true,
            tls: None,
            login: None,
            mail_from: "bounce@sender.example".to_owned(),
            recipients: vec![INBOX.to_owned()],
            smtputf8: false,
            content: vec![b'x'; 1024],
        }),
    };
    Fact { position: Position::new(topic, 0, offset), event }
}
