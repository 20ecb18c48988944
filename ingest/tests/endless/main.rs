//! What a peer sends without end costs no memory. A program of its own, since the peak is the whole process's.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "the dialogues use the rest")]
#[path = "../door/fake_log.rs"]
mod fake_log;
#[expect(dead_code, reason = "the dialogues use the rest")]
#[path = "../door/peer.rs"]
mod peer;

use ingest::Settings;

use crate::peer::Peer;

const MEBIBYTE: usize = 1024 * 1024;

#[tokio::test(start_paused = true)]
async fn a_command_line_of_a_gibibyte_is_discarded_and_answered_once() {
    let mut peer = Peer::after(Settings::default(), "").await;
    let piece = vec![b'x'; MEBIBYTE];
    for _ in 0..1024 {
        assert!(peer.send(&piece).await);
    }
    assert_eq!(peer.ask(b"\r\n").await, [500]);
    assert_eq!(peer.ask(b"NOOP\r\n").await, [250]);
    assert!(peak_bytes() < 64 * MEBIBYTE, "{} bytes", peak_bytes());
    peer.vanish().await;
}

#[tokio::test(start_paused = true)]
async fn content_of_a_gibibyte_is_discarded_and_answered_once() {
    let mut peer =
        Peer::after(Settings::default(), "EHLO x\r\nMAIL FROM:<a@b> SIZE=1\r\nRCPT TO:<c@d>\r\nDATA\r\n").await;
    let piece = vec![b'x'; MEBIBYTE];
    for _ in 0..1024 {
        assert!(peer.send(&piece).await);
    }
    assert_eq!(peer.ask(b"\r\n.\r\nNOOP\r\n").await, [552, 250]);
    assert!(peak_bytes() < 64 * MEBIBYTE, "{} bytes", peak_bytes());
    assert!(peer.log.take().is_empty());
    peer.vanish().await;
}

/// The most memory that this process has had resident.
fn peak_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    peak.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
