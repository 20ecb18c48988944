//! Mail as large as it may be.

use std::sync::Arc;

use eventlog::kafka::{KafkaLog, KafkaSettings};
use eventlog::{Limits, Log, LogError};
use schemas::{NewRecord, Position, Topic};

use super::bench::BrokerBench;
use super::nodes;

/// 25 MiB of mail in its envelope.
const LARGEST: usize = (25 << 20) + (64 << 10);
const COUNT: usize = 4;

/// What no compression makes smaller.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed + 1;
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    });
    words.take(LARGEST / 4).flat_map(u32::to_le_bytes).collect()
}

fn mail(seed: u64, topic: Topic) -> NewRecord {
    NewRecord { key: None, ..NewRecord::new(topic, "", noise(seed)).in_partition(0) }
}

async fn opened() -> Arc<KafkaLog> {
    let bench = BrokerBench::new(1).await;
    KafkaLog::open(KafkaSettings { max_record_bytes: LARGEST, ..bench.settings }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_mail_passes_whole_and_one_byte_more_is_too_large() {
    let log = opened().await;
    let sent: Vec<NewRecord> = (0..COUNT as u64).map(|seed| mail(seed, Topic::MailRaw)).collect();
    log.append(sent.clone()).await.unwrap();
    let mut larger = noise(9);
    larger.push(0);
    let larger = NewRecord { key: None, ..NewRecord::new(Topic::MailRaw, "", larger).in_partition(0) };
    let refused = log.append(vec![larger]).await;
    assert!(matches!(refused, Err(LogError::TooLarge { .. })), "{refused:?}");

    let mut member = log.join("g", &[Topic::MailRaw]).await.unwrap();
    let polled = nodes::poll(member.as_mut(), COUNT).await;
    assert!(polled.iter().zip(&sent).all(|(record, sent)| record.value == sent.value));
    // One of them as an output of a transaction, read by somebody who asks for little at a time.
    member.commit(vec![mail(0, Topic::DeadLetters)], &[polled[COUNT - 1].position.next()]).await.unwrap();
    let mut tail = log.tail(&[Position::new(Topic::DeadLetters, 0, 0)]).await.unwrap();
    let little = Limits { records: 10, bytes: 1, wait: std::time::Duration::from_secs(20) };
    assert_eq!(tail.poll(&little).await.unwrap()[0].value, sent[0].value);
}
