//! Messages for whoever classifies them without a log: from their bytes, or from what a form says of them.

use schemas::MessageId;
use schemas::event::{HeaderField, MailParsed};

use crate::parse;

/// A message as the classifier reads it, from its bytes (RFC 5322; LF or CRLF).
pub fn read(content: Vec<u8>) -> MailParsed {
    parse::parse_content(&MessageId::from_parts(0, [0; 10]), &content, 0)
}

/// A message of which no more is known than this.
pub fn of_parts(to: &str, from: &str, subject: &str, text: &str) -> MailParsed {
    let field = |name: &str, value: &str| HeaderField { name: name.to_owned(), value: value.to_owned() };
    let (text, text_cut) = parse::limits::cut(text.to_owned(), parse::limits::MAX_TEXT_BYTES);
    MailParsed {
        headers: vec![field("From", from), field("To", to), field("Subject", subject)],
        from: parse::addresses_of(from),
        subject: subject.to_owned(),
        links: parse::links_of(&text),
        size_bytes: i64::try_from(text.len()).unwrap_or(i64::MAX),
        text: Some(text),
        text_cut,
        ..read(Vec::new())
    }
}

/// What a person reads of a message: its text, or its HTML read as text.
pub fn text_of(parsed: &MailParsed) -> String {
    match (&parsed.text, &parsed.html) {
        (Some(text), _) => text.clone(),
        (None, Some(html)) => parse::html_as_text(html),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tokens_of;
    use super::*;

    #[test]
    fn parts_have_the_tokens_that_the_whole_message_has() {
        let parts = of_parts("ann@example.com", "Bob <bob@shop.example>", "Buy now", "See http://shop.example/now\n");
        let whole = "From: Bob <bob@shop.example>\r\nTo: ann@example.com\r\nSubject: Buy now\r\n\r\n\
                     See http://shop.example/now\r\n";
        assert_eq!(tokens_of(&parts), tokens_of(&read(whole.as_bytes().to_vec())));
    }

    #[test]
    fn line_ends_make_no_difference() {
        let mail = "Subject: Hello\nX-Long: a\n b\nContent-Type: text/html\n\n<p>Hello\nAnn</p>\n";
        let crlf = mail.replace('\n', "\r\n");
        assert_eq!(tokens_of(&read(mail.as_bytes().to_vec())), tokens_of(&read(crlf.into_bytes())));
    }
}
