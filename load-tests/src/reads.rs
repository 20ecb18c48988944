//! API reads a second: the list of 50, one message, its raw bytes. The same mails on every server, over kept
//! connections, each of which asks again as soon as it has its answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::task::JoinSet;

use crate::http::Http;
use crate::mail::Mails;
use crate::process;
use crate::samples::{Samples, Spread};
use crate::server::Server;
use crate::visible;

pub const CONNECTIONS: usize = 16;
/// Inboxes that are read, each with exactly as many mails as one list shows.
pub const INBOXES: usize = 8;
pub const MAILS_AN_INBOX: usize = 50;
/// Not counted: the first moment of a measurement.
const WARM_UP: Duration = Duration::from_millis(200);
/// Longest wait for the mails that are to be read.
const FILLED_WITHIN: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    List,
    Message,
    Raw,
}

impl What {
    pub const ALL: [Self; 3] = [Self::List, Self::Message, Self::Raw];

    pub fn name(self) -> &'static str {
        match self {
            Self::List => "list of 50",
            Self::Message => "one message",
            Self::Raw => "raw",
        }
    }
}

/// What there is to read on one server.
pub struct Shelf {
    lists: Arc<Vec<String>>,
    messages: Arc<Vec<String>>,
    raws: Arc<Vec<String>>,
}

/// What came of one measurement.
pub struct Reads {
    pub answers: usize,
    pub bytes: u64,
    pub elapsed: Duration,
    pub spread: Spread,
    pub server_cpu: Option<Duration>,
}

impl Shelf {
    /// Stores the mails to be read, and learns their ids.
    pub async fn fill(server: &Server, mails: &Mails, fair: bool) -> Result<Self> {
        Self::send(server, mails, fair).await?;
        Self::learn(server).await
    }

    /// The mails to be read, spread evenly over the set.
    pub async fn send(server: &Server, mails: &Mails, fair: bool) -> Result<()> {
        let step = (mails.len() / (INBOXES * MAILS_AN_INBOX)).max(1);
        for inbox in 0..INBOXES {
            let places = (0..MAILS_AN_INBOX).map(|place| (inbox * MAILS_AN_INBOX + place) * step);
            visible::fill(server, places.map(|place| mails.get(place)), &name(inbox), fair).await?;
        }
        Ok(())
    }

    /// Their ids, once all are there.
    pub async fn learn(server: &Server) -> Result<Self> {
        let mut http = server.http().await?;
        let (mut lists, mut messages, mut raws) = (Vec::new(), Vec::new(), Vec::new());
        for page in 0..INBOXES {
            // Mailpit's pages begin with the newest mail: its first page is the last inbox.
            let inbox = name(INBOXES - 1 - page);
            let list = server.kind.list_path(&inbox, page);
            let began = Instant::now();
            let ids = loop {
                let (status, answer) = http.get(&list).await?;
                ensure!(status.is_success(), "GET {list} answers {status}");
                let ids = server.kind.ids(&answer)?;
                if ids.len() == MAILS_AN_INBOX {
                    break ids;
                }
                ensure!(began.elapsed() < FILLED_WITHIN, "GET {list} shows {} mails", ids.len());
            };
            messages.extend(ids.iter().map(|id| server.kind.message_path(&inbox, id)));
            raws.extend(ids.iter().map(|id| server.kind.raw_path(&inbox, id)));
            lists.push(list);
        }
        Ok(Self { lists: Arc::new(lists), messages: Arc::new(messages), raws: Arc::new(raws) })
    }

    /// Also what `beside` says when the clock starts and when it stops.
    pub async fn read<B>(
        &self,
        server: &Server,
        what: What,
        time: Duration,
        beside: impl Fn() -> B,
    ) -> Result<(Reads, B, B)> {
        let paths = match what {
            What::List => &self.lists,
            What::Message => &self.messages,
            What::Raw => &self.raws,
        };
        let mut readers = JoinSet::new();
        let began = Instant::now() + WARM_UP;
        for reader in 0..CONNECTIONS {
            let http = server.http().await?;
            readers.spawn(read(http, Arc::clone(paths), reader * paths.len() / CONNECTIONS, began, time));
        }
        tokio::time::sleep_until(began.into()).await;
        let (cpu_before, before) = (server.pid().and_then(process::cpu), beside());
        let mut total = Reads { answers: 0, bytes: 0, elapsed: time, spread: Spread::default(), server_cpu: None };
        let mut samples = Samples::default();
        while let Some(outcome) = readers.join_next().await {
            let (more, bytes) = outcome??;
            total.answers += more.len();
            total.bytes += bytes;
            samples.merge(more);
        }
        let (cpu_after, after) = (server.pid().and_then(process::cpu), beside());
        total.server_cpu = cpu_after.zip(cpu_before).map(|(after, before)| after.saturating_sub(before));
        total.spread = samples.spread();
        Ok((total, before, after))
    }
}

fn name(inbox: usize) -> String {
    format!("list-{inbox}")
}

async fn read(
    mut http: Http,
    paths: Arc<Vec<String>>,
    first: usize,
    began: Instant,
    time: Duration,
) -> Result<(Samples, u64)> {
    let (mut samples, mut bytes) = (Samples::default(), 0);
    for path in paths.iter().cycle().skip(first) {
        let asked = Instant::now();
        let (status, answer) = http.get(path).await?;
        let answered = Instant::now();
        ensure!(status.is_success() && !answer.is_empty(), "GET {path} answers {status}, {} bytes", answer.len());
        if answered > began + time {
            break;
        }
        if asked >= began {
            samples.add(answered - asked);
            bytes += answer.len() as u64;
        }
    }
    Ok((samples, bytes))
}
