//! A message in its table: facts as writes of single cells, each at its own time, and the cells read back as a row.
//! A cell holds a row with one column, as a fact makes it, so that reading is merging.

use std::collections::{BTreeMap, HashMap};

use schemas::MessageId;
use scylla::value::CqlValue;

use super::client::{Write, bigint, blob, text};
use super::listing::{FINAL, FIRST, REMOVAL, Recorded, version, written_at};
use super::statements::{Prepared, Statements};
use crate::row::{Flags, Row};
use crate::{Result, StoreError, encoding};

/// What stands in the table, in the order of `MESSAGE_COLUMNS`.
pub type Cells = (
    String,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Option<HashMap<i64, Vec<u8>>>,
    Option<Vec<u8>>,
    Option<HashMap<String, Vec<u8>>>,
    Option<Vec<i32>>,
    Option<bool>,
    Option<bool>,
    Option<Vec<Vec<u8>>>,
);

/// A message as it stands in the table.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    pub row: Row,
    /// Every listing that anyone may have written a row of, sorted.
    pub recorded: Vec<Recorded>,
    /// See [`version`].
    pub version: i64,
}

impl Stored {
    pub fn read(cells: Cells) -> Result<(MessageId, Self)> {
        let (id, raw, parsed, scores, routed, flags, swept, gone, copied, listings) = cells;
        let id = id.parse().map_err(|_| StoreError::Damaged(format!("{id:?} is no message's id")))?;
        let mut row = Row::default();
        let mut scores_at = 0_i64;
        for cell in [raw, parsed, routed].into_iter().flatten() {
            row.merge(encoding::decode(&cell)?);
        }
        for cell in scores.into_iter().flat_map(HashMap::into_values) {
            let column = encoding::decode(&cell)?;
            scores_at = scores_at.saturating_add(column.score.map_or(0, |score| written_at(score.offset)));
            row.merge(column);
        }
        for cell in flags.into_iter().flat_map(HashMap::into_values) {
            row.merge(encoding::decode(&cell)?);
        }
        let swept = swept.into_iter().flatten().map(|index| index.cast_unsigned()).collect();
        let (gone, copied) = (gone.unwrap_or(false), copied.unwrap_or(false));
        row.merge(Row { swept, gone, copied, ..Row::default() });
        let recorded: Result<Vec<Recorded>> =
            listings.into_iter().flatten().map(|bytes| Recorded::decode(&bytes)).collect();
        let mut recorded = recorded?;
        recorded.sort_unstable();
        let version = version(&row, scores_at);
        Ok((id, Self { row, recorded, version }))
    }

    pub fn is_unknown(&self) -> bool {
        self.row == Row::default()
    }
}

/// The cells of a row, whole or one fact's.
pub fn writes(statements: &Statements, id: &MessageId, row: &Row) -> Result<Vec<Write>> {
    let mut cells = Writes { id, writes: Vec::new() };
    let base = Row { partition: row.partition, raw_offset: row.raw_offset, ..Row::default() };
    if let Some(raw) = &row.raw {
        let column = Row { raw: Some(raw.clone()), ..base.clone() };
        // What is left of a message that is gone replaces what it was.
        let at = if row.gone { FINAL } else { written_at(raw.offset) };
        cells.add(&statements.write_raw, at, [blob(encoding::encode(&column)?)]);
    }
    if let Some(parsed) = &row.parsed {
        let column = Row { parsed: Some(parsed.clone()), ..base.clone() };
        cells.add(&statements.write_parsed, written_at(parsed.offset), [blob(encoding::encode(&column)?)]);
    }
    if let Some(routed) = &row.routed {
        let column = Row { routed: Some(routed.clone()), ..base.clone() };
        cells.add(&statements.write_routed, written_at(routed.offset), [blob(encoding::encode(&column)?)]);
    }
    if let Some(score) = &row.score {
        let column = Row { score: Some(*score), ..base.clone() };
        let value = blob(encoding::encode(&column)?);
        cells.add(&statements.write_score, written_at(score.offset), [bigint(score.model_sequence), value]);
    }
    for (index, flags) in &row.flags {
        for (name, offset, flag) in each_flag(flags) {
            let column = Row { flags: BTreeMap::from([(*index, flag)]), ..base.clone() };
            let value = blob(encoding::encode(&column)?);
            cells.add(&statements.write_flag, written_at(offset), [text(format!("{index}/{name}")), value]);
        }
    }
    if !row.swept.is_empty() {
        let swept = row.swept.iter().map(|index| CqlValue::Int(index.cast_signed())).collect();
        cells.add(&statements.add_swept, FIRST, [CqlValue::Set(swept)]);
    }
    if row.gone {
        cells.add(&statements.write_gone, FIRST, [CqlValue::Boolean(true)]);
    }
    if row.copied {
        cells.add(&statements.write_copied, FIRST, [CqlValue::Boolean(true)]);
    }
    Ok(cells.writes)
}

pub fn record(statements: &Statements, id: &MessageId, recorded: &[Recorded]) -> Vec<Write> {
    let mut cells = Writes { id, writes: Vec::new() };
    if !recorded.is_empty() {
        let set = recorded.iter().map(|recorded| blob(recorded.encode())).collect();
        cells.add(&statements.add_listings, FIRST, [CqlValue::Set(set)]);
    }
    cells.writes
}

/// Takes from a message that is gone all but the place of its bytes.
pub fn strip(statements: &Statements, id: &MessageId, row: &Row) -> Result<Vec<Write>> {
    let mut cells = Writes { id, writes: Vec::new() };
    cells.add(&statements.strip_message, FINAL, []);
    let place = Row { partition: row.partition, raw: row.raw.clone(), gone: true, ..Row::default() };
    let mut writes = writes(statements, id, &place)?;
    writes.extend(cells.writes);
    Ok(writes)
}

/// Removes everything that is known of a message, final or not.
pub fn remove(statements: &Statements, id: &MessageId) -> Write {
    Write { statement: statements.delete_message.clone(), values: vec![bigint(REMOVAL), text(id.as_str())] }
}

struct Writes<'a> {
    id: &'a MessageId,
    writes: Vec<Write>,
}

impl Writes<'_> {
    fn add<const N: usize>(&mut self, statement: &Prepared, at: i64, values: [CqlValue; N]) {
        let mut all = vec![bigint(at)];
        all.extend(values);
        all.push(text(self.id.as_str()));
        self.writes.push(Write { statement: statement.clone(), values: all });
    }
}

/// Each flag by itself, under its name and with the offset of its fact.
fn each_flag(flags: &Flags) -> Vec<(String, u64, Flags)> {
    let mut all = Vec::new();
    if let Some(read) = &flags.read {
        all.push(("read".to_owned(), read.offset, Flags { read: Some(read.clone()), ..Flags::default() }));
    }
    if let Some(saved) = &flags.saved_by {
        all.push(("starred".to_owned(), saved.offset, Flags { saved_by: Some(saved.clone()), ..Flags::default() }));
    }
    if let Some(folder) = &flags.folder {
        all.push(("folder".to_owned(), folder.offset, Flags { folder: Some(folder.clone()), ..Flags::default() }));
    }
    if let Some(deleted) = &flags.deleted {
        all.push(("deleted".to_owned(), deleted.offset, Flags { deleted: Some(deleted.clone()), ..Flags::default() }));
    }
    for (label, stamped) in &flags.labels {
        let labels = BTreeMap::from([(label.clone(), stamped.clone())]);
        all.push((format!("label/{label}"), stamped.offset, Flags { labels, ..Flags::default() }));
    }
    all
}
