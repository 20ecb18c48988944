//! What is due in a partition comes to this book as a whole, and goes with it: several engines share the partitions.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use schemas::record::Partition;

use super::super::breaker::{Breaker, OPENS_AFTER};
use super::super::ledger::DueRecord;
use super::Book;

impl Book {
    /// Once the log has been folded to its end: what the deliveries that wait say about their targets. One that looks
    /// dead is asked with one call.
    pub fn begin(&mut self) {
        self.expect_of(|_| true);
    }

    /// The last record of each delivery of a partition that is this book's from now on. Of targets that it knows
    /// already it knows more than those say.
    pub fn take_up(&mut self, records: Vec<DueRecord>, now_ms: i64) {
        let targets = records.iter().filter_map(|record| record.due.as_ref()).map(|due| due.forward.as_str());
        let unknown: HashSet<String> =
            targets.filter(|forward| !self.queues.contains_key(*forward)).map(str::to_owned).collect();
        for record in records {
            self.fold(record, now_ms);
        }
        self.expect_of(|forward| unknown.contains(forward));
    }

    /// The partition is another book's from now on. What is in flight lands, and is forgotten then.
    pub fn forget(&mut self, partition: Partition) {
        let of_partition = self.known.iter().filter(|(_, known)| known.partition == partition);
        let ids: Vec<Arc<str>> = of_partition.map(|(id, _)| Arc::clone(id)).collect();
        for id in ids {
            let Some(known) = self.known.get_mut(&id) else { continue };
            known.lost = true;
            let (due, is_waiting) = (known.due.take(), known.flight.is_none());
            if is_waiting {
                self.known.remove(&id);
            }
            let Some(due) = due else { continue };
            self.count_since(due.since_ms, false);
            if is_waiting {
                self.unqueue(&id, &due);
            }
            self.place(&due.forward);
        }
    }

    /// Whether the delivery's partition went to another book while it was in flight.
    pub fn is_lost(&self, delivery_id: &str) -> bool {
        self.known.get(delivery_id).is_some_and(|known| known.lost)
    }

    /// A delivery that has landed: whether that was the last of it here.
    pub(super) fn leaves(&mut self, delivery_id: &str) -> bool {
        let lost = self.is_lost(delivery_id);
        if lost {
            self.known.remove(delivery_id);
        }
        lost
    }

    fn expect_of(&mut self, which: impl Fn(&str) -> bool) {
        let mut failures: HashMap<Arc<str>, u32> = HashMap::new();
        let waiting = self.known.values().filter_map(|known| known.due.as_ref());
        for due in waiting.filter(|due| due.attempts > 0 && which(&due.forward)) {
            *failures.entry(Arc::clone(&due.forward)).or_default() += 1;
        }
        for (forward, failures) in failures {
            if let Some(queue) = self.queues.get_mut(&forward) {
                queue.breaker = Breaker::after_failures(failures.min(OPENS_AFTER));
            }
            self.place(&forward);
        }
    }
}

#[cfg(test)]
mod tests {
    use schemas::MessageId;
    use schemas::event::{ForwardDue, ForwardKind, ForwardPayload};

    use super::super::super::directory::{Standing, Target};
    use super::super::{Limits, Taken, Verdict};
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn record(partition: Partition, offset: u64, number: i64, attempts: i32) -> DueRecord {
        let due = ForwardDue {
            delivery_id: format!("dlv_{number}"),
            forward: "hook".to_owned(),
            message_id: MessageId::from_parts(NOW + number, [0; 10]),
            index: 0,
            routed_offset: number,
            arrived_at: NOW - 100 + number,
            next_at: 0,
            attempts,
            origin: String::new(),
        };
        DueRecord { partition, offset, timestamp_ms: NOW, delivery_id: due.delivery_id.clone(), due: Some(due) }
    }

    fn take(book: &mut Book) -> Option<Taken> {
        book.take(NOW, |_| {
            Standing::Called(Box::new(Target {
                kind: ForwardKind::Webhook,
                target: "https://example.org/".to_owned(),
                payload: ForwardPayload::Full,
                ordered: false,
                secrets: Vec::new(),
                slack_to_from: false,
                account: "ann".to_owned(),
            }))
        })
    }

    /// Two deliveries in each of two partitions.
    fn book() -> Book {
        let mut book = Book::new(Limits::default());
        book.take_up(vec![record(0, 0, 0, 0), record(0, 1, 1, 0)], NOW);
        book.take_up(vec![record(1, 0, 2, 0), record(1, 1, 3, 0)], NOW);
        book
    }

    #[test]
    fn what_waits_in_a_partition_goes_with_it() {
        let mut book = book();
        book.forget(0);
        assert_eq!((book.figures(NOW).waiting, take(&mut book).unwrap().partition), (2, 1));
        book.forget(1);
        assert_eq!(take(&mut book), None);
        let figures = book.figures(NOW);
        assert_eq!((figures.waiting, figures.in_flight, figures.oldest_age_ms), (0, 1, 0));
    }

    #[test]
    fn what_is_in_flight_lands_and_is_forgotten_then() {
        for settle in [true, false] {
            let mut book = book();
            let taken = take(&mut book).unwrap();
            let id = taken.due.delivery_id.clone();
            book.forget(taken.partition);
            assert!(book.is_lost(&id));
            if settle {
                book.settle(&id, 9, Some(taken.due), Verdict::Failed { asked_until_ms: None }, NOW);
            } else {
                book.put_back(&id, 0);
            }
            book.forget(1);
            let figures = book.figures(NOW);
            assert_eq!((figures.waiting, figures.in_flight), (0, 0));
            assert!(book.known.is_empty() && !book.is_lost(&id));
        }
    }

    #[test]
    fn what_comes_back_while_it_is_in_flight_is_not_started_a_second_time() {
        let mut book = book();
        book.forget(1);
        let taken = take(&mut book).unwrap();
        let id = taken.due.delivery_id.clone();
        book.forget(0);
        book.take_up(vec![record(0, 0, 0, 0), record(0, 1, 1, 0)], NOW);
        assert_eq!(take(&mut book), None, "a target has one call at first");
        book.settle(&id, 9, None, Verdict::Answered, NOW);
        assert_ne!(take(&mut book).unwrap().due.delivery_id, id);
        assert_eq!(take(&mut book), None);
    }

    #[test]
    fn what_failed_elsewhere_says_something_of_an_unknown_target_only() {
        let failed: Vec<DueRecord> = (0..20).map(|number| record(0, number, number.cast_signed(), 3)).collect();
        let mut unknown = Book::new(Limits::default());
        unknown.take_up(failed.clone(), NOW);
        assert!(take(&mut unknown).is_some() && take(&mut unknown).is_none(), "one call asks it");

        let mut known = Book::new(Limits::default());
        known.take_up(vec![record(1, 0, 50, 0)], NOW);
        let taken = take(&mut known).unwrap();
        known.settle(&taken.due.delivery_id, 9, None, Verdict::Answered, NOW);
        known.take_up(failed, NOW);
        assert!(take(&mut known).is_some() && take(&mut known).is_some());
    }
}
