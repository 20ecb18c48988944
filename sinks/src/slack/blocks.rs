//! What Slack is sent: blocks inside its limits, with nothing of the mail that Slack would take for markup. What is
//! too long is cut, since Slack answers a message over a limit with 400, however often it is sent.
//!
//! Every text of the mail is plain text and escaped all the same (Slack reads `&lt;` as `<` in both), and lengths are
//! counted after that, in UTF-16 units, the greater of the ways in which Slack may count.

use mailstore::Entry;
use schemas::event::Address;
use serde_json::{Value, json};

/// Slack's limits of a header, a section and a button's URL, and what we stay under in the whole message: one of about
/// 13,000 characters is refused though each block is within its limit.
pub const MAX_HEADER_UNITS: usize = 150;
pub const MAX_SECTION_UNITS: usize = 3000;
pub const MAX_URL_UNITS: usize = 3000;
pub const MAX_MESSAGE_UNITS: usize = 12_000;
/// Of the text that notifications show.
const MAX_FALLBACK_UNITS: usize = 300;
/// Of the line that says who wrote to whom.
const MAX_PEOPLE_UNITS: usize = 500;
/// Of one address with its name.
const MAX_PERSON_UNITS: usize = 200;
const ELLIPSIS: &str = "…";
const NO_SUBJECT: &str = "(no subject)";
const NOT_ALL: &str = "\n… (cut; the message has the rest)";

/// What is shown of a message.
pub struct Shown<'a> {
    pub entry: &'a Entry,
    pub text: &'a str,
    /// Whether the first line says who wrote to whom.
    pub to_from: bool,
    /// Where the button leads; none without a URL.
    pub url: Option<&'a str>,
}

/// The message as an incoming webhook takes it.
pub fn message(shown: &Shown<'_>) -> Value {
    let subject = one_line(&shown.entry.subject);
    let subject = if subject.is_empty() { NO_SUBJECT } else { &subject };
    let people = people(shown.entry);
    let mut blocks = Vec::new();
    if shown.to_from {
        blocks.push(json!({ "type": "section", "text": plain(&escaped(&people, MAX_PEOPLE_UNITS)) }));
    }
    blocks.push(json!({ "type": "header", "text": plain(&escaped(subject, MAX_HEADER_UNITS)) }));
    let text = body(shown.text);
    if !text.is_empty() {
        blocks.push(json!({ "type": "section", "text": plain(&text) }));
    }
    if let Some(url) = shown.url.filter(|url| url.encode_utf16().count() <= MAX_URL_UNITS) {
        let button = json!({ "type": "button", "text": plain("Open the message"), "url": url });
        blocks.push(json!({ "type": "actions", "elements": [button] }));
    }
    blocks.push(json!({ "type": "divider" }));
    let fallback = if shown.to_from { format!("{people}: {subject}") } else { subject.to_owned() };
    json!({
        "text": escaped(&fallback, MAX_FALLBACK_UNITS),
        "mrkdwn": false,
        "link_names": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": blocks,
    })
}

/// A text object in which nothing is markup.
fn plain(text: &str) -> Value {
    json!({ "type": "plain_text", "text": text, "emoji": false })
}

/// `sender > recipient`. The sign is an arrow here, so that it can't be mistaken for part of either.
fn people(entry: &Entry) -> String {
    let from = entry.from.first().map_or_else(|| straight(&entry.envelope.mail_from), person);
    let from = if from.is_empty() { "(no sender)".to_owned() } else { from };
    format!("{} → {}", cut(&from, MAX_PERSON_UNITS), cut(&straight(&entry.original_inbox), MAX_PERSON_UNITS))
}

fn person(Address { address, name }: &Address) -> String {
    let (address, name) = (straight(address), straight(name));
    if name.is_empty() { address } else { format!("{name} ({address})") }
}

/// One line without the marks that turn the direction of what follows: with them a name could pass itself off as the
/// address.
fn straight(text: &str) -> String {
    one_line(text).chars().filter(|character| !turns_direction(*character)).collect()
}

const fn turns_direction(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text, escaped and within a section.
fn body(text: &str) -> String {
    fit(controlled(text).trim(), MAX_SECTION_UNITS, NOT_ALL, escape)
}

/// A text as one line: line ends and tabs are blanks, and what else controls is left out.
fn one_line(text: &str) -> String {
    let blank = |character: char| if matches!(character, '\r' | '\n' | '\t') { ' ' } else { character };
    let line: String = text.chars().map(blank).filter(|character| !character.is_control()).collect();
    line.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A text of several lines without what else controls.
fn controlled(text: &str) -> String {
    text.replace("\r\n", "\n").chars().filter(|character| !character.is_control() || *character == '\n').collect()
}

/// The text with `&`, `<` and `>` escaped.
fn escaped(text: &str, most_units: usize) -> String {
    fit(text, most_units, ELLIPSIS, escape)
}

fn cut(text: &str, most_units: usize) -> String {
    fit(text, most_units, ELLIPSIS, |_| None)
}

const fn escape(character: char) -> Option<&'static str> {
    match character {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    }
}

/// As much of the text as fits, cut between characters and between escapes, with a mark where that is not all.
fn fit(text: &str, most_units: usize, mark: &str, escape: impl Fn(char) -> Option<&'static str>) -> String {
    let most_before_mark = most_units.saturating_sub(mark.encode_utf16().count());
    let mut out = String::with_capacity(text.len().min(4 * most_units));
    // Up to where the mark still has room behind it.
    let (mut units, mut room_until) = (0, 0);
    for character in text.chars() {
        let escaped = escape(character);
        units += escaped.map_or(character.len_utf16(), str::len);
        if units > most_units {
            out.truncate(room_until);
            out.push_str(mark);
            break;
        }
        match escaped {
            Some(escaped) => out.push_str(escaped),
            None => out.push(character),
        }
        if units <= most_before_mark {
            room_until = out.len();
        }
    }
    out
}

#[cfg(test)]
mod tests;
