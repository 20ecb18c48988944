//! What holds for every book, whatever comes in which order: seeded chance in place of examples.

use std::collections::{HashMap, HashSet};

use schemas::MessageId;

use super::super::directory::Target;
use super::*;

const NOW: i64 = 1_700_000_000_000;
const FORWARDS: [&str; 4] = ["a", "b", "ordered", "slack"];

/// xorshift64*: chance that is the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % limit
    }
}

fn find(forward: &str) -> Standing {
    Standing::Called(Box::new(Target {
        kind: if forward == "slack" { ForwardKind::Slack } else { ForwardKind::Webhook },
        target: String::new(),
        payload: schemas::event::ForwardPayload::Full,
        ordered: forward == "ordered",
        secrets: Vec::new(),
        slack_to_from: false,
        account: String::new(),
    }))
}

/// A log with its book, which lags behind it.
struct World {
    book: Book,
    log: Vec<DueRecord>,
    folded: usize,
    now_ms: i64,
    in_flight: HashMap<String, Taken>,
    made: usize,
}

impl World {
    fn new() -> Self {
        let limits = Limits { in_all: 6, per_target: 3, ..Limits::default() };
        Self { book: Book::new(limits), log: vec![], folded: 0, now_ms: NOW, in_flight: HashMap::new(), made: 0 }
    }

    fn append(&mut self, delivery_id: &str, due: Option<ForwardDue>) -> Offset {
        let offset = Offset::try_from(self.log.len()).unwrap();
        let (timestamp_ms, delivery_id) = (self.now_ms, delivery_id.to_owned());
        self.log.push(DueRecord { partition: 0, offset, timestamp_ms, delivery_id, due });
        offset
    }

    fn make_due(&mut self, chance: &mut Chance) {
        let number = i64::try_from(self.made).unwrap();
        self.made += 1;
        let forward = FORWARDS[chance.below(FORWARDS.len())];
        let due = ForwardDue {
            delivery_id: format!("{forward}/{number}"),
            forward: forward.to_owned(),
            message_id: MessageId::from_parts(NOW + number, [0; 10]),
            index: 0,
            routed_offset: number,
            arrived_at: NOW + i64::try_from(chance.below(1_000)).unwrap(),
            next_at: 0,
            attempts: 0,
            origin: if chance.below(4) == 0 { "backfill-1".to_owned() } else { String::new() },
        };
        self.append(&due.delivery_id.clone(), Some(due));
    }

    fn fold_one(&mut self) {
        if let Some(record) = self.log.get(self.folded) {
            self.book.fold(record.clone(), self.now_ms);
            self.folded += 1;
        }
    }

    fn take(&mut self) {
        let Some(taken) = self.book.take(self.now_ms, find) else { return };
        assert!(taken.due.next_at <= self.now_ms);
        let id = taken.due.delivery_id.clone();
        assert!(self.in_flight.insert(id.clone(), taken).is_none(), "{id} is in flight twice");
        assert!(self.in_flight.len() <= 6);
        for forward in FORWARDS {
            let calls = self.in_flight.values().filter(|taken| taken.due.forward == forward).count();
            assert!(calls <= if forward == "ordered" { 1 } else { 3 }, "{forward}: {calls}");
        }
    }

    fn land(&mut self, chance: &mut Chance, outcome: usize) {
        let mut ids: Vec<&String> = self.in_flight.keys().collect();
        ids.sort();
        let Some(id) = (!ids.is_empty()).then(|| ids[chance.below(ids.len())].clone()) else { return };
        let due = self.in_flight.remove(&id).unwrap().due;
        let (next, verdict) = match outcome {
            0 => return self.book.put_back(&id, self.now_ms + 500),
            1 => {
                let next = ForwardDue { attempts: due.attempts + 1, next_at: self.now_ms + 5_000, ..due };
                (Some(next), Verdict::Failed { asked_until_ms: None })
            }
            _ => (None, Verdict::Answered),
        };
        let offset = self.append(&id, next.clone());
        // The log may come round before the attempt is settled.
        if chance.below(3) == 0 {
            (0..self.log.len()).for_each(|_| self.fold_one());
        }
        self.book.settle(&id, offset, next, verdict, self.now_ms);
    }

    /// What is due as the log has it: the last word on each delivery.
    fn due_on_log(&self) -> HashSet<String> {
        let mut due = HashSet::new();
        for record in &self.log {
            match record.due {
                Some(_) => _ = due.insert(record.delivery_id.clone()),
                None => _ = due.remove(&record.delivery_id),
            }
        }
        due
    }

    fn step(&mut self, chance: &mut Chance) {
        match chance.below(12) {
            0 | 1 => self.make_due(chance),
            2..=4 => self.fold_one(),
            5..=7 => self.take(),
            8 | 9 => {
                let outcome = chance.below(5);
                self.land(chance, outcome);
            }
            10 => self.now_ms += i64::try_from(chance.below(3_000)).unwrap(),
            // Somebody else ends a delivery, or asks for it anew.
            _ => {
                let Some(record) = (!self.log.is_empty()).then(|| self.log[chance.below(self.log.len())].clone())
                else {
                    return;
                };
                let due = record.due.filter(|_| chance.below(2) == 0);
                self.append(&record.delivery_id, due.map(|due| ForwardDue { attempts: 0, next_at: 0, ..due }));
            }
        }
    }
}

#[test]
fn whatever_comes_in_which_order_all_that_is_due_is_made_and_nothing_stays_behind() {
    for seed in 1..=400 {
        let (mut chance, mut world) = (Chance(seed), World::new());
        (0..400).for_each(|_| world.step(&mut chance));
        let before = world.due_on_log();
        let mut made = HashSet::new();
        // Now every call is answered, and the log comes round each time.
        for _ in 0..10_000 {
            (world.folded..world.log.len()).for_each(|_| world.fold_one());
            world.take();
            if world.in_flight.is_empty() {
                let Some(at) = world.book.wakes_at() else { break };
                world.now_ms = world.now_ms.max(at);
                continue;
            }
            made.extend(world.in_flight.keys().cloned());
            world.land(&mut chance, 2);
        }
        assert_eq!(world.due_on_log(), HashSet::new(), "seed {seed}");
        assert!(before.is_subset(&made), "seed {seed}");
        (world.folded..world.log.len()).for_each(|_| world.fold_one());
        let book = &mut world.book;
        assert!(book.known.is_empty() && book.since.is_empty(), "seed {seed}: {:?}", book.known);
        assert!(book.asleep.is_empty() && book.ready.is_empty(), "seed {seed}");
        assert_eq!((book.in_flight, book.struggling_in_flight), (0, 0), "seed {seed}");
        assert_eq!(book.figures(i64::MAX), Figures::default(), "seed {seed}");
    }
}

#[test]
fn a_book_that_is_folded_anew_at_any_moment_knows_what_the_log_says() {
    for seed in 1..=200 {
        let (mut chance, mut world) = (Chance(seed), World::new());
        (0..300).for_each(|_| world.step(&mut chance));
        let mut anew = Book::new(Limits::default());
        world.log.iter().for_each(|record| anew.fold(record.clone(), world.now_ms));
        let known: HashSet<String> = anew.known.keys().map(|id| id.to_string()).collect();
        assert_eq!(known, world.due_on_log(), "seed {seed}");
    }
}
