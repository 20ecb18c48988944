//! Topics that are there already are checked at the start.

use std::time::Duration;

use eventlog::kafka::{KafkaLog, KafkaSettings};
use eventlog::{Log, LogError};
use schemas::{NewRecord, Topic};

use super::bench::BrokerBench;

async fn refused(settings: KafkaSettings) -> String {
    match KafkaLog::open(settings).await.err() {
        Some(LogError::Refused(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_would_refuse_or_give_up_mail_is_named_and_stops_the_start() {
    let mut bench = BrokerBench::new(1).await;
    bench.settings.retention = Some(Duration::from_secs(24 * 60 * 60));
    drop(bench.open_log().await);
    let larger = KafkaSettings { max_record_bytes: 200_000, ..bench.settings.clone() };
    let text = refused(larger).await;
    assert!(text.contains("mail.raw has max.message.bytes=") && !text.contains("mail.parsed"), "{text}");
    let longer = KafkaSettings { retention: None, ..bench.settings.clone() };
    let text = refused(longer).await;
    assert!(text.contains("mail.raw has retention.ms=86400000, and -1 was expected"), "{text}");
    let smaller = KafkaSettings { max_record_bytes: 50_000, ..bench.settings.clone() };
    KafkaLog::open(smaller).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_partitions_is_that_of_the_topics_that_are_there() {
    let bench = BrokerBench::new(3).await;
    drop(bench.open_log().await);
    let log = KafkaLog::open(KafkaSettings { partitions: 5, ..bench.settings.clone() }).await.unwrap();
    assert_eq!(log.bounds(Topic::MailRaw).await.unwrap().len(), 3);
    let refused = log.append(vec![NewRecord::new(Topic::MailRaw, "key", "v").in_partition(3)]).await;
    assert!(matches!(refused, Err(LogError::Refused(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_topic_can_not_be_truncated() {
    let log = BrokerBench::new(1).await.open_log().await;
    let position = log.append(vec![NewRecord::new(Topic::SpamModels, "key", "v")]).await.unwrap()[0];
    let refused = log.truncate(&[position.next()]).await;
    assert!(matches!(refused, Err(LogError::Refused(_))), "{refused:?}");
}
