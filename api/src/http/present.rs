//! A message as its readers get it: the bytes as they arrived, our headers on top, and forged headers in our name
//! taken out. Nothing is parsed: the header is walked line by line.

use std::fmt::Write as _;

use bytes::Bytes;
use mailstore::Entry;
use memchr::memchr;

use super::time;

/// Prefixes of the header fields that only this server writes, in lower case.
const OURS: [&[u8]; 2] = [b"x-mailsac-", b"x-postlog-"];
/// Characters of what a peer said, in a header of ours.
const MAX_VALUE_CHARS: usize = 255;

/// The whole message, in pieces.
pub fn message(entry: &Entry, raw: &Bytes) -> Vec<Bytes> {
    let mut pieces = vec![Bytes::from(top(entry))];
    pieces.extend(without_forged(raw));
    pieces
}

/// The whole message in one piece: what `raw` of the API answers.
pub fn shown(entry: &Entry, raw: &Bytes) -> Bytes {
    Bytes::from(message(entry, raw).concat())
}

/// The header only, with the blank line behind it.
pub fn header(entry: &Entry, raw: &Bytes) -> Bytes {
    let end = header_end(raw);
    let head = raw.slice(..end);
    let mut whole = top(entry).into_bytes();
    without_forged(&head).iter().for_each(|piece| whole.extend_from_slice(piece));
    Bytes::from(whole)
}

/// The headers that this server adds. RFC 5321 4.4: `Received` names who said what, from where, for whom and when.
fn top(entry: &Entry) -> String {
    let envelope = &entry.envelope;
    let mut text = String::with_capacity(512);
    let _ = write!(text, "X-Mailsac-Id: {}\r\nX-Mailsac-Inbox: {}\r\n", entry.id, clean(&entry.inbox));
    let _ = write!(text, "X-Mailsac-Original-Inbox: {}\r\n", clean(&entry.original_inbox));
    let _ = write!(text, "X-Mailsac-Spam: {:.4}\r\n", entry.spam);
    text.push_str("Received: ");
    if let Some(ip) = &envelope.peer_ip {
        let helo = envelope.helo.as_deref().map_or_else(|| "unknown".to_owned(), name);
        let literal = if ip.contains(':') { format!("IPv6:{ip}") } else { ip.clone() };
        let _ = write!(text, "from {helo} ([{}])\r\n\t", name(&literal));
    }
    let message_id = entry.id.split('-').next().unwrap_or_default();
    let _ = write!(text, "by {}", name(&envelope.received_by));
    // RFC 3848: the S is for a session under TLS.
    match (envelope.peer_ip.is_some(), envelope.esmtp, envelope.tls) {
        (false, ..) => {}
        (true, false, _) => text.push_str(" with SMTP"),
        (true, true, false) => text.push_str(" with ESMTP"),
        (true, true, true) => text.push_str(" with ESMTPS"),
    }
    let _ = write!(text, " id {message_id}");
    if let [recipient] = entry.recipients.as_slice() {
        let _ = write!(text, "\r\n\tfor <{}>", clean(recipient));
    }
    let _ = write!(text, ";\r\n\t{}\r\n", time::rfc5322(entry.received_at));
    text
}

/// A host as it may stand in a header, whatever the peer called itself.
fn name(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || ".-_:[]".contains(c) { c } else { '?' };
    let shown: String = text.chars().take(MAX_VALUE_CHARS).map(plain).collect();
    if shown.is_empty() { "unknown".to_owned() } else { shown }
}

/// An address as it may stand in a header.
fn clean(text: &str) -> String {
    let plain = |c: char| if c.is_control() || matches!(c, '<' | '>') { '?' } else { c };
    text.chars().take(MAX_VALUE_CHARS).map(plain).collect()
}

/// The bytes without header fields in our name, and without what would go on a header of ours at the very start.
fn without_forged(raw: &Bytes) -> Vec<Bytes> {
    let mut pieces = Vec::with_capacity(1);
    let end = header_end(raw);
    // The first line is taken as if a header of ours, which stands above it, were forged.
    let (mut kept_from, mut at, mut dropping) = (0, 0, true);
    while at < end {
        let line = line_at(raw, at);
        let continues = matches!(line.first(), Some(b' ' | b'\t'));
        dropping = if continues { dropping } else { is_ours(line) };
        if dropping {
            if kept_from < at {
                pieces.push(raw.slice(kept_from..at));
            }
            kept_from = at + line.len();
        }
        at += line.len();
    }
    pieces.push(raw.slice(kept_from..));
    pieces
}

fn is_ours(line: &[u8]) -> bool {
    OURS.iter().any(|prefix| line.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)))
}

/// Where the header ends: behind its blank line, or at the end of the bytes.
fn header_end(raw: &[u8]) -> usize {
    let mut at = 0;
    while at < raw.len() {
        let line = line_at(raw, at);
        at += line.len();
        if is_blank(line) {
            break;
        }
    }
    at
}

/// The line that starts here, with its line end.
fn line_at(raw: &[u8], at: usize) -> &[u8] {
    let rest = raw.get(at..).unwrap_or_default();
    let length = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
    rest.get(..length).unwrap_or_default()
}

fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"\r\n" | b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(raw: &str) -> String {
        let pieces = without_forged(&Bytes::copy_from_slice(raw.as_bytes()));
        String::from_utf8(pieces.concat()).unwrap()
    }

    #[test]
    fn what_nobody_forged_stays_byte_for_byte() {
        for raw in [
            "From: a\r\nSubject: x\r\n y\r\n\r\nbody X-Mailsac-Spam: 1\r\n",
            "",
            "\r\nonly a body\r\nX-Mailsac-Spam: 1\r\n",
            "no header at all",
            "A: b\nX: c\n\nlf",
            "X-Mailsacx: mine\r\n\r\n",
        ] {
            assert_eq!(kept(raw), raw);
        }
    }

    #[test]
    fn forged_headers_go_with_their_continuations() {
        for (raw, left) in [
            ("A: 1\r\nx-MAILSAC-spam: 0\r\n more\r\n\tmore\r\nB: 2\r\n\r\nb", "A: 1\r\nB: 2\r\n\r\nb"),
            ("X-Postlog-A: 1\r\nX-Mailsac-B: 2\r\nC: 3\r\n\r\nb", "C: 3\r\n\r\nb"),
            ("A: 1\r\nX-Mailsac-B : 2\r\n\r\nb", "A: 1\r\n\r\nb"),
            ("X-Mailsac-B: 2", ""),
            ("A: 1\r\nX-Mailsac-B: 2\r\n 3", "A: 1\r\n"),
        ] {
            assert_eq!(kept(raw), left, "{raw:?}");
        }
    }

    #[test]
    fn a_first_line_can_not_go_on_a_header_of_ours() {
        assert_eq!(kept(" forged\r\n\tmore\r\nA: 1\r\n\r\nb"), "A: 1\r\n\r\nb");
        assert_eq!(kept("A: 1\r\n folded\r\n\r\nb"), "A: 1\r\n folded\r\n\r\nb");
    }

    #[test]
    fn what_a_peer_said_can_not_start_a_header() {
        assert_eq!(name("a\r\nX: b"), "a??X:?b");
        assert_eq!(clean("a\r\n<b>@x"), "a???b?@x");
        assert_eq!(name(""), "unknown");
    }
}
