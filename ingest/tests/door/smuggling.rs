//! Text that looks like the end of a message is not the end (CVE-2023-51764, -51765, -51766; VU#302671).

use ingest::Settings;

use crate::peer::Peer;

const SMUGGLED: &[u8] = b"MAIL FROM:<smuggled@b>\r\nRCPT TO:<smuggled@d>\r\nDATA\r\nsmuggled\r\n";
const ENVELOPE: &str = "EHLO client.example\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n";
/// What servers have taken for the end of a message, each without the CRLF that makes a line of it.
const FAKE_ENDS: [(&str, &[u8]); 14] = [
    ("lflf", b"\n.\n"),
    ("crcr", b"\r.\r"),
    ("crlf", b"\r.\n"),
    ("lfcr", b"\n.\r"),
    ("lfcrlf", b"\n.\r\n"),
    ("crlflf", b"\r\n.\n"),
    ("crcrlf", b"\r.\r\n"),
    ("crlfcr", b"\r\n.\r"),
    ("nullbefore", b"\r\n\0.\r\n"),
    ("nullafter", b"\r\n.\0\r\n"),
    ("crlfcrcrlf", b"\r\n.\r\r\n"),
    ("crcrlfcrcrlf", b"\r\r\n.\r\r\n"),
    ("lflfcrlf", b"\n\n.\r\n"),
    ("dotted", b"\r\n..\r\n"),
];

fn message(fake_end: &[u8]) -> Vec<u8> {
    [b"Subject: x\r\n\r\ntext", fake_end, SMUGGLED].concat()
}

/// Whether the peer and the log agree that there was one message, with nothing smuggled, and that it is over.
async fn assert_one_message(peer: &mut Peer, codes: &[u16], fake_end: &[u8], name: &str) {
    let stray = !fake_end.contains(&0) && fake_end != b"\r\n..\r\n";
    assert_eq!(codes, [if stray { 554 } else { 250 }], "{name}: one reply to one message");
    let appended = peer.log.take();
    assert_eq!(appended.len(), usize::from(!stray), "{name}");
    assert!(appended.iter().all(|raw| raw.mail_from == "a@b" && raw.recipients == ["c@d"]), "{name}");
    assert_eq!(peer.ask(b"NOOP\r\n").await, [250], "{name}: in step");
    assert_eq!(peer.ask(b"DATA\r\n").await, [503], "{name}: no message is begun");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_smuggled_by_a_false_end_however_it_is_split() {
    for (name, fake_end) in FAKE_ENDS {
        let content = [&message(fake_end), &b".\r\n"[..]].concat();
        for split in 0..content.len() {
            let mut peer = Peer::after(Settings::default(), &format!("{ENVELOPE}DATA\r\n")).await;
            let (first, second) = content.split_at(split);
            assert!(peer.ask(first).await.is_empty(), "{name}: no reply before the true end, split at {split}");
            let codes = peer.ask(second).await;
            assert_one_message(&mut peer, &codes, fake_end, name).await;
            peer.vanish().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_smuggled_when_each_byte_comes_by_itself() {
    for (name, fake_end) in FAKE_ENDS {
        let mut peer = Peer::after(Settings::default(), &format!("{ENVELOPE}DATA\r\n")).await;
        let content = [&message(fake_end), &b".\r\n"[..]].concat();
        let mut codes = Vec::new();
        for byte in content {
            assert!(codes.is_empty());
            codes = peer.ask(&[byte]).await;
        }
        assert_one_message(&mut peer, &codes, fake_end, name).await;
        peer.vanish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_smuggled_when_all_is_pipelined() {
    for (name, fake_end) in FAKE_ENDS {
        let mut peer = Peer::after(Settings::default(), "").await;
        let all = [format!("{ENVELOPE}DATA\r\n").as_bytes(), &message(fake_end), b".\r\n"].concat();
        let codes = peer.ask(&all).await;
        assert_eq!(codes[..4], [250, 250, 250, 354], "{name}");
        assert_one_message(&mut peer, &codes[4..], fake_end, name).await;
        peer.vanish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_smuggled_by_a_chunk_however_it_is_cut_in_two() {
    for (name, fake_end) in FAKE_ENDS {
        let content = message(fake_end);
        for cut in 0..content.len() {
            let mut peer = Peer::after(Settings::default(), ENVELOPE).await;
            let (first, second) = content.split_at(cut);
            let head = format!("BDAT {}\r\n", first.len());
            let middle = format!("BDAT {} LAST\r\n", second.len());
            let codes = peer.ask(&[head.as_bytes(), first, middle.as_bytes(), second].concat()).await;
            assert_eq!(codes[0], 250, "{name}");
            assert_one_message(&mut peer, &codes[1..], fake_end, name).await;
            peer.vanish().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_end_that_is_none_does_not_end_a_command() {
    for line in [&b"NOOP\nQUIT\r\n"[..], b"NOOP\rQUIT\r\n", b"NOOP\r\r\n", b"NOOP\n\r\n", b"\nQUIT\r\n"] {
        for split in 0..line.len() {
            let mut peer = Peer::after(Settings::default(), "").await;
            assert!(peer.ask(&line[..split]).await.is_empty());
            assert_eq!(peer.ask(&line[split..]).await, [500], "{line:?} split at {split}");
            assert_eq!(peer.ask(b"NOOP\r\n").await, [250]);
            peer.vanish().await;
        }
    }
}
