//! Every limit of `parse::limits`: what lies at it is read, what lies over it is left out and named; and whatever a
//! mail does, the fact about it stays small.

use processors::parse::limits::{
    MAX_ADDRESSES, MAX_BOUNDARY_BYTES, MAX_DELIMITERS, MAX_DEPTH, MAX_HEADER_BYTES, MAX_HEADER_FIELDS,
    MAX_HEADER_VALUES_BYTES, MAX_LINK_BYTES, MAX_LINKS, MAX_MESSAGE_BYTES, MAX_PARAMETERS, MAX_PART_HEADER_BYTES,
    MAX_PART_HEADERS_BYTES, MAX_PARTS, MAX_PROBLEMS, MAX_TEXT_BYTES,
};
use processors::parse::{parse, read};
use schemas::event::MailParsed;

use crate::hostile::{self, raw};

fn parsed(mail: &str) -> MailParsed {
    parse(&raw(mail.as_bytes().to_vec()), 0)
}

/// Parses both, and says that the first is read without a problem and the second names this limit.
fn at_and_over(at: &str, over: &str, limit: usize) -> (MailParsed, MailParsed) {
    let (at, over) = (parsed(at), parsed(over));
    assert_eq!(at.problems, Vec::<String>::new());
    assert!(over.problems.iter().any(|problem| problem.contains(&limit.to_string())), "{:?}", over.problems);
    (at, over)
}

#[test]
fn header_bytes() {
    let mail = |bytes: usize| format!("A: 1\r\nB: {}\r\nC: 3\r\n\r\nbody", "b".repeat(bytes - 17));
    let (at, over) = at_and_over(&mail(MAX_HEADER_BYTES), &mail(MAX_HEADER_BYTES + 1), MAX_HEADER_BYTES);
    assert_eq!((at.headers.len(), over.headers.len()), (3, 2));
    assert_eq!((at.text.as_deref(), over.text.as_deref()), (Some("body"), Some("body")));
}

#[test]
fn header_fields() {
    let mail = |fields: usize| format!("{}\r\nbody", "A: 1\r\n".repeat(fields));
    let (at, over) = at_and_over(&mail(MAX_HEADER_FIELDS), &mail(MAX_HEADER_FIELDS + 1), MAX_HEADER_FIELDS);
    assert_eq!((at.headers.len(), over.headers.len()), (MAX_HEADER_FIELDS, MAX_HEADER_FIELDS));
    assert_eq!(over.text.as_deref(), Some("body"));
}

#[test]
fn bytes_of_header_values() {
    // Each byte of Windows-1252 becomes three of UTF-8.
    let mail = |values: usize| {
        let mut bytes = b"A: ".to_vec();
        bytes.resize(3 + values / 3, 0x80);
        bytes.extend_from_slice(b"\r\nB:");
        bytes.resize(bytes.len() + values % 3, b'b');
        bytes.extend_from_slice(b"\r\n\r\n");
        parse(&raw(bytes), 0)
    };
    let (at, over) = (mail(MAX_HEADER_VALUES_BYTES), mail(MAX_HEADER_VALUES_BYTES + 1));
    assert_eq!(at.problems, Vec::<String>::new());
    assert!(over.problems[0].contains(&MAX_HEADER_VALUES_BYTES.to_string()), "{:?}", over.problems);
}

#[test]
fn addresses() {
    let mail = |count: usize| format!("To: {}\r\n\r\n", "a@b.c,".repeat(count));
    let (at, over) = at_and_over(&mail(MAX_ADDRESSES), &mail(MAX_ADDRESSES + 1), MAX_ADDRESSES);
    assert_eq!((at.to.len(), over.to.len()), (MAX_ADDRESSES, MAX_ADDRESSES));
}

#[test]
fn parameters() {
    let mail = |count: usize| {
        let others = (1..count).map(|number| format!("; p*{number}*=a")).collect::<String>();
        format!("Content-Type: text/html; charset=utf-8{others}\r\n\r\n<p>é")
    };
    let (at, over) = at_and_over(&mail(MAX_PARAMETERS), &mail(MAX_PARAMETERS + 1), MAX_PARAMETERS);
    assert_eq!((at.html.as_deref(), over.html.as_deref()), (Some("<p>é"), Some("<p>é")));
}

#[test]
fn parts() {
    let mail = |parts: usize| {
        let parts = "--b\r\nContent-Type: a/b\r\n\r\n\r\n".repeat(parts - 1);
        format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n")
    };
    let (at, over) = at_and_over(&mail(MAX_PARTS), &mail(MAX_PARTS + 1), MAX_PARTS);
    assert_eq!((at.attachments.len(), over.attachments.len()), (MAX_PARTS - 1, MAX_PARTS - 1));
}

fn nested(depth: usize) -> String {
    let mut mail = String::new();
    for level in 0..depth {
        mail.push_str(&format!("Content-Type: multipart/mixed; boundary=b{level}b\r\n\r\n--b{level}b\r\n"));
    }
    mail.push_str("\r\ndeep\r\n");
    for level in (0..depth).rev() {
        mail.push_str(&format!("--b{level}b--\r\n"));
    }
    mail
}

