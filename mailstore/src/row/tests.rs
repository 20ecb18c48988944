//! Any order, any grouping and any repeats end in the same row.

use std::collections::BTreeMap;

use schemas::event::ActionChange;
use schemas::{Event, MessageId};

use super::*;
use crate::Fact;
use crate::contract::{Chance, ModelLog};
use crate::views::Views;

/// The columns of random mail, by message.
fn columns(seed: u64) -> BTreeMap<MessageId, Vec<Row>> {
    let log = ModelLog::default();
    crate::contract::mail_by_chance(&log, &mut Chance::seeded(seed), 30, 1);
    let mut columns: BTreeMap<MessageId, Vec<Row>> = BTreeMap::new();
    for fact in log.facts() {
        let (id, column) = column_of(fact).unwrap();
        columns.entry(id).or_default().push(column);
    }
    columns
}

fn shuffle<T>(items: &mut [T], chance: &mut Chance) {
    for end in (1..items.len()).rev() {
        items.swap(end, chance.below(end + 1));
    }
}

fn fold(columns: impl IntoIterator<Item = Row>) -> Row {
    columns.into_iter().fold(Row::default(), |mut row, column| {
        row.merge(column);
        row
    })
}

#[test]
fn columns_merge_in_any_order_grouping_and_number() {
    let mut chance = Chance::seeded(1);
    for (id, columns) in (0..10).flat_map(columns) {
        let expected = fold(columns.clone());
        for _ in 0..10 {
            let mut twice = [columns.clone(), columns.clone()].concat();
            shuffle(&mut twice, &mut chance);
            let (one, other) = twice.split_at(chance.below(twice.len()));
            let mut grouped = fold(one.to_vec());
            grouped.merge(fold(other.to_vec()));
            assert_eq!(grouped, expected, "{id}");
            assert_eq!(fold(twice), expected, "{id}");
        }
    }
}

#[test]
fn a_row_that_is_gone_stays_gone_and_small() {
    let mut chance = Chance::seeded(2);
    for (id, mut columns) in (0..10).flat_map(columns) {
        let mark = Row { gone: true, ..Row::default() };
        columns.push(mark);
        let expected = fold(columns.clone());
        shuffle(&mut columns, &mut chance);
        let row = fold(columns);
        assert_eq!(row, expected, "{id}");
        assert!(row.shown().next().is_none() && row.parsed.is_none() && row.flags.is_empty());
        assert!(Views::of(&id, &row).counted.is_empty());
    }
}

#[test]
fn an_entry_index_below_zero_is_nobodys() {
    let action = schemas::event::MailAction {
        message_id: MessageId::from_parts(1, [0; 10]),
        index: -1,
        at: 0,
        by: String::new(),
        change: ActionChange::Read { read: true },
    };
    let position = schemas::Position::new(schemas::Topic::MailActions, 0, 0);
    assert_eq!(column_of(Fact { position, event: Event::Action(action) }), None);
}
