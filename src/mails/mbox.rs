//! The messages of an mbox. A message begins at a line `From sender date` that is the first of the file or follows an
//! empty line; a sentence in a mail that begins with "From " is none, since no date follows. `>From` is unquoted by one
//! (the `mboxrd` form, which every other form reads like).

use std::io::{self, BufRead};

const EMPTY_LINE_BYTES: usize = 2;
const START: &[u8] = b"From ";
const DAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Whether a file that begins so is an mbox.
pub fn is_mbox(head: &[u8]) -> bool {
    is_start(head.split(|byte| *byte == b'\n').next().unwrap_or_default())
}

/// The messages of an mbox, one after the other.
pub struct Mbox<R> {
    reader: R,
    limit_bytes: usize,
    /// Whether the line that begins the next message has been read.
    at_start: bool,
    ended: bool,
}

/// A message, or where one was that is over the limit.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    Bytes(Vec<u8>),
    TooLarge,
}

impl<R: BufRead> Mbox<R> {
    /// Messages over the limit are told of and not held in memory.
    pub fn new(reader: R, limit_bytes: usize) -> Self {
        Self { reader, limit_bytes, at_start: false, ended: false }
    }

    /// `None` at the end.
    pub fn next(&mut self) -> io::Result<Option<Message>> {
        if self.ended {
            return Ok(None);
        }
        let (mut message, mut too_large, mut after_empty) = (Vec::new(), false, !self.at_start);
        let mut line = Vec::new();
        loop {
            line.clear();
            if self.reader.read_until(b'\n', &mut line)? == 0 {
                self.ended = true;
                let was_started = std::mem::replace(&mut self.at_start, false);
                return Ok(was_started.then(|| finished(message, too_large, self.limit_bytes)));
            }
            if after_empty && is_start(&line) {
                if std::mem::replace(&mut self.at_start, true) {
                    return Ok(Some(finished(message, too_large, self.limit_bytes)));
                }
                after_empty = false;
                continue;
            }
            after_empty = matches!(line.as_slice(), b"\n" | b"\r\n");
            // The empty line before the next message may be read too much.
            too_large |= message.len() + line.len() > self.limit_bytes.saturating_add(EMPTY_LINE_BYTES);
            if self.at_start && !too_large {
                message.extend_from_slice(unquoted(&line));
            }
        }
    }
}

/// The empty line before the next message belongs to the mbox.
fn finished(mut message: Vec<u8>, too_large: bool, limit_bytes: usize) -> Message {
    for end in [b"\r\n".as_slice(), b"\n"] {
        let is_empty_line = message.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with(b"\n"));
        if is_empty_line {
            message.truncate(message.len() - end.len());
            break;
        }
    }
    if too_large || message.len() > limit_bytes { Message::TooLarge } else { Message::Bytes(message) }
}

fn unquoted(line: &[u8]) -> &[u8] {
    let behind = line.iter().position(|byte| *byte != b'>').unwrap_or(0);
    let is_quoted = behind > 0 && line.get(behind..).is_some_and(|rest| rest.starts_with(START));
    if is_quoted { line.get(1..).unwrap_or(line) } else { line }
}

/// `From sender Mon Nov 24 10:00:00 2025`, with a time zone before or behind the year or not.
fn is_start(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(START) else { return false };
    let words: Vec<&[u8]> = rest.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
    // The sender may have blanks in it: the date is found by its day, month, number and time.
    words.windows(5).any(|date| match date {
        [day, month, number, time, last] => {
            DAYS.contains(day) && MONTHS.contains(month) && is_number(number, 1, 2) && is_time(time) && is_tail(last)
        }
        _ => false,
    })
}

fn is_number(word: &[u8], least: usize, most: usize) -> bool {
    (least..=most).contains(&word.len()) && word.iter().all(u8::is_ascii_digit)
}

