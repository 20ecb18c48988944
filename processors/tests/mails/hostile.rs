//! Mails that are made to cost much, each of about so many bytes.

use schemas::MessageId;
use schemas::event::{Door, MailRaw};

type Make = fn(usize) -> Vec<u8>;

pub const ALL: [(&str, Make); 29] = [
    ("nested_parts", nested_parts),
    ("nested_parts_of_one_boundary", nested_parts_of_one_boundary),
    ("header_of_one_field", header_of_one_field),
    ("header_of_many_fields", header_of_many_fields),
    ("header_of_junk", header_of_junk),
    ("folds", folds),
    ("encoded_words", encoded_words),
    ("open_encoded_words", open_encoded_words),
    ("addresses", addresses),
    ("comments", comments),
    ("continuations", continuations),
    ("continuations_in_parts", continuations_in_parts),
    ("empty_parts", empty_parts),
    ("parts_with_long_headers", parts_with_long_headers),
    ("near_delimiters", near_delimiters),
    ("one_line", one_line),
    ("nuls", nuls),
    ("base64_attachment", base64_attachment),
    ("broken_base64_attachment", broken_base64_attachment),
    ("quoted_printable_attachment", quoted_printable_attachment),
    ("broken_quoted_printable_text", broken_quoted_printable_text),
    ("links", links),
    ("long_links", long_links),
    ("open_tags", open_tags),
    ("open_quotes", open_quotes),
    ("ampersands", ampersands),
    ("cids", cids),
    ("nested_messages", nested_messages),
    ("blank_lines", blank_lines),
];

pub fn raw(content: Vec<u8>) -> MailRaw {
    MailRaw {
        message_id: MessageId::from_parts(0, [0; 10]),
        arrived_at: 0,
        door: Door::Smtp,
        peer: None,
        received_by: String::new(),
        helo: None,
        esmtp: true,
        tls: None,
        login: None,
        mail_from: String::new(),
        recipients: vec!["someone@example.org".to_owned()],
        smtputf8: false,
        content,
    }
}

/// The start, and so many bytes of the pieces, numbered.
fn fill(start: &str, bytes: usize, mut piece: impl FnMut(usize) -> String) -> Vec<u8> {
    let mut content = Vec::with_capacity(bytes + 1024);
    content.extend_from_slice(start.as_bytes());
    let mut number = 0;
    while content.len() < bytes {
        content.extend_from_slice(piece(number).as_bytes());
        number += 1;
    }
    content
}

fn nested_parts(bytes: usize) -> Vec<u8> {
    fill("Content-Type: multipart/mixed; boundary=b0\r\n\r\n", bytes, |number| {
        format!("--b{number}\r\nContent-Type: multipart/mixed; boundary=b{}\r\n\r\n", number + 1)
    })
}

fn nested_parts_of_one_boundary(bytes: usize) -> Vec<u8> {
    fill("Content-Type: multipart/mixed; boundary=b\r\n\r\n", bytes, |_| {
        "--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n".to_owned()
    })
}

fn header_of_one_field(bytes: usize) -> Vec<u8> {
    fill("Subject: ", bytes, |_| "word ".to_owned())
}

fn header_of_many_fields(bytes: usize) -> Vec<u8> {
    fill("", bytes, |_| "a:\n".to_owned())
}

fn header_of_junk(bytes: usize) -> Vec<u8> {
    fill("A: 1\n", bytes, |_| "x\n".to_owned())
}

fn folds(bytes: usize) -> Vec<u8> {
    fill("Subject: a\r\n", bytes, |_| " b\r\n".to_owned())
}

fn encoded_words(bytes: usize) -> Vec<u8> {
    fill("Subject: ", bytes, |_| "=?utf-8?q?a?=".to_owned())
}

fn open_encoded_words(bytes: usize) -> Vec<u8> {
    fill("Subject: ", bytes, |_| "=?a*?b?".to_owned())
}

fn addresses(bytes: usize) -> Vec<u8> {
    fill("To: ", bytes, |_| "a@b,".to_owned())
}

fn comments(bytes: usize) -> Vec<u8> {
    fill("From: ", bytes, |_| "(".to_owned())
}

fn continuations(bytes: usize) -> Vec<u8> {
    let mut mail = fill("Content-Type: text/plain", bytes, |number| format!(";\r\n a*{number}=\"b\""));
    mail.extend_from_slice(b"\r\n\r\nbody");
    mail
}

