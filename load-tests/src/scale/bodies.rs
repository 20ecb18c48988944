//! The whole of Postlog in one process, on each log and store in turn: a flood from SMTP to routed and to visible, and
//! mail after mail at low load.

use std::time::Duration;

use anyhow::Result;

use super::ground::{Body, Used};
use super::progress::{Mark, follow};
use super::{CLOSELY, FOLLOWS_WITHIN, FROM_AFAR, Scale, WARM_UP_MAILS, micros_each};
use crate::flood::flood;
use crate::mail;
use crate::process;
use crate::samples::Spread;
use crate::server::Server;
use crate::visible::{self, Probes};

/// Pace of the mails that are sent one by one: what a small installation has, where nobody waits for anybody else.
pub const PROBE_EVERY: Duration = Duration::from_millis(75);
/// The API is asked in turns that leave a machine of two cores to those that have to answer.
const ASK_AGAIN: Duration = Duration::from_millis(1);

pub struct BodyRow {
    pub body: Body,
    pub mails: usize,
    pub accepted_rate: f64,
    pub routed_rate: f64,
    pub visible_rate: f64,
    pub to_250: Spread,
    /// CPU time a mail, from SMTP to visible.
    pub postlog_us: f64,
    pub kafka_us: f64,
    pub cassandra_us: f64,
    pub resident_mib: Option<f64>,
    /// Of one mail at low load; in the last round only.
    pub lone: Option<Spread>,
}

impl Scale {
    /// They take turns within every round, so that what else the machine does meets all of them.
    pub(super) async fn bodies(&mut self) {
        let rounds = self.options.rounds();
        for round in 0..rounds {
            for body in Body::ALL {
                let outcome = self.body(body, round + 1 == rounds).await;
                if let Some(row) = self.judge(outcome, body.name()) {
                    eprintln!(
                        "{}: {:.0} accepted/s, {:.0} routed/s, {:.0} visible/s, {:.0} µs a mail",
                        body.name(),
                        row.accepted_rate,
                        row.routed_rate,
                        row.visible_rate,
                        row.postlog_us
                    );
                    self.results.bodies.push(row);
                }
            }
        }
    }

    async fn body(&mut self, body: Body, is_last: bool) -> Result<BodyRow> {
        let server = self.ground.place(body, None)?.start().await?;
        let warm = flood(&server, &self.order(WARM_UP_MAILS)).await?;
        let before = warm.accepted as u64;
        follow(&server, &self.ground, Mark::Stored, before, FROM_AFAR).await?;
        visible::all(&server, &warm.inboxes, self.options.inboxes, warm.last_250, FOLLOWS_WITHIN).await?;

        let count = mail::once(self.real.as_ref()).1;
        let cpu_before = (cpu(&server), self.ground.used());
        let flood = flood(&server, &self.order(count)).await?;
        let began = flood.last_250 - flood.elapsed;
        let wanted = before + flood.accepted as u64;
        let routed = follow(&server, &self.ground, Mark::Routed, wanted, CLOSELY).await?;
        follow(&server, &self.ground, Mark::Stored, wanted, FROM_AFAR).await?;
        let expected = visible::expected(&server, &warm.inboxes, &flood.inboxes);
        let shown = visible::all(&server, &expected, self.options.inboxes, flood.last_250, FOLLOWS_WITHIN).await?;
        let used = self.ground.used().since(cpu_before.1);
        let postlog = cpu(&server).saturating_sub(cpu_before.0);
        self.note_faults(body.name(), &flood);

        let lone = if is_last { Some(self.lone(&server).await?) } else { None };
        let rate = |time: Duration| flood.accepted as f64 / time.as_secs_f64().max(1e-9);
        let Used { kafka, cassandra } = used;
        let each = |cpu| micros_each(cpu, flood.accepted as u64);
        Ok(BodyRow {
            body,
            mails: flood.accepted,
            accepted_rate: flood.rate(),
            routed_rate: rate(routed.ended - began),
            visible_rate: rate(flood.elapsed + shown),
            to_250: flood.to_250,
            postlog_us: each(postlog),
            kafka_us: each(kafka),
            cassandra_us: each(cassandra),
            resident_mib: server.pid().and_then(process::memory).map(|memory| memory.resident_mib),
            lone,
        })
    }

    async fn lone(&self, server: &Server) -> Result<Spread> {
        let (mails, _) = mail::once(self.real.as_ref());
        let count = self.options.probes();
        let probes = Probes { count, every: PROBE_EVERY, ask_again: ASK_AGAIN, fair: self.options.fair };
        let spread = visible::one_by_one(server, &mails, &probes).await?;
        eprintln!("  one mail at low load: visible after {:.1}/{:.1} ms", spread.p50_ms, spread.p99_ms);
        Ok(spread)
    }
}

fn cpu(server: &Server) -> Duration {
    server.pid().and_then(process::cpu).unwrap_or_default()
}