fn is_time(word: &[u8]) -> bool {
    let parts: Vec<&[u8]> = word.split(|byte| *byte == b':').collect();
    (2..=3).contains(&parts.len()) && parts.iter().all(|part| is_number(part, 2, 2))
}

/// The year, or the time zone that stands before it.
fn is_tail(word: &[u8]) -> bool {
    is_number(word, 4, 4)
        || word.iter().all(u8::is_ascii_uppercase)
        || word.strip_prefix(b"+").or(word.strip_prefix(b"-")).is_some_and(|digits| is_number(digits, 4, 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_LINE: &str = "From ann@example.com Mon Nov 24 10:00:00 2025\n";

    fn split(mbox: &str) -> Vec<String> {
        let mut messages = Mbox::new(mbox.as_bytes(), 1000);
        let mut found = Vec::new();
        while let Some(message) = messages.next().unwrap() {
            found.push(match message {
                Message::Bytes(bytes) => String::from_utf8(bytes).unwrap(),
                Message::TooLarge => "too large".to_owned(),
            });
        }
        found
    }

    #[test]
    fn an_mbox_is_split_at_its_from_lines() {
        let mbox = format!("{START_LINE}A: 1\n\none\n\n{START_LINE}A: 2\n\ntwo\n");
        assert_eq!(split(&mbox), ["A: 1\n\none\n", "A: 2\n\ntwo\n"]);
    }

    #[test]
    fn a_sentence_that_begins_with_from_splits_nothing() {
        let mbox = format!("{START_LINE}A: 1\n\nSo:\n\nFrom now on it is Mon.\nFrom Nov 24\n");
        assert_eq!(split(&mbox).len(), 1);
    }

    #[test]
    fn a_from_line_that_follows_no_empty_line_splits_nothing() {
        assert_eq!(split(&format!("{START_LINE}A: 1\n\ntext\n{START_LINE}")).len(), 1);
    }

    #[test]
    fn one_quote_is_taken_from_a_quoted_from_line() {
        let mbox = format!("{START_LINE}A: 1\n\n>From here\n>>From there\n> From\n");
        assert_eq!(split(&mbox), ["A: 1\n\nFrom here\n>From there\n> From\n"]);
    }

    #[test]
    fn crlf_files_and_dates_in_every_form_are_read() {
        for date in [
            "Mon Nov 24 10:00:00 2025",
            "Mon Nov  4 10:00 2025",
            "Mon Nov 24 10:00:00 +0100 2025",
            "Mon Nov 24 10:00:00 CET 2025",
            "Mon Nov 24 10:00:00 2025 +0100",
        ] {
            assert!(is_mbox(format!("From \"Ann B\" <a@x> {date}\r\n").as_bytes()), "{date}");
        }
        let mbox = "From - Mon Nov 24 10:00:00 2025\r\nA: 1\r\n\r\none\r\n\r\nFrom - Mon Nov 24 10:00:00 2025\r\n\r\n";
        assert_eq!(split(mbox), ["A: 1\r\n\r\none\r\n", ""]);
    }

    #[test]
    fn a_mail_is_no_mbox() {
        assert!(!is_mbox(b"From: ann@example.com\n"));
        assert!(!is_mbox(b"From somebody I know\n"));
        assert!(!is_mbox(b""));
        assert!(split("Subject: x\n\nno start\n").is_empty());
    }

    #[test]
    fn a_message_of_the_limit_is_taken_and_one_byte_more_is_told_of() {
        let body = "x".repeat(999);
        assert_eq!(split(&format!("{START_LINE}{body}\n")), [format!("{body}\n")]);
        let both = format!("{START_LINE}{body}x\n\n{START_LINE}small\n");
        assert_eq!(split(&both), ["too large", "small\n"]);
    }

    #[test]
    fn the_last_message_may_end_without_an_end_of_line() {
        assert_eq!(split(&format!("{START_LINE}A: 1\n\nend")), ["A: 1\n\nend"]);
    }
}
