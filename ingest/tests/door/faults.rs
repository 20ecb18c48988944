//! What a peer hears when the log does not take its mail: everything but 250.

use eventlog::LogError;
use ingest::Settings;

use crate::fake_log::Cue;
use crate::peer::Peer;

const MESSAGE: &str = "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\ntext\r\n.\r\n";

#[tokio::test(start_paused = true)]
async fn a_message_is_acknowledged_exactly_when_the_log_has_it() {
    let failures: [fn() -> LogError; 3] = [
        || LogError::Full(String::new()),
        || LogError::Unavailable(String::new()),
        || LogError::TooLarge { size_bytes: 2, limit_bytes: 1 },
    ];
    for pattern in 0..4_usize.pow(4) {
        let mut peer = Peer::after(Settings::default(), "EHLO client.example\r\n").await;
        for turn in 0..4 {
            let failure = failures.get((pattern >> (2 * turn)) & 3);
            if let Some(failure) = failure {
                peer.log.cue(Cue::Fail(failure()));
            }
            let codes = peer.ask(MESSAGE.as_bytes()).await;
            let acknowledged = codes.last() == Some(&250);
            assert_eq!(acknowledged, failure.is_none());
            assert_eq!(peer.log.take().len(), usize::from(acknowledged));
        }
        peer.vanish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_acknowledged_while_the_log_is_at_work() {
    let mut peer = Peer::after(Settings::default(), "EHLO client.example\r\n").await;
    peer.log.cue(Cue::Hold);
    // The replies to the burst leave with the one to the message, unless the peer has to be waited for.
    assert!(peer.ask(MESSAGE.as_bytes()).await.is_empty());
    peer.log.release();
    assert_eq!(peer.ask(b"").await, [250, 250, 354, 250]);
    peer.vanish().await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_vanishes_while_the_log_is_at_work_harms_nobody() {
    let mut peer = Peer::after(Settings::default(), "EHLO client.example\r\n").await;
    peer.log.cue(Cue::Hold);
    peer.send(MESSAGE.as_bytes()).await;
    peer.hear().await;
    let log = peer.log.clone();
    log.release();
    peer.vanish().await;
    assert_eq!(log.take().len(), 1, "it may be there; what is promised is only that a 250 means so");
}

#[tokio::test(start_paused = true)]
async fn mails_for_one_recipient_have_a_moment_each() {
    let mut peer = Peer::after(Settings::default(), "EHLO client.example\r\n").await;
    assert_eq!(peer.ask(MESSAGE.repeat(100).as_bytes()).await.last(), Some(&250));
    let moments = peer.log.take().iter().map(|raw| raw.arrived_at).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(moments.len(), 100);
    peer.vanish().await;
}
