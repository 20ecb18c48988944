//! Peers that vanish, and peers that talk nonsense.

use ingest::Settings;

use crate::peer::{BUFFER_BYTES, Peer};

const DIALOGUE: &[u8] =
    b"EHLO client.example\r\nMAIL FROM:<a@b> SIZE=10\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: x\r\n\r\n\
    ..text\r\n.\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 6\r\n1234\r\nBDAT 4 LAST\r\n56\r\nRSET\r\nQUIT\r\n";

#[tokio::test(start_paused = true)]
async fn every_truncation_of_a_dialogue_leaves_whole_messages_only() {
    let first_end = DIALOGUE.windows(5).position(|window| window == b"\r\n.\r\n").unwrap() + 5;
    let second_end = DIALOGUE.windows(4).position(|window| window == b"56\r\n").unwrap() + 4;
    for length in 0..=DIALOGUE.len() {
        let mut peer = Peer::connect(Settings::default());
        peer.send(&DIALOGUE[..length]).await;
        peer.hear().await;
        let log = peer.log.clone();
        peer.vanish().await;
        let appended = log.take();
        assert_eq!(appended.len(), usize::from(length >= first_end) + usize::from(length >= second_end), "{length}");
        let contents: Vec<&[u8]> = appended.iter().map(|raw| &raw.content[..]).collect();
        let whole: [&[u8]; 2] = [b"Subject: x\r\n\r\n.text\r\n", b"1234\r\n56\r\n"];
        assert_eq!(contents, whole[..contents.len()]);
    }
}

#[tokio::test(start_paused = true)]
async fn random_bytes_get_answers_and_no_message() {
    let mut seed: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    const WORDS: [&[u8]; 16] = [
        b"\r\n",
        b"\r",
        b"\n",
        b"\0",
        b".",
        b"\r\n.\r\n",
        b"EHLO x\r\n",
        b"MAIL FROM:<",
        b"RCPT TO:<",
        b"@",
        b">\r\n",
        b"BDAT 3",
        b" LAST\r\n",
        b"RSET\r\n",
        b"\xff\xfe",
        b"SIZE=",
    ];
    for round in 0..300 {
        let mut bytes = Vec::new();
        while bytes.len() < BUFFER_BYTES / 4 {
            let number = random();
            if round % 2 == 0 {
                bytes.extend_from_slice(&number.to_le_bytes());
            } else {
                bytes.extend_from_slice(WORDS[usize::try_from(number % 16).unwrap()]);
            }
        }
        let mut peer = Peer::connect(Settings::default());
        peer.send(&bytes).await;
        peer.hear().await;
        let log = peer.log.clone();
        peer.vanish().await;
        assert!(log.take().iter().all(|raw| !raw.recipients.is_empty()));
    }
}
