//! A log in memory, as far as a store sees one: places, and the bytes of `mail.raw` until they are given up.

use std::collections::BTreeMap;
use std::sync::Mutex;

use schemas::event::MailRaw;
use schemas::record::{Offset, Partition};
use schemas::{Event, Position, Topic};

use super::Chance;
use crate::{Fact, RawSource, Result, Store};

/// How many facts one batch of a fold may have.
const BATCH: usize = 9;

#[derive(Default)]
pub struct ModelLog {
    partitions: Mutex<BTreeMap<(Topic, Partition), Facts>>,
}

#[derive(Default)]
struct Facts {
    start: Offset,
    /// From offset 0 on; what lies before `start` can't be read.
    events: Vec<Event>,
}

impl ModelLog {
    pub fn append(&self, partition: Partition, event: Event) -> Position {
        let mut partitions = self.partitions.lock().unwrap();
        let facts = partitions.entry((event.topic(), partition)).or_default();
        let place = Position::new(event.topic(), partition, facts.events.len() as Offset);
        facts.events.push(event);
        place
    }

    /// The next place of each partition.
    pub fn ends(&self) -> Vec<Position> {
        let partitions = self.partitions.lock().unwrap();
        let end =
            |(key, facts): (&(Topic, Partition), &Facts)| Position::new(key.0, key.1, facts.events.len() as Offset);
        partitions.iter().map(end).collect()
    }

    /// Every fact that was ever written.
    pub fn facts(&self) -> Vec<Fact> {
        self.ends().into_iter().flat_map(|end| self.read(end.topic, end.partition, 0, end.offset)).collect()
    }

    /// Where `mail.raw` begins in each partition.
    pub fn raw_starts(&self) -> Vec<Position> {
        let partitions = self.partitions.lock().unwrap();
        let raw = partitions.iter().filter(|(key, _)| key.0 == Topic::MailRaw);
        raw.map(|(key, facts)| Position::new(key.0, key.1, facts.start)).collect()
    }

    /// Half of each partition of `mail.raw`: what a retention might give up next.
    pub fn raw_halves(&self) -> Vec<Position> {
        let halved = |end: Position| Position { offset: end.offset / 2, ..end };
        self.ends().into_iter().filter(|end| end.topic == Topic::MailRaw).map(halved).collect()
    }

    /// Gives up mail before these places, and the facts at the beginning of their topics that speak of it.
    pub fn truncate(&self, raw_before: &[Position]) {
        let mut partitions = self.partitions.lock().unwrap();
        for ((topic, partition), facts) in partitions.iter_mut() {
            let Some(before) = raw_before.iter().find(|before| before.partition == *partition) else { continue };
            if *topic == Topic::MailRaw {
                facts.start = before.offset;
                continue;
            }
            let is_before = |event: &&Event| raw_offset(event).is_some_and(|offset| offset < before.offset);
            facts.start = facts.events.iter().take_while(is_before).count() as Offset;
        }
    }

    /// Folds what the log holds behind the store's positions, topic by topic as chance has it, every batch twice.
    pub async fn fold(&self, store: &dyn Store, chance: &mut Chance) {
        let places = store.positions().await.unwrap();
        let mut next: BTreeMap<(Topic, Partition), Offset> =
            places.into_iter().map(|place| ((place.topic, place.partition), place.offset)).collect();
        loop {
            let waiting: Vec<Position> =
                self.ends().into_iter().filter(|end| self.from(&next, end) < end.offset).collect();
            if waiting.is_empty() {
                break;
            }
            let end = *chance.pick(&waiting);
            let from = self.from(&next, &end);
            let to = end.offset.min(from + 1 + chance.below(BATCH) as Offset);
            let facts = self.read(end.topic, end.partition, from, to);
            let place = Position { offset: to, ..end };
            store.apply(facts.clone(), &[place]).await.unwrap();
            store.apply(facts, &[place]).await.unwrap();
            next.insert((end.topic, end.partition), to);
        }
        // What the log has given up whole moves the positions as well.
        store.apply(Vec::new(), &self.ends()).await.unwrap();
    }

    /// Folds one topic whole, as if nothing of it had been given up.
    pub async fn fold_topic(&self, store: &dyn Store, topic: Topic) {
        for end in self.ends().into_iter().filter(|end| end.topic == topic) {
            store.apply(self.read(topic, end.partition, 0, end.offset), &[end]).await.unwrap();
        }
    }

    fn from(&self, next: &BTreeMap<(Topic, Partition), Offset>, end: &Position) -> Offset {
        let start = self.partitions.lock().unwrap()[&(end.topic, end.partition)].start;
        next.get(&(end.topic, end.partition)).copied().unwrap_or(0).max(start)
    }

    fn read(&self, topic: Topic, partition: Partition, from: Offset, to: Offset) -> Vec<Fact> {
        let partitions = self.partitions.lock().unwrap();
        let events = &partitions[&(topic, partition)].events;
        let fact = |offset| Fact {
            position: Position::new(topic, partition, offset),
            event: events[usize::try_from(offset).unwrap()].clone(),
        };
        (from..to).map(fact).collect()
    }
}

impl RawSource for ModelLog {
    fn read(&self, place: Position) -> Result<Option<MailRaw>> {
        let partitions = self.partitions.lock().unwrap();
        let Some(facts) = partitions.get(&(place.topic, place.partition)) else { return Ok(None) };
        let index = usize::try_from(place.offset).unwrap();
        Ok(match facts.events.get(index) {
            Some(Event::Raw(raw)) if place.offset >= facts.start => Some(raw.clone()),
            _ => None,
        })
    }
}

fn raw_offset(event: &Event) -> Option<Offset> {
    let offset = match event {
        Event::Parsed(parsed) => parsed.raw_offset,
        Event::Scored(scored) => scored.raw_offset,
        Event::Routed(routed) => routed.raw_offset,
        _ => return None,
    };
    Offset::try_from(offset).ok()
}
