//! Tokens of the header: the fields' names, words of the values of those that are no addresses or ids, and words of the
//! Received lines. Left out are fields in which another filter gave its verdict, since they tell the answer in training
//! and are missing or forged later; fields that say in which mailbox a message came, since they tell the source of the
//! training; and dates. Who sent a message, and by which list, only people teach.

use std::borrow::Cow;

use schemas::event::MailParsed;

use super::{IN_TEXT, Tokens, WORD_BYTES, words};

const ROOM_FOR_SUBJECT: usize = 256;
const ROOM_FOR_FIELDS: usize = 768;
const ROOM_FOR_RECEIVED: usize = 512;
const ROOM_FOR_SENDERS: usize = 128;
/// Bytes of a field's name that has tokens: each word of its value has the name in its own.
const LONGEST_NAME: usize = 128;

/// What stands in the name of a field with somebody's verdict.
const VERDICTS: [&str; 30] = [
    "spam",
    "bogosity",
    "virus",
    "phish",
    "junk",
    "rspamd",
    "crm114",
    "razor",
    "pyzor",
    "brightmail",
    "barracuda",
    "ironport",
    "proofpoint",
    "mimedefang",
    "amavis",
    "scanned",
    "hashcash",
    "authentication-results",
    "received-spf",
    "ms-exchange",
    "forefront",
    "x-mailsac",
    "x-postlog",
    "arc-",
    "x-scl",
    "x-pmx",
    "x-dcc",
    "x-sid-",
    "x-message-delivery",
    "x-message-info",
];

/// How names of fields begin that tell the way to a list or a mailbox.
const SOURCES: [&str; 28] = [
    "list-",
    "x-list",
    "x-mailman",
    "x-beenthere",
    "mailing-list",
    "precedence",
    "x-mailing-list",
    "x-loop",
    "x-egroups",
    "errors-to",
    "delivered-to",
    "x-delivered",
    "x-unsub",
    "x-archive",
    "x-original-to",
    "envelope-to",
    "x-envelope",
    "x-apparently-to",
    "x-reply",
    "status",
    "x-status",
    "x-keywords",
    "x-uid",
    "lines",
    "content-length",
    "x-evolution",
    "x-mozilla",
    "x-received",
];

const DATES: [&str; 7] = [
    "date",
    "x-original-date",
    "resent-date",
    "x-originalarrivaltime",
    "expires",
    "delivery-date",
    "x-originating-time",
];

/// Fields whose values are addresses and ids: they tell who wrote to whom in the training, and nothing of other mail.
const SAID_BY_NAME: [&str; 17] = [
    "to",
    "cc",
    "bcc",
    "reply-to",
    "sender",
    "return-path",
    "apparently-to",
    "resent-from",
    "resent-to",
    "resent-cc",
    "x-sender",
    "x-authentication-warning",
    "message-id",
    "in-reply-to",
    "references",
    "resent-message-id",
    "thread-index",
];

/// Fields whose values only people teach, by how their names begin: who sends a message, and by which list. Whom it is
/// for is not among them: it is in everything that a person gets.
const SENDERS: [&str; 13] = [
    "return-path",
    "reply-to",
    "sender",
    "x-sender",
    "resent-from",
    "message-id",
    "errors-to",
    "list-",
    "x-list",
    "x-beenthere",
    "x-mailing-list",
    "mailing-list",
    "precedence",
];

pub(super) fn add<'a>(tokens: &mut Tokens<'a>, parsed: &'a MailParsed) {
    tokens.open(ROOM_FOR_SUBJECT);
    add_subject(tokens, &parsed.subject);
    for from in &parsed.from {
        tokens.add_words("from:", &from.name, IN_TEXT);
        from.address.split('@').for_each(|part| tokens.add_words("from:", part, IN_VALUE));
    }
    tokens.open(ROOM_FOR_FIELDS);
    for field in parsed.headers.iter().filter(|field| field.name.len() <= LONGEST_NAME) {
        let name = lower(&field.name);
        if tokens.is_full() {
            break;
        }
        if is_left_out(&name) {
            continue;
        }
        tokens.push("header:", name.clone());
        match name.as_ref() {
            // They have tokens of their own.
            "received" | "subject" | "from" => (),
            name if SAID_BY_NAME.contains(&name) => (),
            name if DATES.contains(&name) => (),
            "content-type" => add_type(tokens, &field.value),
            _ => add_value(tokens, &name, &field.value),
        }
    }
    tokens.open(ROOM_FOR_RECEIVED);
    for field in parsed.headers.iter().filter(|field| field.name.eq_ignore_ascii_case("received")) {
        // RFC 5321 4.4: the date stands behind the last semicolon.
        let without_date = field.value.rsplit_once(';').map_or(field.value.as_str(), |(before, _)| before);
        for word in words(without_date, IN_VALUE).filter(|word| !is_of_encryption(word)) {
            tokens.push("received:", word);
        }
    }
    tokens.open(ROOM_FOR_FIELDS);
    for attachment in &parsed.attachments {
        tokens.push("type:", attachment.content_type.as_str());
        let extension = attachment.file_name.rsplit_once('.').map(|(_, extension)| extension);
        if let Some(extension) = extension.filter(|extension| (1..=5).contains(&extension.len())) {
            tokens.push("file:", lower(extension));
        }
    }
    tokens.open(ROOM_FOR_SENDERS);
    tokens.only_people_teach = true;
    for field in parsed.headers.iter().filter(|field| field.name.len() <= LONGEST_NAME) {
        let name = lower(&field.name);
        if SENDERS.iter().any(|sender| name.starts_with(sender)) && !is_verdict(&name) {
            add_value(tokens, &name, &field.value);
        }
    }
    tokens.only_people_teach = false;
}

