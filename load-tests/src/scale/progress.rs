//! How far Postlog's stages have come, as its metrics say it, and how long a piece of the way took.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use super::ground::{Ground, Used};
use crate::http::Http;
use crate::process;
use crate::server::Server;

/// Every fact of a mail that the store folds.
const STORED: [&str; 4] = ["mail.raw", "mail.parsed", "mail.scored", "mail.routed"];

/// How far mail has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Its facts are committed by the processors.
    Routed,
    /// All of its facts are folded into the store.
    Stored,
}

/// From the first step that was seen to the last.
pub struct Way {
    pub mails: u64,
    pub took: Duration,
    pub ended: Instant,
    /// CPU time of the process, and of those that it stands on.
    pub cpu: Duration,
    pub used: Used,
}

impl Way {
    pub fn rate(&self) -> f64 {
        self.mails as f64 / self.took.as_secs_f64().max(1e-9)
    }
}

#[derive(Clone, Copy)]
struct Step {
    at: Instant,
    mails: u64,
    cpu: Duration,
    used: Used,
}

/// Waits until so many mails have come there in this process: the way from the first step that is seen.
pub async fn follow(server: &Server, ground: &Ground, mark: Mark, wanted: u64, wait: Wait) -> Result<Way> {
    let mut meter = Meter { http: server.http().await?, server, ground, mark };
    let began = Instant::now();
    let mut first = meter.step().await?;
    let mut last = first;
    let mut moves = false;
    while last.mails < wanted {
        ensure!(began.elapsed() < wait.within, "{mark:?}: {} of {wanted} mails after {:?}", last.mails, wait.within);
        sleep(wait.look_every).await;
        last = meter.step().await?;
        if !moves && last.mails > first.mails {
            // What it did before that was to get ready.
            moves = true;
            first = last;
        }
    }
    Ok(Way {
        mails: last.mails.saturating_sub(first.mails),
        took: last.at - first.at,
        ended: last.at,
        cpu: last.cpu.saturating_sub(first.cpu),
        used: last.used.since(first.used),
    })
}

struct Meter<'a> {
    http: Http,
    server: &'a Server,
    ground: &'a Ground,
    mark: Mark,
}

impl Meter<'_> {
    async fn step(&mut self) -> Result<Step> {
        let mails = self.mails().await?;
        let cpu = self.server.pid().and_then(process::cpu).unwrap_or_default();
        Ok(Step { at: Instant::now(), mails, cpu, used: self.ground.used() })
    }

    async fn mails(&mut self) -> Result<u64> {
        let (status, answer) = self.http.get("/metrics").await?;
        ensure!(status.is_success(), "GET /metrics answers {status}");
        let text = std::str::from_utf8(&answer).context("metrics that are no text")?;
        Ok(match self.mark {
            Mark::Routed => total(text, "postlog_log_batch_records_sum", "group=\"processors\""),
            Mark::Stored => {
                let of = |topic| total(text, "postlog_store_facts_applied_total", &format!("topic=\"{topic}\""));
                STORED.into_iter().map(of).min().unwrap_or(0)
            }
        })
    }
}

/// How often it is looked, and for how long.
#[derive(Clone, Copy)]
pub struct Wait {
    pub look_every: Duration,
    pub within: Duration,
}

/// The sum of a metric over all its labels that contain this one.
fn total(text: &str, name: &str, label: &str) -> u64 {
    let of_line = |line: &str| {
        let (labels, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
        let is_it = labels.starts_with('{') && labels.contains(label);
        is_it.then(|| value.parse::<f64>().ok()).flatten()
    };
    text.lines().filter_map(of_line).sum::<f64>() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_the_other_labels() {
        let text = "# TYPE n counter\nn{topic=\"a\",p=\"1\"} 3\nn{topic=\"a\",p=\"2\"} 4\nn{topic=\"b\"} 5\nn_sum{topic=\"a\"} 9\n";
        assert_eq!(total(text, "n", "topic=\"a\""), 7);
        assert_eq!(total(text, "n", "topic=\"c\""), 0);
    }
}
