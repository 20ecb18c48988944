//! The run: which servers are asked for what, in which order. Servers take turns within each cell, so that what else
//! the machine does meets all of them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::cli::{Options, Part};
use crate::dialect::Kind;
use crate::flood::{Flood, Order, flood};
use crate::mail::{self, Mails};
use crate::process;
use crate::reads::{Shelf, What};
use crate::results::{FloodRow, ReadRow, RestartRow, Results, StoredRow, VisibleRow};
use crate::server::{Recipe, Server};
use crate::visible::{self, Probes};

/// Connections of the main cell.
const MAIN_CONNECTIONS: usize = 16;
/// Longest time of the main cell, and of the filling before the restarts.
const MAIN_WITHIN: Duration = Duration::from_secs(120);
const FILL_WITHIN: Duration = Duration::from_secs(120);
/// Longest wait for a flood to be visible.
const SHOWN_WITHIN: Duration = Duration::from_secs(60);
/// Pace of the mails that are sent one by one.
const PROBE_EVERY: Duration = Duration::from_millis(20);

pub struct Suite {
    pub options: Options,
    pub recipes: Vec<Recipe>,
    pub real: Option<Mails>,
    pub results: Results,
}

impl Suite {
    /// Every part that was asked for. A server that fails in one part is noted, and goes on in the next.
    pub async fn run(&mut self) -> Result<()> {
        if self.options.has(Part::Grid) {
            self.grid().await;
        }
        self.main().await;
        if self.options.has(Part::Restart) {
            for recipe in self.recipes.clone() {
                if recipe.kind.has_api() && !recipe.is_given() {
                    let outcome = self.restart(&recipe).await;
                    self.judge(outcome, recipe.kind, "restart");
                }
            }
        }
        Ok(())
    }

