//! Tries the log on a Kafka: append, join, commit, tail; prints how long each took.
use eventlog::kafka::{KafkaLog, KafkaSettings};
use eventlog::{Limits, Log};
use schemas::{NewRecord, Position, Topic};
use std::time::{Duration, Instant};

#[tokio::main]
async fn main() {
    let settings = KafkaSettings {
        brokers: std::env::args().nth(1).unwrap(),
        prefix: String::new(),
        node_id: Some("n1".into()),
        partitions: 3,
        replication: 1,
        retention: None,
        max_record_bytes: 30 << 20,
        message_timeout: Duration::from_secs(10),
        start_timeout: Duration::from_secs(30),
        client: Default::default(),
    };
    let t = Instant::now();
    let log = KafkaLog::open(settings).await.unwrap();
    println!("open {:?} {:?}", t.elapsed(), log.id());
    for _ in 0..3 {
        let t = Instant::now();
        let p = log.append(vec![NewRecord::new(Topic::MailRaw, "k", vec![1u8; 10_000])]).await.unwrap();
        println!("append {:?} {p:?}", t.elapsed());
    }
    let t = Instant::now();
    let mut member = log.join("g", &[Topic::MailRaw]).await.unwrap();
    println!("join {:?}", t.elapsed());
    let limits = Limits { records: 100, bytes: 1 << 20, wait: Duration::from_secs(1) };
    for _ in 0..30 {
        let t = Instant::now();
        let records = member.poll(&limits).await.unwrap();
        println!("poll {:?} {}", t.elapsed(), records.len());
        let Some(last) = records.last() else { continue };
        let outs = records
            .iter()
            .map(|r| {
                NewRecord::new(Topic::MailParsed, "k", r.value.clone().unwrap()).in_partition(r.position.partition)
            })
            .collect();
        let t = Instant::now();
        member.commit(outs, &[last.position.next()]).await.unwrap();
        println!("commit {:?}", t.elapsed());
        log.append(vec![NewRecord::new(Topic::MailRaw, "k", vec![1u8; 10_000])]).await.unwrap();
    }
    println!("{:?}", log.committed("g").await);
    println!("{:?}", log.bounds(Topic::MailParsed).await);
    let mut tail = log
        .tail(&[
            Position::new(Topic::MailParsed, 0, 0),
            Position::new(Topic::MailParsed, 1, 0),
            Position::new(Topic::MailParsed, 2, 0),
        ])
        .await
        .unwrap();
    let t = Instant::now();
    println!("tail {} {:?}", tail.poll(&limits).await.unwrap().len(), t.elapsed());
}
