//! How long it takes to write and read a `mail.raw` value with 10 KiB of mail:
//! `cargo run --release -p schemas --example codec_speed`.

use std::hint::black_box;
use std::time::Instant;

use schemas::event::{Door, MailRaw, Peer};
use schemas::{Event, MessageId, Topic, codec};

const ROUNDS: u32 = 200_000;

fn main() -> Result<(), codec::CodecError> {
    let event = Event::Raw(MailRaw {
        message_id: MessageId::from_parts(1_764_000_000_000, [7; 10]),
        arrived_at: 1_764_000_000_000,
        door: Door::Smtp,
        peer: Some(Peer { ip: "192.0.2.1".to_owned(), port: 40_000 }),
        received_by: "mx.example.org".to_owned(),
        helo: Some("client.example.com".to_owned()),
        esmtp: true,
        tls: None,
        login: None,
        mail_from: "sender@example.com".to_owned(),
        recipients: vec!["ann@example.org".to_owned()],
        smtputf8: false,
        content: vec![b'x'; 10 * 1024],
    });
    let value = codec::encode(&event)?;
    let start = Instant::now();
    for _ in 0..ROUNDS {
        black_box(codec::encode(black_box(&event))?);
    }
    println!("encode {} bytes: {:?}", value.len(), start.elapsed() / ROUNDS);
    let start = Instant::now();
    for _ in 0..ROUNDS {
        black_box(codec::decode(Topic::MailRaw, black_box(&value))?);
    }
    println!("decode {} bytes: {:?}", value.len(), start.elapsed() / ROUNDS);
    Ok(())
}
