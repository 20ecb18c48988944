//! What all processes know of the store: the log it was filled from, which generation of tables is in use, which one
//! is being built and by whom. One row; each column's write time grows with what it says, so no clock decides.

use super::client::{Write, bigint, text};
use super::statements::Prepared;
use super::tables::Shared;
use crate::{Result, StoreError};
use scylla::value::CqlValue;

/// Write times of one generation: so many below the next one's.
const TIMES_BITS: u32 = 28;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub log_id: Option<String>,
    pub generation: Option<i64>,
    pub building: Option<Building>,
    /// The generation that was built last, in use or given up: its number is not used again.
    pub ended: Option<i64>,
    /// A switch to this generation is under way: nothing is folded until it has ended.
    pub closing: Option<i64>,
}

/// Tables that somebody fills. As long as the beat goes on, somebody does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Building {
    pub generation: i64,
    pub writer: i64,
    pub beat: i64,
}

type StateCells = (Option<String>, Option<i64>, Option<String>, Option<String>);

impl State {
    pub async fn read(shared: &Shared) -> Result<Self> {
        let cells = shared.client.row::<StateCells>(&shared.statements.read_state, &[]).await?;
        let Some((log_id, generation, building, closing)) = cells else { return Ok(Self::default()) };
        let built = building.filter(|text| !text.is_empty());
        let (building, ended) = match built {
            Some(text) if text.contains('/') => (Some(Building::parse(&text)?), None),
            Some(text) => (None, Some(number(&text)?)),
            None => (None, None),
        };
        let closing = closing.filter(|text| !text.is_empty()).map(|text| number(&text)).transpose()?;
        Ok(Self { log_id, generation, building, ended, closing })
    }
}

impl Building {
    fn parse(text: &str) -> Result<Self> {
        let mut parts = text.split('/').map(number);
        let mut next = || parts.next().unwrap_or_else(|| number(""));
        Ok(Self { generation: next()?, writer: next()?, beat: next()? })
    }

    fn text(&self) -> String {
        format!("{}/{}/{}", self.generation, self.writer, self.beat)
    }
}

/// The first to open an empty store says what log it is of; of two at once the same one wins everywhere.
pub async fn claim(shared: &Shared, log_id: &str) -> Result<()> {
    set(shared, &shared.statements.write_log_id, 1, text(log_id)).await
}

pub async fn use_generation(shared: &Shared, generation: i64) -> Result<()> {
    set(shared, &shared.statements.write_generation, 2 * generation, bigint(generation)).await
}

/// Whoever was to switch to `given_up` does so too late from now on.
pub async fn keep_generation(shared: &Shared, in_use: i64, given_up: i64) -> Result<()> {
    set(shared, &shared.statements.write_generation, 2 * given_up + 1, bigint(in_use)).await
}

pub async fn beat(shared: &Shared, building: &Building) -> Result<()> {
    let at = time_in(building.generation, building.beat);
    set(shared, &shared.statements.write_building, at, text(building.text())).await
}

/// Nothing is built any more; later beats of this generation say nothing.
pub async fn end_building(shared: &Shared, generation: i64) -> Result<()> {
    let at = time_in(generation, i64::MAX);
    set(shared, &shared.statements.write_building, at, text(generation.to_string())).await
}

/// `turn` grows with every announcement and withdrawal of a generation.
pub async fn announce_switch(shared: &Shared, generation: i64, turn: i64) -> Result<()> {
    set(shared, &shared.statements.write_closing, time_in(generation, turn), text(generation.to_string())).await
}

pub async fn withdraw_switch(shared: &Shared, generation: i64, turn: i64) -> Result<()> {
    set(shared, &shared.statements.write_closing, time_in(generation, turn), text("")).await
}

async fn set(shared: &Shared, statement: &Prepared, at: i64, value: CqlValue) -> Result<()> {
    shared.client.write(&Write { statement: statement.clone(), values: vec![bigint(at), value] }).await
}

const fn time_in(generation: i64, turn: i64) -> i64 {
    let last = (1 << TIMES_BITS) - 1;
    (generation << TIMES_BITS) + if turn < last { turn } else { last }
}

fn number(text: &str) -> Result<i64> {
    text.parse().map_err(|_| StoreError::Damaged("the state of the store can't be read".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_reads_back() {
        let building = Building { generation: 3, writer: -7, beat: 9 };
        assert_eq!(Building::parse(&building.text()).unwrap(), building);
        assert!(Building::parse("3/4").is_err());
    }

    #[test]
    fn a_later_generation_is_written_later_than_the_end_of_an_earlier_one() {
        assert!(time_in(1, i64::MAX) < time_in(2, 0) && time_in(1, 5) < time_in(1, i64::MAX));
    }
}
