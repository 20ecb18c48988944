//! What a message says, as far as it can be read. `structure` finds the parts in one pass and within limits, so that
//! mail-parser, which reads values and encodings, never sees more than a field or a part.
//!
//! - Text and HTML are cut at [`limits::MAX_TEXT_BYTES`] in the fact; whoever reads a message gets them whole
//!   ([`read`]), and the bytes as they arrived stay on `mail.raw`.
//! - A text part's CRLF becomes LF. The line end before a delimiter is the delimiter's.
//! - Nested messages are attachments.

mod attachments;
mod body;
mod decode;
mod fields;
mod html;
mod html_text;
pub mod limits;
mod links;
pub mod read;
mod structure;
mod values;
mod words;

use schemas::MessageId;
use schemas::event::{Address, HeaderField, MailParsed, MailRaw};

use self::fields::Field;
use self::limits::{MAX_ADDRESSES, MAX_HEADER_VALUES_BYTES, MAX_LINKS, MAX_TEXT_BYTES, Problems, cut};
use self::links::Links;
use self::structure::{Mail, field};

/// Fields that a message has at most once (RFC 5322 3.6), and that readers would show differently if it had two.
const AT_MOST_ONCE: [&str; 9] =
    ["from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id", "content-type"];

/// Reads a message that stands at `raw_offset` on `mail.raw`.
pub fn parse(raw: &MailRaw, raw_offset: i64) -> MailParsed {
    parse_content(&raw.message_id, &raw.content, raw_offset)
}

/// The same for bytes that come without their envelope: what a message says does not depend on it.
pub fn parse_content(message_id: &MessageId, content: &[u8], raw_offset: i64) -> MailParsed {
    let mail = Mail::read(content);
    let charset = mail.charset();
    let mut problems = mail.problems.clone();
    let headers = header_fields(&mail.fields, charset, &mut problems);
    name_ambiguous(&mail.fields, &mut problems);
    let body = body::read(&mail.leaves, MAX_TEXT_BYTES, &mut problems);
    let mut links = Links::default();
    links.add_text(body.text.content.as_deref().unwrap_or_default());
    links.add_html(body.html.content.as_deref().unwrap_or_default());
    if links.over {
        problems.add(format!("the message has more than the {MAX_LINKS} links that are kept"));
    }
    let attachments = attachments::of(&mail.leaves, &body.leaves).map(|(one, _)| one).collect();
    let mut room = MAX_ADDRESSES;
    let mut all = |name: &str| addresses(&mail, name, &mut room, &mut problems);
    let (from, to, cc, bcc, reply_to) = (all("from"), all("to"), all("cc"), all("bcc"), all("reply-to"));
    MailParsed {
        message_id: message_id.clone(),
        raw_offset,
        headers,
        from,
        to,
        cc,
        bcc,
        reply_to,
        subject: field(&mail.fields, "subject").map(|value| values::text(value, charset)).unwrap_or_default(),
        date: field(&mail.fields, "date").and_then(values::date),
        text: body.text.content,
        text_cut: body.text.is_cut,
        html: body.html.content,
        html_cut: body.html.is_cut,
        links: links.into_list(),
        attachments,
        size_bytes: i64::try_from(content.len()).unwrap_or(i64::MAX),
        problems: problems.into_texts(),
    }
}

/// The fields as they are read, names as sent.
fn header_fields(fields: &[Field<'_>], charset: Option<&str>, problems: &mut Problems) -> Vec<HeaderField> {
    let mut room = MAX_HEADER_VALUES_BYTES;
    let mut headers = Vec::with_capacity(fields.len());
    for field in fields {
        let (value, was_cut) = cut(values::text(field.value, charset), room);
        room -= value.len();
        headers.push(HeaderField { name: field.name.to_owned(), value });
        if was_cut {
            problems.add(format!("the header says more than the {MAX_HEADER_VALUES_BYTES} bytes that are kept"));
            break;
        }
    }
    headers
}

/// The mailboxes of every field of this name.
fn addresses(mail: &Mail<'_>, name: &str, room: &mut usize, problems: &mut Problems) -> Vec<Address> {
    let mut found = Vec::new();
    for field in mail.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name)) {
        if found.len() > *room {
            break;
        }
        values::addresses(field.value, mail.charset(), &mut found);
    }
    if found.len() > *room {
        problems.add(format!("the header names more than the {MAX_ADDRESSES} addresses that are kept"));
        found.truncate(*room);
    }
    *room -= found.len();
    found
}

/// The mailboxes of an address field's value, for messages that are given in parts.
pub(crate) fn addresses_of(value: &str) -> Vec<Address> {
    let mut found = Vec::new();
    values::addresses(value.as_bytes(), None, &mut found);
    found.truncate(MAX_ADDRESSES);
    found
}

/// The links of a text.
pub(crate) fn links_of(text: &str) -> Vec<String> {
    let mut links = Links::default();
    links.add_text(text);
    links.into_list()
}

/// HTML read as text, for the tokens of the spam score.
pub(crate) fn html_as_text(html: &str) -> String {
    html_text::to_text(html, false)
}

/// What a document is made of, for the tokens of the spam score.
pub(crate) enum HtmlName<'a> {
    Tag(&'a str),
    Attribute(&'a str),
}

/// The names of a document's tags, and of each tag's attributes.
pub(crate) fn html_names(html: &str, mut take: impl FnMut(HtmlName<'_>)) {
    for token in html::Tokens::of(html) {
        let html::Token::Tag { name, is_end: false, attributes } = token else { continue };
        take(HtmlName::Tag(name));
        html::Attributes::of(attributes).for_each(|(name, _)| take(HtmlName::Attribute(name)));
    }
}

fn name_ambiguous(fields: &[Field<'_>], problems: &mut Problems) {
    for name in AT_MOST_ONCE {
        if fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).nth(1).is_some() {
            problems.add(format!("ambiguous: the header has more than one {name}"));
        }
    }
    if fields.iter().any(|field| memchr::memchr(0, field.value).is_some()) {
        problems.add("ambiguous: the header has NUL bytes");
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use schemas::MessageId;
    use schemas::event::Door;

    use super::*;

    pub(crate) fn raw(content: &str) -> MailRaw {
        MailRaw {
            message_id: MessageId::from_parts(0, [0; 10]),
            arrived_at: 1_600_000_000_000,
            door: Door::Smtp,
            peer: None,
            received_by: "mx.example".to_owned(),
            helo: None,
            esmtp: true,
            tls: None,
            login: None,
            mail_from: String::new(),
            recipients: vec!["Ann+tag@Example.org".to_owned()],
            smtputf8: false,
            content: content.as_bytes().to_vec(),
        }
    }

    #[test]
    fn the_text_of_an_alternative_is_exactly_what_was_sent() {
        let mail = "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nMy email body\r\n--b\r\n\
                    Content-Type: text/html\r\n\r\n<p>My email body</p>\r\n--b--\r\n";
        let parsed = parse(&raw(mail), 0);
        assert_eq!(parsed.text.as_deref(), Some("My email body"));
        assert_eq!(parsed.html.as_deref(), Some("<p>My email body</p>"));
    }
}
