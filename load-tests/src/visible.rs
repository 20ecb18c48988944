//! When mail shows in the API: all of a flood after its last 250, and one mail at a time at low load.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::dialect::DOMAIN;
use crate::flood;
use crate::http::Http;
use crate::mail::Mails;
use crate::samples::{Samples, Spread};
use crate::server::Server;
use crate::smtp::{Client, Outcome};

/// Longest wait for one mail.
const ONE_WITHIN: Duration = Duration::from_secs(5);

/// Mails that are sent one by one.
pub struct Probes {
    pub count: usize,
    /// Their pace.
    pub every: Duration,
    /// The API is asked again after this long.
    pub ask_again: Duration,
    pub fair: bool,
}

/// Mails of each inbox, as the API counts them; one number where the server has one mailbox.
pub async fn counts(server: &Server, inboxes: usize) -> Result<Vec<u64>> {
    let mut http = server.http().await?;
    let asked = if server.kind.counts_as_one() { 1 } else { inboxes };
    let mut counts = Vec::with_capacity(asked);
    for index in 0..asked {
        counts.push(count(server, &mut http, index, inboxes).await?);
    }
    Ok(counts)
}

/// What the server must show after `accepted` was added to `before`.
pub fn expected(server: &Server, before: &[u64], accepted: &[u64]) -> Vec<u64> {
    if server.kind.counts_as_one() {
        return vec![before.iter().sum::<u64>() + accepted.iter().sum::<u64>()];
    }
    before.iter().zip(accepted).map(|(before, more)| before + more).collect()
}

/// Waits until every inbox shows what is expected of it: the time since `last_250`.
pub async fn all(
    server: &Server,
    expected: &[u64],
    inboxes: usize,
    last_250: Instant,
    within: Duration,
) -> Result<Duration> {
    let mut http = server.http().await?;
    for (index, &wanted) in expected.iter().enumerate() {
        loop {
            let shown = count(server, &mut http, index, inboxes).await?;
            ensure!(shown <= wanted, "{} shows {shown} mails where {wanted} were accepted", server.kind.name());
            if shown == wanted {
                break;
            }
            ensure!(
                last_250.elapsed() < within,
                "{} shows {shown} of {wanted} mails after {within:?}",
                server.kind.name()
            );
        }
    }
    Ok(last_250.elapsed())
}

async fn count(server: &Server, http: &mut Http, index: usize, inboxes: usize) -> Result<u64> {
    let path = server.kind.count_path(&flood::inbox(index, inboxes));
    let (status, answer) = http.get(&path).await?;
    ensure!(status.is_success(), "GET {path} answers {status}");
    server.kind.count(&answer)
}

/// One mail at a time at a fixed pace, each to an inbox of its own: from its 250 to the answer that shows it.
pub async fn one_by_one(server: &Server, mails: &Mails, probes: &Probes) -> Result<Spread> {
    let mut http = server.http().await?;
    let mut client = Client::connect(server.smtp, probes.fair).await?;
    let mut samples = Samples::default();
    let mut pace = interval(probes.every);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for index in 0..probes.count {
        pace.tick().await;
        let inbox = format!("probe-{index}");
        let outcome = client.send(&format!("{inbox}@{DOMAIN}"), &mails.get(index)).await?;
        let accepted = Instant::now();
        if let Outcome::Refused(words) = outcome {
            eprintln!("a probe was refused: {words}");
            continue;
        }
        let path = server.kind.probe_path(&inbox, &client.last_line())?;
        loop {
            let (status, answer) = http.get(&path).await?;
            if server.kind.probe_shows(status, &answer) {
                break;
            }
            ensure!(accepted.elapsed() < ONE_WITHIN, "GET {path} answers {status} {ONE_WITHIN:?} after the 250");
            if !probes.ask_again.is_zero() {
                sleep(probes.ask_again).await;
            }
        }
        samples.add(accepted.elapsed());
    }
    client.quit().await;
    ensure!(samples.len() > 0, "no probe was accepted");
    Ok(samples.spread())
}

/// Sends `count` mails to `inbox` over one connection: what the reads will read.
pub async fn fill(server: &Server, mails: impl Iterator<Item = bytes::Bytes>, inbox: &str, fair: bool) -> Result<()> {
    let mut client = Client::connect(server.smtp, fair).await?;
    for mail in mails {
        let outcome = client.send(&format!("{inbox}@{DOMAIN}"), &mail).await.context("filling an inbox")?;
        if let Outcome::Refused(words) = outcome {
            anyhow::bail!("{} refuses a mail that the reads need: {words}", server.kind.name());
        }
    }
    client.quit().await;
    Ok(())
}
