//! What is bounded is bounded at its number.

use std::time::Duration;

use ingest::Settings;

use crate::peer::Peer;

#[tokio::test(start_paused = true)]
async fn a_thousand_recipients_are_taken_and_the_next_is_to_come_another_time() {
    let mut peer = Peer::after(Settings::default(), "EHLO x\r\nMAIL FROM:<a@b>\r\n").await;
    for number in 0..1000 {
        assert_eq!(peer.ask(format!("RCPT TO:<r{number}@d>\r\n").as_bytes()).await, [250]);
    }
    assert_eq!(peer.ask("RCPT TO:<over@d>\r\n".repeat(100).as_bytes()).await, [452; 100]);
    assert_eq!(peer.ask(b"DATA\r\n.\r\n").await, [354, 250]);
    assert_eq!(peer.log.take()[0].recipients.len(), 1000);
    peer.vanish().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_at_the_default_size_is_taken_and_one_past_it_is_not() {
    let limit = usize::try_from(Settings::default().message_bytes).unwrap();
    for (size, code) in [(limit, 250), (limit + 1, 552)] {
        let mut peer = Peer::after(Settings::default(), "EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n").await;
        let mut content = vec![b'x'; size - 2];
        content.extend_from_slice(b"\r\n.\r\n");
        assert_eq!(peer.ask(&content).await, [code]);
        let sizes: Vec<usize> = peer.log.take().iter().map(|raw| raw.content.len()).collect();
        assert_eq!(sizes, if code == 250 { vec![size] } else { vec![] });
        peer.vanish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_million_received_fields_are_a_loop() {
    let mut peer = Peer::after(Settings::default(), "EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n").await;
    let mut content = b"Received: a\r\n".repeat(1_000_000);
    content.extend_from_slice(b".\r\n");
    assert_eq!(peer.ask(&content).await, [554]);
    peer.vanish().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_after_its_time_however_busy_it_is() {
    let mut peer = Peer::connect(Settings::default());
    let mut codes = Vec::new();
    while codes.last() != Some(&421) {
        tokio::time::sleep(Duration::from_secs(60)).await;
        codes.extend(peer.ask(b"NOOP\r\n").await);
    }
    assert!((58..=61).contains(&codes.len()), "{} minutes", codes.len());
    peer.ended().await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_its_replies_is_left() {
    let mut peer = Peer::connect(Settings { commands_without_mail: u32::MAX, ..Settings::default() });
    // Nothing is heard in between, so both directions fill up; the send fails when the server has hung up.
    let flood = "HELP\r\n".repeat(1000);
    while peer.send(flood.as_bytes()).await {}
    peer.vanish().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_in_very_many_chunks_is_taken_in_time_that_grows_with_its_size() {
    let mut peer = Peer::after(Settings::default(), "EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n").await;
    let chunk = "BDAT 4\r\nX:\r\n".repeat(1000);
    for _ in 0..30 {
        assert_eq!(peer.ask(chunk.as_bytes()).await, [250; 1000]);
    }
    assert_eq!(peer.ask(b"BDAT 0 LAST\r\n").await, [250]);
    assert_eq!(peer.log.take()[0].content.len(), 120_000);
    assert_eq!(peer.ask(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n").await, [250, 250]);
    let codes = peer.ask("BDAT 0\r\n".repeat(3000).as_bytes()).await;
    assert_eq!((codes.len(), codes.last()), (1999, Some(&421)), "empty chunks are no content");
    peer.ended().await;
}
