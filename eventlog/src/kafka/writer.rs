//! The idempotent producer behind `append`. One that let a record time out, or says that it can't go on, is put aside for
//! a new one: a producer that has lost count of what the broker holds never gets another record acknowledged, however
//! long the broker has been back, and nobody should have to restart a node for that.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::FutureProducer;
use rdkafka::producer::future_producer::DeliveryFuture;
use schemas::{NewRecord, Position};

use super::names::Names;
use super::queue::{Queue, Waiting};
use super::settings::KafkaSettings;
use super::{QUEUE_WAIT, convert};
use crate::{LogError, Result, metric};

/// How often it is looked whether somebody still waits for a producer that was put aside.
const LET_GO_LOOK: Duration = Duration::from_millis(100);

pub(super) struct Writer {
    settings: Arc<KafkaSettings>,
    names: Arc<Names>,
    producer: Mutex<Arc<FutureProducer>>,
    queue: Queue,
}

/// A record in the producer's hands.
struct Sent<'a> {
    delivery: DeliveryFuture,
    _waiting: Waiting<'a>,
}

impl Writer {
    pub fn new(settings: &Arc<KafkaSettings>, names: &Arc<Names>) -> Result<Self> {
        let producer = Mutex::new(made(settings)?);
        Ok(Self { settings: Arc::clone(settings), names: Arc::clone(names), producer, queue: Queue::default() })
    }

    /// In a partition the records stand in their order. Several are no transaction: after a failure any of them may
    /// stand there.
    pub async fn append(&self, records: &[NewRecord]) -> Result<Vec<Position>> {
        // One producer for all of them: two have no order.
        let producer = self.producer();
        let mut sent = Vec::with_capacity(records.len());
        let mut refused = None;
        for record in records {
            match self.enqueue(&producer, record).await {
                Ok(one) => sent.push(one),
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        // Whatever is in the queue comes to its end before the caller is told anything.
        let answers = records.iter().zip(sent).map(|(record, sent)| self.delivered(&producer, record, sent));
        let positions = join_all(answers).await.into_iter().collect::<Result<Vec<Position>>>()?;
        refused.map_or(Ok(positions), Err)
    }

    /// Hands one record to the producer, waiting for room in its queue no longer than for an acknowledgement.
    async fn enqueue(&self, producer: &Arc<FutureProducer>, record: &NewRecord) -> Result<Sent<'_>> {
        let deadline = Instant::now() + self.settings.message_timeout;
        let mut sent = convert::to_kafka(&self.names, record);
        loop {
            match producer.send_result(sent) {
                Ok(delivery) => {
                    let waiting = self.queue.enter(convert::size_bytes(record));
                    return Ok(Sent { delivery, _waiting: waiting });
                }
                Err((KafkaError::MessageProduction(Code::QueueFull), back)) if Instant::now() < deadline => {
                    sent = back;
                    tokio::time::sleep(QUEUE_WAIT).await;
                }
                Err((cause, _)) => return Err(self.undelivered(producer, cause, record)),
            }
        }
    }

    async fn delivered(&self, producer: &Arc<FutureProducer>, record: &NewRecord, sent: Sent<'_>) -> Result<Position> {
        let delivered = sent.delivery.await.map_err(|_| LogError::Unavailable("the producer has ended".to_owned()))?;
        let delivery = delivered.map_err(|(cause, _)| self.undelivered(producer, cause, record))?;
        if delivery.offset < 0 {
            // The broker had it already when it was sent anew, and does not say where.
            return Err(LogError::Unavailable("a record was acknowledged without its place".to_owned()));
        }
        metrics::counter!(metric::APPENDED_RECORDS, "topic" => record.topic.name()).increment(1);
        let size_bytes = convert::size_bytes(record) as u64;
        metrics::counter!(metric::APPENDED_BYTES, "topic" => record.topic.name()).increment(size_bytes);
        convert::position(record.topic, delivery.partition, delivery.offset)
    }

    fn undelivered(&self, producer: &Arc<FutureProducer>, cause: KafkaError, record: &NewRecord) -> LogError {
        match cause.rdkafka_error_code() {
            Some(Code::MessageSizeTooLarge) => {
                return LogError::TooLarge {
                    size_bytes: convert::size_bytes(record),
                    limit_bytes: self.settings.max_record_bytes,
                };
            }
            Some(Code::MessageTimedOut | Code::Fatal) => self.put_aside(producer, &cause),
            _ => {}
        }
        convert::unavailable(cause)
    }

    fn producer(&self) -> Arc<FutureProducer> {
        Arc::clone(&self.producer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whoever still waits for it has it until then.
    fn put_aside(&self, failed: &Arc<FutureProducer>, cause: &KafkaError) {
        if !Arc::ptr_eq(&self.producer(), failed) {
            return;
        }
        let new = match made(&self.settings) {
            Ok(new) => new,
            Err(error) => {
                tracing::error!(%error, "no producer can be made in the place of one that failed");
                return;
            }
        };
        let old = {
            let mut producer = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
            // Another caller has been faster: then it is the new one that goes.
            if Arc::ptr_eq(&producer, failed) { std::mem::replace(&mut *producer, new) } else { new }
        };
        tracing::warn!(%cause, "a producer got no acknowledgement in time: a new one takes its place");
        let patience = self.settings.message_timeout * 2;
        std::thread::spawn(move || let_go(old, patience));
    }
}

fn made(settings: &KafkaSettings) -> Result<Arc<FutureProducer>> {
    settings.producer_config().create().map(Arc::new).map_err(convert::unavailable)
}

/// Closing a producer waits for the broker: on a thread where that may take its time, once nobody else has it.
fn let_go(producer: Arc<FutureProducer>, patience: Duration) {
    let deadline = Instant::now() + patience;
    while Arc::strong_count(&producer) > 1 && Instant::now() < deadline {
        std::thread::sleep(LET_GO_LOOK);
    }
}

#[cfg(test)]
mod tests {
    use schemas::Topic;

    use super::super::settings::tests::settings;
    use super::*;

    #[tokio::test]
    async fn a_producer_that_let_a_record_time_out_is_put_aside_once() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let message_timeout = Duration::from_millis(50);
        let settings = KafkaSettings { brokers: nobody.to_string(), message_timeout, ..settings() };
        let writer = Writer::new(&Arc::new(settings), &Arc::new(Names::new(""))).unwrap();
        let first = writer.producer();
        let records = [NewRecord::new(Topic::MailRaw, "a", "a"), NewRecord::new(Topic::MailRaw, "b", "b")];
        let refused = writer.append(&records).await;
        assert!(matches!(refused, Err(LogError::Unavailable(_))), "{refused:?}");
        let second = writer.producer();
        assert!(!Arc::ptr_eq(&first, &second));
        writer.put_aside(&first, &KafkaError::MessageProduction(Code::MessageTimedOut));
        assert!(Arc::ptr_eq(&second, &writer.producer()), "it was put aside already");
    }
}