/// Whether a field has no tokens; its name is given in lower case.
fn is_left_out(name: &str) -> bool {
    is_verdict(name) || SOURCES.iter().any(|source| name.starts_with(source))
}

fn is_verdict(name: &str) -> bool {
    VERDICTS.iter().any(|verdict| name.contains(verdict))
}

/// Whether a word of a Received line says how a host was spoken to: nearly all mail says so today, and what little did
/// in 2002 was spam as often as not.
fn is_of_encryption(word: &str) -> bool {
    matches!(word, "cipher" | "bits" | "version" | "verify" | "verified")
        || ["TLS", "SSL"].iter().any(|name| word.starts_with(name))
        || ["AES", "-SHA"].iter().any(|name| word.contains(name))
}

/// Tags in brackets, and what filters write into a subject, are left out: `[SPAM]`, `*****SPAM*****`, `[list-name]`.
fn add_subject<'a>(tokens: &mut Tokens<'a>, subject: &'a str) {
    let mut rest = subject;
    while let Some((before, tag)) = rest.split_once('[') {
        let Some((_, after)) = tag.split_once(']') else { break };
        add_untagged(tokens, before);
        rest = after;
    }
    add_untagged(tokens, rest);
}

fn add_untagged<'a>(tokens: &mut Tokens<'a>, text: &'a str) {
    for word in words(text, IN_TEXT).filter(|word| !matches!(*word, "SPAM" | "JUNK" | "BULK")) {
        tokens.push("subject:", word);
    }
}

/// Characters that are inside words of a field's value.
const IN_VALUE: &[char] = &['.', '-', '+', '!', '#', '&', '*', '/', '%', '~', '^', '|', '`', '{', '}', '?'];

/// Words with their digits as zeros, so that one version of a program is like the next.
fn add_value<'a>(tokens: &mut Tokens<'a>, name: &str, value: &'a str) {
    for word in words(value, IN_VALUE) {
        if tokens.is_full() {
            return;
        }
        let mut named = String::with_capacity(name.len() + 1 + word.len());
        named.push_str(name);
        named.push(':');
        named.extend(word.chars().map(|character| if character.is_ascii_digit() { '0' } else { character }));
        tokens.push("", named);
    }
}

/// Media type and parameters; a boundary is drawn anew for each message.
fn add_type<'a>(tokens: &mut Tokens<'a>, value: &'a str) {
    for part in value.split([';', ' ', '\t']).filter(|part| WORD_BYTES.contains(&part.len())) {
        let part = lower(part);
        if !part.starts_with("boundary") {
            tokens.push("type:", Cow::Owned(part.replace('"', "")));
        }
    }
}

fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) { text.to_ascii_lowercase().into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_host_was_spoken_to_is_no_token() {
        let line = "from mx.example.org (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)) by shop.example \
                    (version=TLSv1/SSLv3 cipher=DHE-RSA-AES256-SHA verify=NO) with ESMTPS";
        let left: Vec<&str> = words(line, IN_VALUE).filter(|word| !is_of_encryption(word)).collect();
        let expected =
            ["from", "mx.example.org", "using", "with", "256/256", "by", "shop.example", "NO", "with", "ESMTPS"];
        assert_eq!(left, expected);
    }

    #[test]
    fn verdicts_lists_and_mailboxes_are_left_out() {
        for name in [
            "x-spam-status",
            "x-bogosity",
            "x-mailsac-spam",
            "x-ms-exchange-organization-scl",
            "authentication-results",
            "arc-seal",
            "x-virus-scanned",
            "list-id",
            "x-beenthere",
            "precedence",
            "delivered-to",
        ] {
            assert!(is_left_out(name), "{name}");
        }
        for name in ["x-mailer", "received", "message-id", "in-reply-to", "user-agent", "to", "x-priority"] {
            assert!(!is_left_out(name), "{name}");
        }
    }
}
