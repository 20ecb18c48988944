//! Many connections that send mail after mail, bounded in count and time, every 250 counted. The clock runs from when
//! all are connected to the last 250.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::task::JoinSet;

use crate::dialect::DOMAIN;
use crate::mail::Mails;
use crate::process;
use crate::samples::{Samples, Spread};
use crate::server::Server;
use crate::smtp::{Client, Outcome};

/// Refusals whose words are kept.
const WORDS_KEPT: usize = 3;
/// Clients that connect at the same moment.
const CONNECTING_AT_ONCE: usize = 16;

/// What to send.
#[derive(Clone)]
pub struct Order {
    pub mails: Mails,
    pub count: usize,
    pub time: Duration,
    pub connections: usize,
    pub inboxes: usize,
    /// Never pipeline.
    pub fair: bool,
}

/// What came of it.
pub struct Flood {
    pub accepted: usize,
    pub refused: usize,
    /// Connections that broke.
    pub broken: usize,
    /// The first answers that weren't 250, and the first faults of connections.
    pub words: Vec<String>,
    pub pipelined: bool,
    pub elapsed: Duration,
    pub last_250: Instant,
    pub to_250: Spread,
    pub transaction: Spread,
    /// Accepted mails of each inbox.
    pub inboxes: Vec<u64>,
    /// CPU time of the server and of this process.
    pub server_cpu: Option<Duration>,
    pub client_cpu: Duration,
}

#[derive(Default)]
struct Tally {
    accepted: usize,
    refused: usize,
    broken: usize,
    words: Vec<String>,
    to_250: Samples,
    transaction: Samples,
    inboxes: Vec<u64>,
    last_250: Option<Instant>,
}

impl Flood {
    pub fn rate(&self) -> f64 {
        self.accepted as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    pub fn micros_a_mail(&self, cpu: Duration) -> f64 {
        cpu.as_secs_f64() * 1e6 / self.accepted.max(1) as f64
    }
}

/// The inbox that the `index`th mail goes to.
pub fn inbox(index: usize, inboxes: usize) -> String {
    format!("box-{}", index % inboxes.max(1))
}

pub async fn flood(server: &Server, order: &Order) -> Result<Flood> {
    let clients = connect(server, order).await?;
    let pipelined = clients.first().is_some_and(Client::pipelines);
    let next = Arc::new(AtomicUsize::new(0));
    let cpu_before = (server.pid().and_then(process::cpu), process::cpu(std::process::id()));
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for client in clients {
        workers.spawn(work(client, order.clone(), Arc::clone(&next), began + order.time));
    }
    let mut total = Tally { inboxes: vec![0; order.inboxes], ..Tally::default() };
    while let Some(tally) = workers.join_next().await {
        total.take_in(tally?);
    }
    let cpu_after = (server.pid().and_then(process::cpu), process::cpu(std::process::id()));
    let last_250 = total.last_250.unwrap_or_else(Instant::now);
    ensure!(total.accepted > 0, "{} accepted no mail: {:?}", server.kind.name(), total.words);
    Ok(Flood {
        accepted: total.accepted,
        refused: total.refused,
        broken: total.broken,
        words: total.words,
        pipelined,
        elapsed: last_250 - began,
        last_250,
        to_250: total.to_250.spread(),
        transaction: total.transaction.spread(),
        inboxes: total.inboxes,
        server_cpu: cpu_after.0.zip(cpu_before.0).map(|(after, before)| after.saturating_sub(before)),
        client_cpu: cpu_after
            .1
            .zip(cpu_before.1)
            .map_or(Duration::ZERO, |(after, before)| after.saturating_sub(before)),
    })
}

/// All connections, greeted, before the clock starts.
async fn connect(server: &Server, order: &Order) -> Result<Vec<Client>> {
    let mut clients = Vec::with_capacity(order.connections);
    while clients.len() < order.connections {
        let mut greeted = JoinSet::new();
        for _ in 0..CONNECTING_AT_ONCE.min(order.connections - clients.len()) {
            greeted.spawn(Client::connect(server.smtp, order.fair));
        }
        while let Some(client) = greeted.join_next().await {
            clients.push(client??);
        }
    }
    Ok(clients)
}

async fn work(mut client: Client, order: Order, next: Arc<AtomicUsize>, deadline: Instant) -> Tally {
    let mut tally = Tally { inboxes: vec![0; order.inboxes], ..Tally::default() };
    let recipients: Vec<String> =
        (0..order.inboxes).map(|index| format!("{}@{DOMAIN}", inbox(index, order.inboxes))).collect();
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= order.count || Instant::now() >= deadline {
            client.quit().await;
            return tally;
        }
        let place = index % order.inboxes;
        let recipient = recipients.get(place).map_or("", String::as_str);
        match client.send(recipient, &order.mails.get(index)).await {
            Ok(Outcome::Accepted { transaction, to_250 }) => {
                tally.accepted += 1;
                tally.last_250 = Some(Instant::now());
                tally.to_250.add(to_250);
                tally.transaction.add(transaction);
                if let Some(count) = tally.inboxes.get_mut(place) {
                    *count += 1;
                }
            }
            Ok(Outcome::Refused(words)) => {
                tally.refused += 1;
                tally.remember(words);
            }
            Err(error) => {
                tally.broken += 1;
                tally.remember(format!("{error:#}"));
                return tally;
            }
        }
    }
}

impl Tally {
    fn remember(&mut self, words: String) {
        if self.words.len() < WORDS_KEPT {
            self.words.push(words);
        }
    }

    fn take_in(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.broken += other.broken;
        for words in other.words {
            self.remember(words);
        }
        self.to_250.merge(other.to_250);
        self.transaction.merge(other.transaction);
        for (count, more) in self.inboxes.iter_mut().zip(other.inboxes) {
            *count += more;
        }
        self.last_250 = self.last_250.max(other.last_250);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Kind;
    use crate::server::{Recipe, Source};

    fn order(count: usize, time: Duration) -> Order {
        Order { mails: Mails::generated(1024), count, time, connections: 16, inboxes: 10, fair: false }
    }

    #[tokio::test]
    async fn a_flood_sends_its_count_and_counts_every_inbox() {
        let server = Recipe { kind: Kind::Sink, source: Source::Sink }.start().await.unwrap();
        let flood = flood(&server, &order(1_000, Duration::from_secs(30))).await.unwrap();
        assert_eq!((flood.accepted, flood.refused, flood.broken), (1_000, 0, 0));
        assert_eq!(flood.inboxes, vec![100; 10]);
        assert!(flood.pipelined);
    }

    #[tokio::test]
    async fn a_flood_ends_when_its_time_is_over() {
        let server = Recipe { kind: Kind::Sink, source: Source::Sink }.start().await.unwrap();
        let flood = flood(&server, &order(usize::MAX / 2, Duration::from_millis(50))).await.unwrap();
        assert!(flood.accepted > 0 && flood.elapsed < Duration::from_secs(10));
    }
}