fn continuations_in_parts(bytes: usize) -> Vec<u8> {
    let part: String = (0..90).map(|number| format!(";\r\n a{number}*{number}*=b''b")).collect();
    fill("Content-Type: multipart/mixed; boundary=b\r\n\r\n", bytes, |_| {
        format!("--b\r\nContent-Type: text/plain{part}\r\nContent-Disposition: attachment{part}\r\n\r\n")
    })
}

fn empty_parts(bytes: usize) -> Vec<u8> {
    fill("Content-Type: multipart/mixed; boundary=b\r\n\r\n", bytes, |_| "--b\r\n\r\n".to_owned())
}

fn parts_with_long_headers(bytes: usize) -> Vec<u8> {
    let long = "x".repeat(15_000);
    fill("Content-Type: multipart/mixed; boundary=b\r\n\r\n", bytes, |_| format!("--b\r\nContent-ID: {long}\r\n\r\n"))
}

fn near_delimiters(bytes: usize) -> Vec<u8> {
    let mut start = "Content-Type: multipart/mixed; boundary=aaaaaaaaaa0\r\n\r\n".to_owned();
    for number in 0..49 {
        start.push_str(&format!(
            "--aaaaaaaaaa{number}\r\nContent-Type: multipart/mixed; boundary=aaaaaaaaaa{}\r\n\r\n",
            number + 1
        ));
    }
    fill(&start, bytes, |_| "--aaaaaaaaaa\n".to_owned())
}

fn one_line(bytes: usize) -> Vec<u8> {
    fill("Subject: a\r\n\r\n", bytes, |_| "word".to_owned())
}

fn nuls(bytes: usize) -> Vec<u8> {
    vec![0; bytes]
}

fn base64_attachment(bytes: usize) -> Vec<u8> {
    let line = format!("{}\r\n", "QUJD".repeat(19));
    fill("Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n", bytes, |_| {
        line.clone()
    })
}

fn broken_base64_attachment(bytes: usize) -> Vec<u8> {
    let line = format!("{}\r\n", "QUJD".repeat(19));
    let mut mail =
        fill("Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n", bytes, |_| line.clone());
    mail.push(b'*');
    mail
}

fn quoted_printable_attachment(bytes: usize) -> Vec<u8> {
    fill("Content-Type: application/pdf\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", bytes, |_| {
        "=41=42=43=44\r\n".to_owned()
    })
}

fn broken_quoted_printable_text(bytes: usize) -> Vec<u8> {
    fill("Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", bytes, |_| "=x".to_owned())
}

fn links(bytes: usize) -> Vec<u8> {
    fill("\r\n", bytes, |number| format!("http://x.org/{} ", number % 150))
}

fn long_links(bytes: usize) -> Vec<u8> {
    let link = format!("http://x.org/{} ", ").".repeat(1010));
    fill("\r\n", bytes, |number| if number % 2 == 0 { link.clone() } else { "http://".repeat(1000) })
}

fn open_tags(bytes: usize) -> Vec<u8> {
    fill("Content-Type: text/html\r\n\r\n", bytes, |_| "<a href=<".to_owned())
}

fn open_quotes(bytes: usize) -> Vec<u8> {
    fill("Content-Type: text/html\r\n\r\n", bytes, |_| "<a href=x'\"><p =\"'>".to_owned())
}

fn ampersands(bytes: usize) -> Vec<u8> {
    fill("Content-Type: text/html\r\n\r\n", bytes, |_| "&".to_owned())
}

fn cids(bytes: usize) -> Vec<u8> {
    let image = "Content-Type: image/png\r\nContent-ID: <i>\r\n\r\n0123456789abcdef\r\n--b\r\n";
    let start =
        format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{image}Content-Type: text/html\r\n\r\n");
    fill(&start, bytes, |number| if number % 2 == 0 { "cid:i ".to_owned() } else { "cid:".to_owned() })
}

fn nested_messages(bytes: usize) -> Vec<u8> {
    fill("", bytes, |_| "Content-Type: message/rfc822\r\n\r\n".to_owned())
}

fn blank_lines(bytes: usize) -> Vec<u8> {
    fill("Content-Type: text/html\r\n\r\n", bytes, |_| "\r\n".to_owned())
}
