//! The processors by themselves: mail that was taken in while they did not run is worked off by one process, on one,
//! two and four partitions, on both logs. The store does not run.

use anyhow::Result;

use super::ground::Body;
use super::progress::{Mark, follow};
use super::{FROM_AFAR, Scale, micros_each};
use crate::flood::flood;

const PARTITIONS: [u32; 3] = [1, 2, 4];

pub struct PartitionRow {
    pub body: Body,
    pub partitions: u32,
    pub mails: u64,
    pub rate: f64,
    /// CPU time a mail over all its threads.
    pub postlog_us: f64,
    pub kafka_us: f64,
}

impl Scale {
    pub(super) async fn partitions(&mut self) {
        for partitions in PARTITIONS {
            for body in [Body::Embedded, Body::Kafka] {
                let outcome = self.processors_alone(body, partitions).await;
                let cell = format!("processors on {partitions} partitions, {}", body.name());
                if let Some(row) = self.judge(outcome, &cell) {
                    eprintln!("{cell}: {:.0} mails/s, {:.0} µs a mail", row.rate, row.postlog_us);
                    self.results.partitions.push(row);
                }
            }
        }
    }

    async fn processors_alone(&mut self, body: Body, partitions: u32) -> Result<PartitionRow> {
        let recipe = self.ground.place(body, Some(partitions))?.with("ingest", None);
        let mut server = recipe.start().await?;
        let flood = flood(&server, &self.order(self.options.backlog())).await?;
        self.note_faults(body.name(), &flood);
        server.stop().await?;
        server.start_again_with("processors").await?;
        let way = follow(&server, &self.ground, Mark::Routed, flood.accepted as u64, FROM_AFAR).await?;
        Ok(PartitionRow {
            body,
            partitions,
            mails: way.mails,
            rate: way.rate(),
            postlog_us: micros_each(way.cpu, way.mails),
            kafka_us: micros_each(way.used.kafka, way.mails),
        })
    }
}
