//! What waits in the producer for Kafka's acknowledgement, as a metric.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::metric;

#[derive(Default)]
pub(super) struct Queue {
    records: AtomicUsize,
    bytes: AtomicUsize,
}

impl Queue {
    /// One record more, until what is returned is dropped.
    pub fn enter(&self, bytes: usize) -> Waiting<'_> {
        let records = self.records.fetch_add(1, Ordering::Relaxed) + 1;
        tell(records, self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes);
        Waiting { queue: self, bytes }
    }
}

pub(super) struct Waiting<'a> {
    queue: &'a Queue,
    bytes: usize,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let records = self.queue.records.fetch_sub(1, Ordering::Relaxed) - 1;
        tell(records, self.queue.bytes.fetch_sub(self.bytes, Ordering::Relaxed) - self.bytes);
    }
}

fn tell(records: usize, bytes: usize) {
    metrics::gauge!(metric::PRODUCER_QUEUE).set(records as f64);
    metrics::gauge!(metric::PRODUCER_QUEUE_BYTES).set(bytes as f64);
}