#[test]
fn depth() {
    let (at, over) = at_and_over(&nested(MAX_DEPTH), &nested(MAX_DEPTH + 1), MAX_DEPTH);
    assert_eq!((at.text.as_deref(), at.attachments.len()), (Some("deep"), 0));
    assert_eq!((over.text, over.attachments[0].content_type.as_str()), (None, "multipart/mixed"));
}

#[test]
fn delimiters() {
    let mail = |lines: usize| {
        let near = "--x\n".repeat(lines - 2);
        format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: a/b\r\n\r\n{near}--b--\r\n")
    };
    let (at, _) = at_and_over(&mail(MAX_DELIMITERS), &mail(MAX_DELIMITERS + 1), MAX_DELIMITERS);
    assert_eq!(at.attachments.len(), 1);
}

#[test]
fn boundary_bytes() {
    let mail = |bytes: usize| {
        let boundary = "b".repeat(bytes);
        format!("Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n--{boundary}\r\n\r\nx\r\n--{boundary}--")
    };
    assert_eq!(parsed(&mail(MAX_BOUNDARY_BYTES)).text.as_deref(), Some("x"));
    let over = parsed(&mail(MAX_BOUNDARY_BYTES + 1));
    assert_eq!(over.problems, ["a multipart has no boundary that can be used"]);
}

#[test]
fn bytes_of_one_parts_header() {
    let mail = |bytes: usize| {
        let long = "x".repeat(bytes - 5);
        format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: {long}\r\n\r\ntext\r\n--b--\r\n")
    };
    at_and_over(&mail(MAX_PART_HEADER_BYTES), &mail(MAX_PART_HEADER_BYTES + 1), MAX_PART_HEADER_BYTES);
}

#[test]
fn bytes_of_all_parts_headers() {
    let part = format!("--b\r\nX: {}\r\n\r\n\r\n", "x".repeat(8183));
    let mail =
        |parts: usize| format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}--b--\r\n", part.repeat(parts));
    let parts = MAX_PART_HEADERS_BYTES / 8190 + 1;
    at_and_over(&mail(parts), &mail(parts + 1), MAX_PART_HEADERS_BYTES);
}

#[test]
fn bytes_of_the_message() {
    let mail = |bytes: usize| {
        let mut content = b"A: 1\r\n\r\n".to_vec();
        content.resize(bytes, b'x');
        parse(&raw(content), 0)
    };
    assert_eq!(mail(MAX_MESSAGE_BYTES).problems, Vec::<String>::new());
    let over = mail(MAX_MESSAGE_BYTES + 1);
    assert!(over.problems[0].contains(&MAX_MESSAGE_BYTES.to_string()));
    assert_eq!(over.size_bytes, i64::try_from(MAX_MESSAGE_BYTES + 1).unwrap());
}

#[test]
fn bytes_of_text_and_html() {
    for kind in ["plain", "html"] {
        let mail = |bytes: usize| parsed(&format!("Content-Type: text/{kind}\r\n\r\n{}", "x".repeat(bytes)));
        let (at, over) = (mail(MAX_TEXT_BYTES), mail(MAX_TEXT_BYTES + 1));
        assert!(!at.text_cut && !at.html_cut);
        assert_eq!((over.text_cut, over.html_cut), (kind == "plain", kind == "html"));
        assert_eq!(over.text.or(over.html).unwrap().len(), MAX_TEXT_BYTES);
    }
}

#[test]
fn what_is_cut_in_the_fact_is_whole_for_whoever_reads_the_message() {
    let text = "é".repeat(MAX_TEXT_BYTES);
    let mail = format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{text}");
    assert!(parsed(&mail).text_cut);
    assert_eq!(read::text(mail.as_bytes()), text);
}

#[test]
fn whatever_a_mail_does_the_fact_about_it_stays_small() {
    for (name, make) in hostile::ALL {
        let mail = raw(make(2 * 1024 * 1024));
        let fact = parse(&mail, 7);
        let text = fact.text.as_ref().map_or(0, String::len);
        let html = fact.html.as_ref().map_or(0, String::len);
        assert!(text <= MAX_TEXT_BYTES && html <= MAX_TEXT_BYTES, "{name}");
        let headers: usize = fact.headers.iter().map(|header| header.value.len()).sum();
        assert!(headers <= MAX_HEADER_VALUES_BYTES && fact.headers.len() <= MAX_HEADER_FIELDS, "{name}");
        assert!(fact.links.len() <= MAX_LINKS, "{name}");
        assert!(fact.links.iter().all(|link| link.len() <= MAX_LINK_BYTES), "{name}");
        assert!(fact.attachments.len() < MAX_PARTS && fact.problems.len() <= MAX_PROBLEMS, "{name}");
        assert_eq!(fact, parse(&mail, 7), "{name}: twice the same");
    }
}
