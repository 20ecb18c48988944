//! Which of the bytes on the log are still needed: what comes before them may go.

use schemas::record::Offset;
use schemas::{Position, Topic};

use super::tables::{Ledger, Tables};
use super::{EmbeddedStore, Inner, blocking, damaged};
use crate::{Result, views};

/// Rows looked at before others have their turn.
const BATCH_ROWS: usize = 1024;

impl EmbeddedStore {
    /// For each of these places on `mail.raw`, the first one from there on whose bytes a message that stays needs;
    /// where none does, the place up to which the partition is folded. A partition that was never folded is left out.
    /// To be asked after a sweep: what is only marked as deleted counts as needed.
    pub async fn needed_from(&self, places: &[Position]) -> Result<Vec<Position>> {
        let (inner, places) = (std::sync::Arc::clone(&self.inner), places.to_vec());
        blocking(move || {
            let of_mail = places.into_iter().filter(|place| place.topic == Topic::MailRaw);
            let needed: Result<Vec<_>> = of_mail.map(|place| inner.needed(place)).collect();
            Ok(needed?.into_iter().flatten().collect())
        })
        .await
    }
}

/// What a batch of rows has told.
enum Looked {
    /// The first place that is needed, or the end of what is folded.
    Found(Option<Offset>),
    GoOn(Vec<u8>),
}

impl Inner {
    fn needed(&self, place: Position) -> Result<Option<Position>> {
        let mut from = views::on_log_from(place.partition, place.offset);
        loop {
            match self.with_writer(|tables, ledger| look(tables, ledger, place, &from))? {
                Looked::Found(offset) => return Ok(offset.map(|offset| Position { offset, ..place })),
                Looked::GoOn(next) => from = next,
            }
        }
    }
}

fn look(tables: &Tables, ledger: &Ledger, place: Position, from: &[u8]) -> Result<Looked> {
    let folded = ledger.positions.get(&(Topic::MailRaw, place.partition)).copied();
    let keys = tables.keys(from, &views::on_log_from(place.partition, Offset::MAX), BATCH_ROWS)?;
    let view = tables.snapshot();
    for key in &keys {
        let id = views::read_id(key).ok_or_else(|| damaged("a key"))?;
        let Some(row) = tables.row(&view, &id)?.filter(|row| !row.gone) else { continue };
        if let Some(raw) = row.raw_place() {
            return Ok(Looked::Found(folded.map(|end| end.min(raw.offset))));
        }
    }
    match keys.last() {
        Some(last) if keys.len() == BATCH_ROWS => Ok(Looked::GoOn([&last[..], &[0]].concat())),
        _ => Ok(Looked::Found(folded)),
    }
}
