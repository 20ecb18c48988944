//! A header block as its fields: names as sent, values with their folds (RFC 5322 2.2). What a value means is decided
//! in `values`.

use memchr::{memchr, memmem};

/// A field as it stands in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    pub(crate) name: &'a str,
    /// What follows the colon, folds and the last line end included.
    pub(crate) value: &'a [u8],
}

/// A header block and where it ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Header<'a> {
    pub(crate) fields: Vec<Field<'a>>,
    /// Where the body begins; where a block is over its limits, where reading stopped.
    pub(crate) body: usize,
    /// The block is longer, or has more fields, than is read.
    pub(crate) over: Over,
    /// There are lines that are no fields.
    pub(crate) stray_lines: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Over {
    #[default]
    Nothing,
    Bytes,
    Fields,
}

/// How much of a block is read.
#[derive(Clone, Copy)]
pub(crate) struct Most {
    pub(crate) bytes: usize,
    pub(crate) fields: usize,
}

/// The lines of a block, line ends included.
pub(crate) fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = block;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let (line, tail) = rest.split_at_checked(end)?;
        rest = tail;
        Some(line)
    })
}

/// Reads the header block at the start of `content`. `ends` says whether a line ends it although it is not blank, as
/// a delimiter does inside a multipart.
pub(crate) fn read<'a>(content: &'a [u8], most: Most, mut ends: impl FnMut(&[u8]) -> bool) -> Header<'a> {
    let mut header = Header::default();
    let mut offset = 0;
    // Where the value of the last field lies, as long as lines may be added to it.
    let mut open: Option<(&'a str, usize, usize)> = None;
    for line in lines(content) {
        let start = offset;
        offset += line.len();
        let bare = without_line_end(line);
        if bare.is_empty() {
            break;
        }
        if ends(line) {
            offset = start;
            break;
        }
        if offset > most.bytes {
            header.over = Over::Bytes;
            offset = start;
            // A field of which a part would be missing is not one.
            if matches!(bare.first(), Some(b' ' | b'\t')) {
                open = None;
            }
            break;
        }
        let is_fold = matches!(bare.first(), Some(b' ' | b'\t'));
        if is_fold && let Some((_, _, end)) = open.as_mut() {
            *end = offset;
            continue;
        }
        close(&mut open, content, &mut header.fields);
        if header.fields.len() >= most.fields {
            header.over = Over::Fields;
            offset = start;
            break;
        }
        match name_of(bare) {
            Some((name, value_at)) => open = Some((name, start + value_at, offset)),
            None if start == 0 && !is_mbox_line(bare) => {
                // Text without a header: nothing of it is a header.
                offset = 0;
                break;
            }
            None => header.stray_lines = header.stray_lines || !is_mbox_line(bare),
        }
    }
    close(&mut open, content, &mut header.fields);
    header.body = offset;
    header
}

/// Behind the blank line that ends a block of which `from` lies within.
pub(crate) fn end_of_block(content: &[u8], from: usize) -> usize {
    let rest = content.get(from..).unwrap_or_default();
    let strict = memmem::find(rest, b"\n\r\n").map(|at| at + 3);
    let within = strict.and_then(|end| rest.get(..end)).unwrap_or(rest);
    let loose = memmem::find(within, b"\n\n").map(|at| at + 2);
    loose.or(strict).map_or(content.len(), |end| from + end)
}

pub(crate) fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn close<'a>(open: &mut Option<(&'a str, usize, usize)>, content: &'a [u8], fields: &mut Vec<Field<'a>>) {
    if let Some((name, start, end)) = open.take()
        && let Some(value) = content.get(start..end)
    {
        fields.push(Field { name, value });
    }
}

/// RFC 5322 2.2: printable ASCII, and a colon; blanks before the colon are obsolete and read (4.5).
fn name_of(line: &[u8]) -> Option<(&str, usize)> {
    let colon = memchr(b':', line)?;
    let name = line.get(..colon)?.trim_ascii_end();
    let sound = !name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic());
    let name = sound.then(|| std::str::from_utf8(name).ok()).flatten()?;
    Some((name, colon + 1))
}

/// The line that mbox files put before a message.
fn is_mbox_line(line: &[u8]) -> bool {
    line.starts_with(b"From ") || line.starts_with(b">From ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Most = Most { bytes: 100, fields: 3 };

    fn names<'a>(header: &Header<'a>) -> Vec<&'a str> {
        header.fields.iter().map(|field| field.name).collect()
    }

    #[test]
    fn names_stay_as_they_were_sent_and_values_keep_their_folds() {
        let header = read(b"SUBJECT: a\r\n b\r\nx-Y :c\r\n\r\nbody", MOST, |_| false);
        assert_eq!(names(&header), ["SUBJECT", "x-Y"]);
        assert_eq!(header.fields[0].value, b" a\r\n b\r\n");
        assert_eq!(header.body, 26);
    }

    #[test]
    fn a_text_without_a_header_is_all_body() {
        let header = read(b"just text\r\nSubject: no\r\n\r\n", MOST, |_| false);
        assert_eq!((header.fields.len(), header.body), (0, 0));
        assert_eq!(read(b"\r\nbody", MOST, |_| false).body, 2);
        assert_eq!(read(b"", MOST, |_| false), Header::default());
    }

    #[test]
    fn lines_that_are_no_fields_are_passed_over() {
        let header = read(b"From x Mon Jan\nA: 1\njunk\nB: 2", MOST, |_| false);
        assert_eq!(names(&header), ["A", "B"]);
        assert!(header.stray_lines);
    }

    #[test]
    fn as_many_fields_are_read_as_are_allowed_and_not_one_more() {
        let three = b"A: 1\nB: 2\nC: 3\n\nx";
        let four = b"A: 1\nB: 2\nC: 3\nD: 4\n\nx";
        assert_eq!((read(three, MOST, |_| false).over, names(&read(three, MOST, |_| false)).len()), (Over::Nothing, 3));
        let header = read(four, MOST, |_| false);
        assert_eq!((header.over, header.fields.len(), end_of_block(four, header.body)), (Over::Fields, 3, 21));
    }

    #[test]
    fn as_many_bytes_are_read_as_are_allowed_and_not_one_more() {
        let at_limit = format!("A: {}\n\nx", "a".repeat(96));
        assert_eq!(read(at_limit.as_bytes(), MOST, |_| false).over, Over::Nothing);
        let over = format!("A: {}\n\nx", "a".repeat(97));
        let header = read(over.as_bytes(), MOST, |_| false);
        assert_eq!((header.over, header.fields.len(), end_of_block(over.as_bytes(), 0)), (Over::Bytes, 0, 102));
    }

    #[test]
    fn a_line_may_end_the_header_though_it_is_not_blank() {
        let header = read(b"A: 1\r\n--b\r\nB: 2\r\n", MOST, |line| line.starts_with(b"--b"));
        assert_eq!((names(&header), header.body), (vec!["A"], 6));
    }
}
