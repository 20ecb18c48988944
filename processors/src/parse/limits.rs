//! What a message may cost. Everything that its sender controls has a limit here; what lies over it is left out, and
//! the fact's `problems` name the limit.

/// Bytes of a message that are looked at.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of the message's own header that are read.
pub const MAX_HEADER_BYTES: usize = 256 * 1024;
/// Fields of the message's own header.
pub const MAX_HEADER_FIELDS: usize = 1000;
/// Bytes of one part's header that are read.
pub const MAX_PART_HEADER_BYTES: usize = 16 * 1024;
/// Bytes of all parts' headers together.
pub const MAX_PART_HEADERS_BYTES: usize = 1024 * 1024;
/// Parameters of a Content-Type or Content-Disposition, continuations (RFC 2231 3) counted one by one.
pub const MAX_PARAMETERS: usize = 100;
/// Multiparts inside one another.
pub const MAX_DEPTH: usize = 50;
/// Parts, multiparts counted; so there are fewer attachments than that.
pub const MAX_PARTS: usize = 1000;
/// Lines that look like a delimiter and are compared with the boundaries.
pub const MAX_DELIMITERS: usize = 100_000;
/// Bytes of a boundary. RFC 2046 5.1.1 allows 70; some senders don't care.
pub const MAX_BOUNDARY_BYTES: usize = 256;
/// Bytes of decoded header values in `mail.parsed`.
pub const MAX_HEADER_VALUES_BYTES: usize = 512 * 1024;
/// Mailboxes of all address headers together.
pub const MAX_ADDRESSES: usize = 2000;
/// Bytes of text, and of HTML, in `mail.parsed`.
pub const MAX_TEXT_BYTES: usize = 256 * 1024;
/// Bytes of text, and of HTML, given to whoever reads a message.
pub const MAX_READ_BYTES: usize = 32 * 1024 * 1024;
/// Bytes of HTML with its images written into it.
pub const MAX_DIRTY_BYTES: usize = 48 * 1024 * 1024;
/// Links.
pub const MAX_LINKS: usize = 200;
/// Bytes of a link; a longer one is left out, since half of it leads elsewhere.
pub const MAX_LINK_BYTES: usize = 2048;
/// Bytes of an attachment's file name, content id and the like.
pub const MAX_NAME_BYTES: usize = 255;
/// Problems that are named.
pub const MAX_PROBLEMS: usize = 20;

/// What could not be read, each said once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Problems(Vec<String>);

impl Problems {
    pub(crate) fn add(&mut self, problem: impl Into<String>) {
        let problem = problem.into();
        if self.0.len() < MAX_PROBLEMS && !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    pub(crate) fn into_texts(self) -> Vec<String> {
        self.0
    }
}

/// The text, not longer than so many bytes, cut between two characters; and whether it was cut.
pub(crate) fn cut(mut text: String, max_bytes: usize) -> (String, bool) {
    if text.len() <= max_bytes {
        return (text, false);
    }
    let end = (0..=max_bytes).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.truncate(end);
    (text, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("häh".into(), 4), ("häh".into(), false));
        assert_eq!(cut("häh".into(), 3), ("hä".into(), true));
        assert_eq!(cut("häh".into(), 2), ("h".into(), true));
    }

    #[test]
    fn problems_are_named_once_and_not_without_end() {
        let mut problems = Problems::default();
        for number in 0..100 {
            problems.add(format!("problem {}", number / 2));
        }
        let texts = problems.into_texts();
        assert_eq!(texts.len(), MAX_PROBLEMS);
        assert_eq!(texts[1], "problem 1");
    }
}
