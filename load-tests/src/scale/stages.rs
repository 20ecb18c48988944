//! What one core carries of each stage on Kafka and Cassandra. A stage runs alone, on a core of its own, and works off
//! what the stages before it have left; everybody else has the other cores.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::ground::{Body, Used};
use super::progress::{Mark, Wait, follow};
use super::{FOLLOWS_WITHIN, FROM_AFAR, Scale, WARM_UP_MAILS, micros_each};
use crate::flood::flood;
use crate::process;
use crate::reads::{CONNECTIONS, INBOXES, MAILS_AN_INBOX, Shelf, What};
use crate::server::{Recipe, Server};
use crate::visible;

/// A store on Cassandra takes its time, so it is not given the whole of a backlog.
const SHARE_OF_BACKLOG: usize = 3;
const SLOWLY: Wait = Wait { look_every: Duration::from_millis(50), within: FOLLOWS_WITHIN };

pub struct StageRow {
    pub stage: String,
    /// What is counted: mails or answers.
    pub unit: &'static str,
    pub count: u64,
    /// A second on the clock.
    pub rate: f64,
    /// Of its core, from 0 to 1.
    pub share: f64,
    /// CPU time each.
    pub postlog_us: f64,
    pub kafka_us: f64,
    pub cassandra_us: f64,
}

/// What was done in a stretch of time, and the CPU time that it took.
struct Stretch {
    unit: &'static str,
    count: u64,
    took: Duration,
    cpu: Duration,
    used: Used,
}

impl Scale {
    pub(super) async fn stages(&mut self) -> Result<()> {
        let cores = process::cores();
        ensure!(cores >= 2, "a stage has a core of its own, and this machine has one");
        let mine = cores - 1;
        let others = format!("0-{}", mine - 1);
        for server in [&self.ground.kafka, &self.ground.cassandra] {
            server.as_ref().context("Kafka and Cassandra were not started")?.pin(&others)?;
        }
        process::pin(std::process::id(), &others)?;
        let place = self.ground.place(Body::KafkaAndCassandra, None)?;
        let stage = |name| place.clone().with(name, Some(mine));

        let (mails, inboxes) = self.ingest_alone(&stage("ingest")).await?;
        self.follow_alone("processors", &stage("processors"), Mark::Routed, (mails, FROM_AFAR)).await?;
        self.follow_alone("sinks", &stage("sinks"), Mark::Stored, (mails, SLOWLY)).await?;
        self.api_alone(&stage("api"), &inboxes).await
    }

    /// Fills `mail.raw`: how many mails, and how many of the flood in each inbox.
    async fn ingest_alone(&mut self, recipe: &Recipe) -> Result<(u64, Vec<u64>)> {
        let mut server = recipe.start().await?;
        let order = self.order(self.options.backlog() / SHARE_OF_BACKLOG);
        Shelf::send(&server, &order.mails, self.options.fair).await?;
        let warm = flood(&server, &self.order(WARM_UP_MAILS)).await?;
        let used = self.ground.used();
        let flood = flood(&server, &order).await?;
        let used = self.ground.used().since(used);
        self.note_faults("ingest", &flood);
        let (count, cpu) = (flood.accepted as u64, flood.server_cpu.unwrap_or_default());
        self.keep("ingest", Stretch { unit: "mails", count, took: flood.elapsed, cpu, used });
        let inboxes = visible::expected(&server, &warm.inboxes, &flood.inboxes);
        server.stop().await?;
        let shelf = INBOXES * MAILS_AN_INBOX;
        Ok(((warm.accepted + flood.accepted + shelf) as u64, inboxes))
    }

    /// Works off what stands on the log.
    async fn follow_alone(
        &mut self,
        name: &str,
        recipe: &Recipe,
        mark: Mark,
        (mails, wait): (u64, Wait),
    ) -> Result<()> {
        let mut server = recipe.start().await.with_context(|| name.to_owned())?;
        let way = follow(&server, &self.ground, mark, mails, wait).await?;
        self.keep(name, Stretch { unit: "mails", count: way.mails, took: way.took, cpu: way.cpu, used: way.used });
        // It finishes what it has in hand, and the next one finds it whole.
        server.stop().await.map(drop)
    }

    /// Reads, once every mail is shown that was taken in.
    async fn api_alone(&mut self, recipe: &Recipe, inboxes: &[u64]) -> Result<()> {
        let server: Server = recipe.start().await.context("api")?;
        visible::all(&server, inboxes, self.options.inboxes, Instant::now(), FOLLOWS_WITHIN).await?;
        let shelf = Shelf::learn(&server).await?;
        for what in What::ALL {
            let read = shelf.read(&server, what, self.options.read_time(), || self.ground.used()).await?;
            let (reads, before, after) = read;
            let used = after.since(before);
            let (count, cpu) = (reads.answers as u64, reads.server_cpu.unwrap_or_default());
            let name = format!("api: {}, {CONNECTIONS} connections", what.name());
            self.keep(&name, Stretch { unit: "answers", count, took: reads.elapsed, cpu, used });
        }
        Ok(())
    }

    fn keep(&mut self, stage: &str, stretch: Stretch) {
        let Stretch { unit, count, took, cpu, used } = stretch;
        let seconds = took.as_secs_f64().max(1e-9);
        let row = StageRow {
            stage: stage.to_owned(),
            unit,
            count,
            rate: count as f64 / seconds,
            share: cpu.as_secs_f64() / seconds,
            postlog_us: micros_each(cpu, count),
            kafka_us: micros_each(used.kafka, count),
            cassandra_us: micros_each(used.cassandra, count),
        };
        eprintln!(
            "{stage}: {:.0} {unit}/s, {:.0} % of its core, {:.0} µs each (Kafka {:.0}, Cassandra {:.0})",
            row.rate,
            row.share * 100.0,
            row.postlog_us,
            row.kafka_us,
            row.cassandra_us
        );
        self.results.stages.push(row);
    }
}
