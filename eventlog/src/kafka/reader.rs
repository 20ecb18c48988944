//! What members and tails share: a consumer, what it has brought and not handed out yet, and where it goes on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use rdkafka::consumer::{Consumer as _, ConsumerContext, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::Offset as KafkaOffset;
use schemas::record::{Offset, Partition};
use schemas::{Position, Record, Topic};
use tokio::time::Instant;

use super::convert;
use super::inquirer::Inquirer;
use super::seat::Seat;
use crate::{Limits, LogError, Result};

/// A poll waits at least this long: what is on the broker takes a round trip to be here.
const AT_LEAST: Duration = Duration::from_millis(500);
/// How long whoever closes a consumer waits for the others to let go of it.
pub(super) const LET_GO: Duration = Duration::from_secs(10);
/// What is taken from librdkafka before its partitions are handed out in turn.
const WAITING_BYTES: usize = 16 << 20;
const WAITING_RECORDS: usize = 20_000;

type Received<'a> = std::result::Result<BorrowedMessage<'a>, KafkaError>;

/// One partition of a reader.
#[derive(Default)]
struct Place {
    /// Behind what has come; librdkafka may be further, past what holds no records.
    next: Offset,
    waiting: VecDeque<Record>,
}

pub(super) struct Reader<C: ConsumerContext + 'static> {
    pub consumer: Arc<StreamConsumer<C>>,
    pub inquirer: Arc<Inquirer>,
    places: BTreeMap<(Topic, Partition), Place>,
    waiting_bytes: usize,
    waiting_records: usize,
    /// Which partition is first: each in turn, so that a busy one does not starve the others.
    turn: usize,
    /// What the consumer could not do: it is said when everything that came before it is handed out.
    fault: Option<KafkaError>,
    /// The positions when the last poll ended.
    told: Vec<Position>,
    /// Its own in its group.
    seat: Option<Seat>,
}

