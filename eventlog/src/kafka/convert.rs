//! Between our words and librdkafka's.

use bytes::Bytes;
use rdkafka::Message;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header as KafkaHeader, Headers as _, OwnedHeaders};
use rdkafka::producer::FutureRecord;
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};
use schemas::record::{Header, Offset, Partition};
use schemas::{NewRecord, Position, Record, Topic};

use super::names::Names;
use crate::{LogError, Result};

pub(super) fn unavailable(cause: KafkaError) -> LogError {
    LogError::Unavailable(cause.to_string())
}

pub(super) fn size_bytes(record: &NewRecord) -> usize {
    let headers: usize = record.headers.iter().map(|header| header.name.len() + header.value.len()).sum();
    headers + record.key.as_ref().map_or(0, Bytes::len) + record.value.as_ref().map_or(0, Bytes::len)
}

pub(super) fn check_size(record: &NewRecord, limit_bytes: usize) -> Result<()> {
    let size_bytes = size_bytes(record);
    if size_bytes > limit_bytes { Err(LogError::TooLarge { size_bytes, limit_bytes }) } else { Ok(()) }
}

pub(super) fn to_kafka<'a>(names: &'a Names, record: &'a NewRecord) -> FutureRecord<'a, [u8], [u8]> {
    let mut sent = FutureRecord::to(names.of(record.topic));
    sent.partition = record.partition.and_then(|partition| i32::try_from(partition).ok());
    sent.key = record.key.as_deref();
    sent.payload = record.value.as_deref();
    if !record.headers.is_empty() {
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for header in &record.headers {
            headers = headers.insert(KafkaHeader { key: &header.name, value: Some(header.value.as_ref()) });
        }
        sent.headers = Some(headers);
    }
    sent
}

pub(super) fn from_kafka(names: &Names, message: &BorrowedMessage<'_>) -> Result<Record> {
    let topic = names.topic(message.topic())?;
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers
            .iter()
            .map(|header| Header {
                name: header.key.to_owned(),
                value: header.value.map_or_else(Bytes::new, Bytes::copy_from_slice),
            })
            .collect()
    });
    Ok(Record {
        position: position(topic, message.partition(), message.offset())?,
        timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
        key: message.key().map(Bytes::copy_from_slice),
        headers,
        value: message.payload().map(Bytes::copy_from_slice),
    })
}

pub(super) fn position(topic: Topic, partition: i32, at: i64) -> Result<Position> {
    let partition = Partition::try_from(partition)
        .map_err(|_| LogError::Damaged(format!("{topic} has no partition {partition}")))?;
    Ok(Position::new(topic, partition, offset(at)?))
}

pub(super) fn offset(at: i64) -> Result<Offset> {
    Offset::try_from(at).map_err(|_| LogError::Damaged(format!("{at} is not an offset")))
}

pub(super) fn partition(partition: Partition) -> Result<i32> {
    i32::try_from(partition).map_err(|_| LogError::Damaged(format!("{partition} is not a partition")))
}

/// These positions as librdkafka takes them.
pub(super) fn list(names: &Names, positions: &[Position]) -> Result<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for position in positions {
        let at = i64::try_from(position.offset)
            .map_err(|_| LogError::Damaged(format!("{} is not an offset", position.offset)))?;
        list.add_partition_offset(names.of(position.topic), partition(position.partition)?, KafkaOffset::Offset(at))
            .map_err(unavailable)?;
    }
    Ok(list)
}

/// The positions in a list; partitions without one are left out.
pub(super) fn positions(names: &Names, list: &TopicPartitionList) -> Result<Vec<Position>> {
    let mut found = Vec::new();
    for element in list.elements() {
        if let KafkaOffset::Offset(at) = element.offset() {
            let topic = names.topic(element.topic())?;
            found.push(position(topic, element.partition(), at)?);
        }
    }
    Ok(found)
}
