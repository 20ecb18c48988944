//! Folding a batch of facts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use schemas::{Event, Position};

use super::Inner;
use super::edit::Edit;
use super::tables::{Ledger, Tables};
use crate::{Fact, RawBytes, Result, row, telemetry};

impl Inner {
    pub fn apply(&self, facts: Vec<Fact>, positions: &[Position]) -> Result<()> {
        self.with_writer(|tables, ledger| tables.apply(ledger, facts, positions))
    }

    /// Does the work as the one writer of the tables that are read now, also when they are switched meanwhile.
    pub fn with_writer<T>(&self, work: impl FnOnce(&Tables, &mut Ledger) -> Result<T>) -> Result<T> {
        loop {
            let tables: Arc<Tables> = self.current.load_full();
            let mut ledger = tables.writer();
            if !ledger.retired {
                return work(&tables, &mut ledger);
            }
        }
    }
}

impl Tables {
    /// Rows, views, counts and positions in one batch. What lies behind the positions is ignored.
    pub fn apply(&self, ledger: &mut Ledger, facts: Vec<Fact>, positions: &[Position]) -> Result<()> {
        let started = Instant::now();
        let mut edit = Edit::new(self);
        let mut applied = BTreeMap::new();
        for fact in facts {
            if ledger.is_behind(fact.position) {
                continue;
            }
            *applied.entry(fact.position.topic).or_default() += 1;
            if let (RawBytes::CopiedIn, Event::Raw(raw)) = (&self.shared.raw, &fact.event) {
                edit.copy_in(raw)?;
            }
            if let Some((id, column)) = row::column_of(fact) {
                edit.row(&id)?.merge(column);
            }
        }
        edit.commit(ledger, positions)?;
        telemetry::applied(&applied, started.elapsed());
        Ok(())
    }
}