impl<C: ConsumerContext + 'static> Reader<C> {
    /// Whoever is in no group has no seat there.
    pub fn new(consumer: StreamConsumer<C>, inquirer: &Arc<Inquirer>, seat: Option<Seat>) -> Self {
        Self {
            consumer: Arc::new(consumer),
            inquirer: Arc::clone(inquirer),
            places: BTreeMap::new(),
            waiting_bytes: 0,
            waiting_records: 0,
            turn: 0,
            fault: None,
            told: Vec::new(),
            seat,
        }
    }

    /// Forgets what waits, and goes on at these positions: the consumer has just been assigned to them.
    pub fn start_at(&mut self, from: &[Position]) {
        let places = from.iter().map(|at| ((at.topic, at.partition), Place { next: at.offset, ..Place::default() }));
        self.places = places.collect();
        (self.waiting_bytes, self.waiting_records) = (0, 0);
        self.fault = None;
        self.told = self.positions();
    }

    /// Behind everything that was handed out, and behind what holds no records.
    pub fn positions(&self) -> Vec<Position> {
        let known = self.consumer.position().ok();
        let positions = self.places.iter().map(|(&(topic, partition), place)| {
            let passed = known.as_ref().and_then(|known| self.known(known, topic, partition)).unwrap_or(0);
            let first = place.waiting.front().map(|first| first.position.offset);
            Position::new(topic, partition, first.unwrap_or(passed.max(place.next)))
        });
        positions.collect()
    }

    fn known(&self, known: &rdkafka::TopicPartitionList, topic: Topic, partition: Partition) -> Option<Offset> {
        let element = known.find_partition(self.inquirer.names.of(topic), i32::try_from(partition).ok()?)?;
        match element.offset() {
            KafkaOffset::Offset(offset) => Offset::try_from(offset).ok(),
            _ => None,
        }
    }

    /// When a poll of these limits ends at the latest.
    pub fn deadline(limits: &Limits) -> Instant {
        Instant::now() + limits.wait.max(AT_LEAST)
    }

    /// Records that are here, a fault that stands in their place, or nothing when the positions have moved over what
    /// holds no records; `None` when there is nothing to say yet.
    pub async fn take(&mut self, limits: &Limits) -> Result<Option<Vec<Record>>> {
        self.gather()?;
        let records = self.hand_out(limits);
        if records.is_empty()
            && let Some(fault) = self.fault.clone()
        {
            // Kept until it is explained: the future may be dropped before.
            let explained = self.explain(fault).await;
            self.fault = None;
            if let Some(error) = explained {
                return Err(error);
            }
        }
        let positions = self.positions();
        if records.is_empty() && positions == self.told {
            return Ok(None);
        }
        self.told = positions;
        Ok(Some(records))
    }

    /// Waits for the next event of the consumer. Dropping the future loses nothing.
    pub async fn wait(&mut self) -> Result<()> {
        let consumer = Arc::clone(&self.consumer);
        let received = consumer.recv().await;
        self.keep(received)
    }

    /// Takes over what the consumer has by now.
    fn gather(&mut self) -> Result<()> {
        let consumer = Arc::clone(&self.consumer);
        while self.waiting_bytes < WAITING_BYTES && self.waiting_records < WAITING_RECORDS && self.fault.is_none() {
            let Some(received) = consumer.recv().now_or_never() else { break };
            self.keep(received)?;
        }
        Ok(())
    }

    fn keep(&mut self, received: Received<'_>) -> Result<()> {
        let message = match received {
            Ok(message) => message,
            Err(KafkaError::PartitionEOF(_)) => return Ok(()),
            Err(cause) => {
                self.fault = Some(cause);
                return Ok(());
            }
        };
        let record = convert::from_kafka(&self.inquirer.names, &message)?;
        let Position { topic, partition, offset } = record.position;
        // What is behind the place was sent before the reader was moved.
        if let Some(place) = self.places.get_mut(&(topic, partition))
            && offset >= place.next
        {
            self.waiting_bytes += record.size_bytes();
            self.waiting_records += 1;
            place.next = offset + 1;
            place.waiting.push_back(record);
        }
        Ok(())
    }

    fn hand_out(&mut self, limits: &Limits) -> Vec<Record> {
        let mut records: Vec<Record> = Vec::new();
        let mut bytes = 0;
        let mut queues: Vec<&mut VecDeque<Record>> =
            self.places.values_mut().map(|place| &mut place.waiting).filter(|waiting| !waiting.is_empty()).collect();
        if !queues.is_empty() {
            self.turn = (self.turn + 1) % queues.len();
            queues.rotate_left(self.turn);
        }
        let mut progress = true;
        while progress {
            progress = false;
            for queue in &mut queues {
                let Some(size_bytes) = queue.front().map(Record::size_bytes) else { continue };
                let is_full = records.len() >= limits.records.max(1) || bytes + size_bytes > limits.bytes;
                if is_full && !records.is_empty() {
                    progress = false;
                    break;
                }
                records.extend(queue.pop_front());
                bytes += size_bytes;
                progress = true;
            }
        }
        self.waiting_bytes = self.waiting_bytes.saturating_sub(bytes);
        self.waiting_records = self.waiting_records.saturating_sub(records.len());
        records
    }

    /// Goes on at a position ahead, past what was polled.
    pub fn skip_to(&mut self, position: Position) {
        let Some(place) = self.places.get_mut(&(position.topic, position.partition)) else { return };
        while place.waiting.front().is_some_and(|record| record.position.offset < position.offset) {
            if let Some(record) = place.waiting.pop_front() {
                self.waiting_bytes = self.waiting_bytes.saturating_sub(record.size_bytes());
                self.waiting_records = self.waiting_records.saturating_sub(1);
            }
        }
        // What is on its way from before it is dropped when it comes.
        place.next = place.next.max(position.offset);
    }

    /// What an error of the consumer means to the caller; nothing where it passes by itself.
    async fn explain(&self, cause: KafkaError) -> Option<LogError> {
        use RDKafkaErrorCode as Code;
        match cause.rdkafka_error_code() {
            Some(Code::FencedInstanceId) => Some(self.fenced(cause).await),
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::NoOffset) => {
                let outside = self.inquirer.check(&self.places()).await.err();
                Some(outside.unwrap_or_else(|| convert::unavailable(cause)))
            }
            Some(Code::AllBrokersDown | Code::BrokerTransportFailure | Code::OperationTimedOut | Code::Resolve) => {
                tracing::debug!(%cause, "a reader has lost its broker for now");
                None
            }
            Some(Code::PollExceeded) => None,
            _ => Some(convert::unavailable(cause)),
        }
    }

    /// The consumer is of no use any more; whether the seat is lost as well depends on who has it.
    async fn fenced(&self, cause: KafkaError) -> LogError {
        let Some(seat) = &self.seat else { return convert::unavailable(cause) };
        tracing::warn!(group = seat.group, "the group says that somebody else has this node's seat");
        if seat.is_taken(&self.inquirer).await {
            return LogError::Fenced(seat.group.clone());
        }
        LogError::Unavailable(format!("nobody else has this node's seat in the group {}: it joins again", seat.group))
    }

    /// Where librdkafka reads on.
    fn places(&self) -> Vec<Position> {
        let places = self.places.iter();
        places.map(|(&(topic, partition), place)| Position::new(topic, partition, place.next)).collect()
    }
}

impl<C: ConsumerContext + 'static> Drop for Reader<C> {
    /// Closing a consumer asks the broker: on a thread where that may take its time.
    fn drop(&mut self) {
        let consumer = Arc::clone(&self.consumer);
        let inquirer = Arc::clone(&self.inquirer);
        inquirer.closing.send_modify(|closing| *closing += 1);
        std::thread::spawn(move || {
            let deadline = std::time::Instant::now() + LET_GO;
            while Arc::strong_count(&consumer) > 1 && std::time::Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            drop(consumer);
            inquirer.closing.send_modify(|closing| *closing -= 1);
        });
    }
}
