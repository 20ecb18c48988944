//! Mail that the tests make themselves.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use schemas::event::{Door, MailRaw};
use schemas::{Event, MessageId, codec};

/// A mail that can be told from every other by `token`; the same token and size make the same bytes.
pub fn plain(token: &str, size_bytes: usize) -> Vec<u8> {
    let mut content = format!(
        "From: Sender <sender@example.com>\r\nTo: ann@example.org\r\nSubject: {token}\r\n\
         Date: Mon, 24 Nov 2025 10:00:00 +0000\r\nMessage-ID: <{token}@example.com>\r\n\r\n"
    )
    .into_bytes();
    let seed = token.bytes().fold(size_bytes as u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
    let mut chance = StdRng::seed_from_u64(seed);
    while content.len() < size_bytes {
        let word = chance.random_range(0..u64::MAX);
        // Lines that begin with a dot and lines that are empty are what goes wrong first.
        content.extend(
            match word % 7 {
                0 => format!(".{word:x}\r\n"),
                1 => "\r\n".to_owned(),
                2 => "..\r\n".to_owned(),
                _ => format!("{word:x} {:x} {:x}\r\n", word.rotate_left(13), word.rotate_left(31)),
            }
            .into_bytes(),
        );
    }
    content.extend(format!("end of {token}\r\n").into_bytes());
    content
}

/// A mail as it stands on `mail.raw`: its id, and the record's value.
pub fn raw(subject: &str, recipient: &str) -> (MessageId, Vec<u8>) {
    let message_id = MessageId::from_parts(1_700_000_000_000, [subject.len() as u8; 10]);
    let raw = MailRaw {
        message_id: message_id.clone(),
        arrived_at: 1_700_000_000_000,
        door: Door::Smtp,
        peer: None,
        received_by: "mail.test".into(),
        helo: None,
        esmtp: true,
        tls: None,
        login: None,
        mail_from: "sender@example.com".into(),
        recipients: vec![recipient.to_owned()],
        smtputf8: false,
        content: plain(subject, 300),
    };
    (message_id, codec::encode(&Event::Raw(raw)).unwrap().to_vec())
}

/// Text, HTML with an image inside, and an attachment.
pub fn rich(subject: &str) -> Vec<u8> {
    [
        "From: =?utf-8?q?J=C3=B6rg?= <joerg@example.com>",
        "To: Ann <ann@example.org>, bob@example.org",
        "Cc: carol@example.org",
        &format!("Subject: {subject}"),
        "Date: Mon, 24 Nov 2025 10:00:00 +0000",
        "Message-ID: <rich@example.com>",
        "X-Twice: one",
        "X-Twice: two",
        "MIME-Version: 1.0",
        "Content-Type: multipart/mixed; boundary=outer",
        "",
        "--outer",
        "Content-Type: multipart/related; boundary=inner",
        "",
        "--inner",
        "Content-Type: multipart/alternative; boundary=core",
        "",
        "--core",
        "Content-Type: text/plain; charset=utf-8",
        "",
        "Hello Ann, see https://example.com/welcome?a=1",
        "--core",
        "Content-Type: text/html; charset=utf-8",
        "",
        "<p onclick=\"evil()\">Hello <b>Ann</b> <a href=\"https://example.com/html\">go</a></p>\
         <script>alert(1)</script><img src=\"cid:logo@example.com\">",
        "--core--",
        "--inner",
        "Content-Type: image/png; name=logo.png",
        "Content-Transfer-Encoding: base64",
        "Content-ID: <logo@example.com>",
        "Content-Disposition: inline; filename=logo.png",
        "",
        "iVBORw0KGgo=",
        "--inner--",
        "--outer",
        "Content-Type: text/csv; name=data.csv",
        "Content-Disposition: attachment; filename=data.csv",
        "",
        "a,b",
        "--outer--",
        "",
    ]
    .join("\r\n")
    .into_bytes()
}