    fn judge<T>(&mut self, outcome: Result<T>, kind: Kind, part: &str) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(error) => {
                self.results.note(format!("{}, {part}: not measured: {error:#}", kind.name()));
                None
            }
        }
    }

    /// Every size at every number of connections: a fresh server for each size.
    async fn grid(&mut self) {
        let mut sets: Vec<Mails> = self.options.sizes.iter().map(|&size| Mails::generated(size)).collect();
        sets.extend(self.real.clone());
        for mails in sets {
            let mut servers = Vec::new();
            for recipe in self.recipes.clone() {
                let started = recipe.start().await;
                servers.extend(self.judge(started, recipe.kind, &mails.name));
            }
            for connections in self.options.connections.clone() {
                let order = self.order(&mails, self.options.count, self.options.cell_time(), connections);
                for server in &servers {
                    let cell = format!("{} at {connections} connections", mails.name);
                    let outcome = flood(server, &order).await;
                    if let Some(flood) = self.judge(outcome, server.kind, &cell) {
                        self.keep(server.kind, &order, false, &flood);
                    }
                }
            }
        }
    }

    fn order(&self, mails: &Mails, count: usize, time: Duration, connections: usize) -> Order {
        Order { mails: mails.clone(), count, time, connections, inboxes: self.options.inboxes, fair: self.options.fair }
    }

    fn keep(&mut self, kind: Kind, order: &Order, main: bool, flood: &Flood) {
        let cell = format!("{} at {} connections", order.mails.name, order.connections);
        self.results.note_faults(kind, &cell, flood);
        let row = FloodRow::new(kind, &order.mails.name, order.connections, main, flood);
        eprintln!(
            "{:9} {cell}{}: {:.0} mails/s, 250 after {:.2}/{:.2} ms",
            kind.name(),
            if flood.pipelined { ", pipelined" } else { "" },
            row.rate,
            row.to_250.p50_ms,
            row.to_250.p99_ms,
        );
        self.results.floods.push(row);
    }

    /// The folder of mail once on an empty server, over and over; what the last round stored is then read.
    async fn main(&mut self) {
        let wanted = [Part::Main, Part::Reads, Part::Visible].map(|part| self.options.has(part));
        if wanted == [false; 3] {
            return;
        }
        let mut servers = Vec::new();
        let rounds = if self.options.has(Part::Main) { self.options.rounds() } else { 1 };
        for round in 0..rounds {
            servers.clear();
            for recipe in self.recipes.clone() {
                let outcome = self.main_cell(&recipe, round).await;
                servers.extend(self.judge(outcome, recipe.kind, "main cell"));
            }
        }
        servers.retain(|server: &Server| server.kind.has_api());
        if self.options.has(Part::Visible) {
            let (mails, _) = mail::once(self.real.as_ref());
            for server in &servers {
                let (count, fair) = (self.options.probes(), self.options.fair);
                let probes = Probes { count, every: PROBE_EVERY, ask_again: Duration::ZERO, fair };
                let outcome = visible::one_by_one(server, &mails, &probes).await;
                if let Some(spread) = self.judge(outcome, server.kind, "250 to visible") {
                    eprintln!("{:9} 250 to visible: {:.2}/{:.2} ms", server.kind.name(), spread.p50_ms, spread.p99_ms);
                    self.results.visible.push(VisibleRow { kind: server.kind, probes: self.options.probes(), spread });
                }
            }
        }
        if self.options.has(Part::Reads) {
            self.reads(&servers).await;
        }
    }

    /// One round on one server. Where the server pipelines, the same again in lock-step on another fresh one.
    async fn main_cell(&mut self, recipe: &Recipe, round: usize) -> Result<Server> {
        let (mails, count) = mail::once(self.real.as_ref());
        let mut order = self.order(&mails, count, MAIN_WITHIN, MAIN_CONNECTIONS);
        let server = recipe.start().await?;
        let idle = server.pid().and_then(process::memory);
        if !server.kind.has_api() {
            let flood = flood(&server, &order).await?;
            self.keep(server.kind, &order, true, &flood);
            return Ok(server);
        }
        let before = visible::counts(&server, order.inboxes).await?;
        let flood_done = flood(&server, &order).await?;
        let expected = visible::expected(&server, &before, &flood_done.inboxes);
        let visible = visible::all(&server, &expected, order.inboxes, flood_done.last_250, SHOWN_WITHIN).await?;
        self.keep(server.kind, &order, true, &flood_done);
        self.results.stored.push(StoredRow {
            kind: server.kind,
            mails: flood_done.accepted,
            mail_bytes: mails.bytes(count),
            idle,
            after: server.pid().and_then(process::memory),
            disk_bytes: server.disk_bytes(),
            visible_ms: visible.as_secs_f64() * 1000.0,
        });
        if flood_done.pipelined && !recipe.is_given() {
            let other = recipe.start().await.with_context(|| format!("round {round} in lock-step"))?;
            order.fair = true;
            let flood = flood(&other, &order).await?;
            self.keep(other.kind, &order, true, &flood);
        }
        Ok(server)
    }

    async fn reads(&mut self, servers: &[Server]) {
        let (mails, _) = mail::once(self.real.as_ref());
        let mut shelves = Vec::new();
        for server in servers {
            let filled = Shelf::fill(server, &mails, self.options.fair).await;
            let shelf = self.judge(filled, server.kind, "reads");
            shelves.extend(shelf.map(|shelf| (server, shelf)));
        }
        for _ in 0..self.options.rounds() {
            for what in What::ALL {
                for (server, shelf) in &shelves {
                    let outcome = shelf.read(server, what, self.options.read_time(), || ()).await;
                    let Some((reads, ..)) = self.judge(outcome, server.kind, what.name()) else { continue };
                    let answers = reads.answers.max(1) as f64;
                    let row = ReadRow {
                        kind: server.kind,
                        what: what.name(),
                        rate: reads.answers as f64 / reads.elapsed.as_secs_f64(),
                        spread: reads.spread,
                        bytes_an_answer: reads.bytes as f64 / answers,
                        server_us_an_answer: reads.server_cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / answers),
                    };
                    eprintln!("{:9} {}: {:.0} reads/s", row.kind.name(), row.what, row.rate);
                    self.results.reads.push(row);
                }
            }
        }
    }

    /// Many mails, then a start after a clean stop and one after kill -9. What was shown before must be shown after.
    async fn restart(&mut self, recipe: &Recipe) -> Result<()> {
        let (mails, _) = mail::once(self.real.as_ref());
        let order = self.order(&mails, self.options.stored(), FILL_WITHIN, MAIN_CONNECTIONS);
        let mut server = recipe.start().await?;
        let began = Instant::now();
        let filled = flood(&server, &order).await?;
        let filled_in_s = began.elapsed().as_secs_f64();
        let none = vec![0; order.inboxes];
        let expected = visible::expected(&server, &none, &filled.inboxes);
        let visible = visible::all(&server, &expected, order.inboxes, filled.last_250, SHOWN_WITHIN).await?;
        let after = server.pid().and_then(process::memory);
        let stop = server.stop().await?;
        let clean = server.start_again().await?;
        visible::all(&server, &expected, order.inboxes, Instant::now(), SHOWN_WITHIN)
            .await
            .context("after the clean stop")?;
        server.kill().await?;
        let kill = server.start_again().await?;
        visible::all(&server, &expected, order.inboxes, Instant::now(), SHOWN_WITHIN)
            .await
            .context("after the kill")?;
        let shown = visible::counts(&server, order.inboxes).await?.iter().sum();
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let row = RestartRow {
            kind: server.kind,
            mails: filled.accepted,
            filled_in_s,
            visible_ms: ms(visible),
            after,
            stop_ms: ms(stop),
            clean_ms: ms(clean),
            kill_ms: ms(kill),
            shown,
        };
        eprintln!(
            "{:9} {} mails: ready {:.0} ms after a clean stop, {:.0} ms after a kill",
            row.kind.name(),
            row.mails,
            row.clean_ms,
            row.kill_ms
        );
        self.results.restarts.push(row);
        Ok(())
    }
}
