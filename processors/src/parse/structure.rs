//! A message as its parts, found in one pass: the boundaries of every multipart that is open are looked for at once,
//! so that neither their depth nor their number makes any byte be read twice. Nested messages are not entered: they
//! are attachments.

use memchr::memmem;

use super::decode::Transfer;
use super::fields::{self, Field, Most, Over, without_line_end};
use super::limits::{
    MAX_BOUNDARY_BYTES, MAX_DELIMITERS, MAX_DEPTH, MAX_HEADER_BYTES, MAX_HEADER_FIELDS, MAX_MESSAGE_BYTES,
    MAX_NAME_BYTES, MAX_PARAMETERS, MAX_PART_HEADER_BYTES, MAX_PART_HEADERS_BYTES, MAX_PARTS, Problems, cut,
};
use super::values::{self, Typed};

/// A message as it stands, split, nothing decoded.
#[derive(Debug)]
pub(crate) struct Mail<'a> {
    pub(crate) fields: Vec<Field<'a>>,
    pub(crate) leaves: Vec<Leaf<'a>>,
    pub(crate) problems: Problems,
}

/// A part that has no parts.
#[derive(Debug, Default)]
pub(crate) struct Leaf<'a> {
    /// Lower case, `text/plain` when nothing is said.
    pub(crate) media_type: String,
    pub(crate) charset: Option<String>,
    /// `attachment`, `inline`, or empty.
    pub(crate) disposition: String,
    pub(crate) file_name: String,
    pub(crate) content_id: String,
    /// As the part says it, lower case.
    pub(crate) encoding: String,
    pub(crate) body: &'a [u8],
    /// The number of the multipart/alternative right around it.
    pub(crate) alternative: Option<usize>,
    /// There is a multipart/alternative somewhere around it.
    pub(crate) in_alternative: bool,
    /// It stands in a multipart/related, and not first.
    pub(crate) related: bool,
    /// Nothing readable stands before it.
    pub(crate) is_first: bool,
}

impl Leaf<'_> {
    pub(crate) fn transfer(&self) -> Transfer {
        Transfer::named(&self.encoding)
    }
}

/// A multipart whose end has not been seen.
#[derive(Debug)]
struct Open {
    boundary: Vec<u8>,
    kind: Kind,
    number: usize,
    parts: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Alternative,
    Related,
    Digest,
    Other,
}

enum Entry {
    Entered,
    /// It is a part like others, and what it holds is not looked into.
    TooDeep,
    /// It is text.
    NoBoundary,
}

struct Walk<'a> {
    content: &'a [u8],
    open: Vec<Open>,
    parts: usize,
    delimiters: usize,
    part_header_bytes: usize,
    delimiter_finder: memmem::Finder<'static>,
    leaves: Vec<Leaf<'a>>,
    problems: Problems,
}

/// A delimiter line that was found.
struct Delimiter {
    /// Where what stands before it ends.
    before: usize,
    /// Where what follows it begins.
    after: usize,
    /// Which of the open multiparts it belongs to.
    level: usize,
    is_last: bool,
}

impl<'a> Mail<'a> {
    pub(crate) fn read(content: &'a [u8]) -> Self {
        let mut problems = Problems::default();
        let looked_at = content.get(..MAX_MESSAGE_BYTES).unwrap_or(content);
        if looked_at.len() < content.len() {
            problems.add(format!("the message is longer than the {MAX_MESSAGE_BYTES} bytes that are read"));
        }
        let most = Most { bytes: MAX_HEADER_BYTES, fields: MAX_HEADER_FIELDS };
        let header = fields::read(looked_at, most, |_| false);
        match header.over {
            Over::Nothing => (),
            Over::Bytes => {
                problems.add(format!("the header is longer than the {MAX_HEADER_BYTES} bytes that are read"))
            }
            Over::Fields => {
                problems.add(format!("the header has more than the {MAX_HEADER_FIELDS} fields that are read"))
            }
        }
        if header.stray_lines {
            problems.add("the header has lines that are no fields");
        }
        let body = match header.over {
            Over::Nothing => header.body,
            Over::Bytes | Over::Fields => fields::end_of_block(looked_at, header.body),
        };
        let mut walk = Walk {
            content: looked_at,
            open: Vec::new(),
            parts: 0,
            delimiters: 0,
            part_header_bytes: 0,
            delimiter_finder: memmem::Finder::new(b"\n--"),
            leaves: Vec::new(),
            problems,
        };
        walk.run(&header.fields, body);
        Self { fields: header.fields, leaves: walk.leaves, problems: walk.problems }
    }
}

impl Mail<'_> {
    /// The charset of the text, for what should have said its own.
    pub(crate) fn charset(&self) -> Option<&str> {
        self.leaves.iter().find_map(|leaf| leaf.charset.as_deref())
    }
}

impl<'a> Walk<'a> {
    fn run(&mut self, fields: &[Field<'a>], body: usize) {
        let mut next = self.part(fields, body);
        while let Some(start) = next {
            if self.parts >= MAX_PARTS {
                self.problems.add(format!("the message has more than the {MAX_PARTS} parts that are read"));
                return;
            }
            if self.part_header_bytes >= MAX_PART_HEADERS_BYTES {
                self.problems.add(format!(
                    "the headers of parts are longer than the {MAX_PART_HEADERS_BYTES} bytes that are read"
                ));
                return;
            }
            let rest = self.content.get(start..).unwrap_or_default();
            let most = Most { bytes: MAX_PART_HEADER_BYTES, fields: MAX_HEADER_FIELDS };
            let open = &self.open;
            let part = fields::read(rest, most, |line| level_of(open, line).is_some());
            if part.over != Over::Nothing {
                self.problems
                    .add(format!("a part's header is longer than the {MAX_PART_HEADER_BYTES} bytes that are read"));
            }
            self.part_header_bytes += part.body;
            next = self.part(&part.fields, start + part.body);
        }
    }

    /// Takes up the part whose body begins at `body`, and says where the header of the next one begins.
    fn part(&mut self, fields: &[Field<'a>], body: usize) -> Option<usize> {
        self.parts += 1;
        let related = self.open.last().is_some_and(|open| open.kind == Kind::Related && open.parts > 1);
        let media = self.media_type(fields);
        let mut media_type = self.leaf_type(&media);
        let mut entered = false;
        if let Some(subtype) = media.value.strip_prefix("multipart/") {
            match self.enter(subtype, &media) {
                Entry::Entered => entered = true,
                Entry::TooDeep => media_type.clone_from(&media.value),
                Entry::NoBoundary => (),
            }
        }
        let found = self.next_delimiter(body);
        if entered {
            // What stands before the first delimiter of its own is for nobody.
            match &found {
                Some(delimiter) if delimiter.level + 1 == self.open.len() => return self.go_on(delimiter),
                _ => {
                    self.problems.add("a multipart has no parts");
                    self.open.pop();
                }
            }
        }
        let end = found.as_ref().map_or(self.content.len(), |delimiter| delimiter.before);
        let bytes = self.content.get(body..end).unwrap_or_default();
        self.leaf(fields, &media, Leaf { media_type, related, body: bytes, ..Leaf::default() });
        match found {
            Some(delimiter) => self.go_on(&delimiter),
            None => {
                if !self.open.is_empty() {
                    self.problems.add("the message ends inside a multipart");
                }
                None
            }
        }
    }

    fn media_type(&mut self, fields: &[Field<'a>]) -> Typed {
        let media = field(fields, "content-type").map(values::typed).unwrap_or_default();
        if media.over {
            self.problems.add(format!("a Content-Type has more than the {MAX_PARAMETERS} parameters that are read"));
        }
        media
    }

    /// RFC 2045 5.2: what says nothing of use is plain text; in a digest it is a message (RFC 2046 5.1.5).
    fn leaf_type(&self, media: &Typed) -> String {
        let is_whole = media.value.split_once('/').is_some_and(|(kind, sub)| !kind.is_empty() && !sub.is_empty());
        let in_digest = self.open.last().is_some_and(|open| open.kind == Kind::Digest);
        match media.value.as_str() {
            value if is_whole && !value.starts_with("multipart/") => value.to_owned(),
            "" if in_digest => "message/rfc822".to_owned(),
            _ => "text/plain".to_owned(),
        }
    }

    fn enter(&mut self, subtype: &str, media: &Typed) -> Entry {
        if self.open.len() >= MAX_DEPTH {
            self.problems
                .add(format!("multiparts stand deeper in one another than the {MAX_DEPTH} levels that are read"));
            return Entry::TooDeep;
        }
        let boundary = media.parameter("boundary").unwrap_or_default().trim_end().as_bytes();
        if boundary.is_empty() || boundary.len() > MAX_BOUNDARY_BYTES {
            self.problems.add("a multipart has no boundary that can be used");
            return Entry::NoBoundary;
        }
        let kind = match subtype {
            "alternative" => Kind::Alternative,
            "related" => Kind::Related,
            "digest" => Kind::Digest,
            _ => Kind::Other,
        };
        self.open.push(Open { boundary: boundary.to_vec(), kind, number: self.parts, parts: 0 });
        Entry::Entered
    }

    /// Behind a delimiter: the next part, or, where a multipart ends, what follows it.
    fn go_on(&mut self, delimiter: &Delimiter) -> Option<usize> {
        if delimiter.level + 1 < self.open.len() {
            self.problems.add("a multipart has no end of its own");
        }
        self.open.truncate(delimiter.level + 1);
        if !delimiter.is_last {
            return Some(delimiter.after);
        }
        self.open.pop();
        if self.open.is_empty() {
            return None;
        }
        let found = self.next_delimiter(delimiter.after);
        match found {
            // As deep as multiparts stand in one another, at most.
            Some(next) => self.go_on(&next),
            None => {
                self.problems.add("the message ends inside a multipart");
                None
            }
        }
    }

    /// The next line, from `from` on, that is a delimiter of an open multipart (RFC 2046 5.1.1).
    fn next_delimiter(&mut self, from: usize) -> Option<Delimiter> {
        if self.open.is_empty() {
            return None;
        }
        let mut at = from;
        let starts_here = self.content.get(from..).is_some_and(|rest| rest.starts_with(b"--"));
        let mut here = starts_here.then_some(from);
        loop {
            let line_at = match here.take() {
                Some(line_at) => line_at,
                None => {
                    // The line end before a delimiter may be the last byte before `from`.
                    let found = self.delimiter_finder.find(self.content.get(at..)?)?;
                    at + found + 1
                }
            };
            self.delimiters += 1;
            if self.delimiters > MAX_DELIMITERS {
                self.problems
                    .add(format!("more than the {MAX_DELIMITERS} lines that are looked at begin like delimiters"));
                return None;
            }
            let rest = self.content.get(line_at..)?;
            let line = fields::lines(rest).next().unwrap_or_default();
            if let Some((level, is_last)) = level_of(&self.open, line) {
                if let Some(open) = self.open.get_mut(level) {
                    open.parts += 1;
                }
                let before = without_line_end(self.content.get(from..line_at).unwrap_or_default()).len() + from;
                return Some(Delimiter { before, after: line_at + line.len(), level, is_last });
            }
            at = line_at;
        }
    }

    /// Adds a leaf, with what its header says of it.
    fn leaf(&mut self, fields: &[Field<'a>], media: &Typed, leaf: Leaf<'a>) {
        let disposition = field(fields, "content-disposition").map(values::typed).unwrap_or_default();
        if disposition.over {
            self.problems
                .add(format!("a Content-Disposition has more than the {MAX_PARAMETERS} parameters that are read"));
        }
        let name = disposition.parameter("filename").or_else(|| media.parameter("name")).unwrap_or_default();
        let encoding =
            field(fields, "content-transfer-encoding").map(|value| values::text(value, None)).unwrap_or_default();
        let around = self.open.last().filter(|open| open.kind == Kind::Alternative);
        self.leaves.push(Leaf {
            charset: media.parameter("charset").map(str::to_owned),
            file_name: values::file_name(name),
            content_id: field(fields, "content-id").map(values::id).unwrap_or_default(),
            encoding: cut(encoding.to_ascii_lowercase(), MAX_NAME_BYTES).0,
            alternative: around.map(|open| open.number),
            in_alternative: self.open.iter().any(|open| open.kind == Kind::Alternative),
            is_first: self.leaves.is_empty(),
            disposition: disposition.value,
            ..leaf
        });
    }
}

/// The first field of this name, given in lower case.
pub(crate) fn field<'a>(fields: &[Field<'a>], name: &str) -> Option<&'a [u8]> {
    fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
}

/// Which of the open multiparts a line delimits, the innermost first, and whether it is the last delimiter.
fn level_of(open: &[Open], line: &[u8]) -> Option<(usize, bool)> {
    let line = line.strip_prefix(b"--")?.trim_ascii_end();
    open.iter().enumerate().rev().find_map(|(level, multipart)| {
        let boundary = multipart.boundary.as_slice();
        // Lengths first: a hostile mail has a hundred thousand such lines, and fifty boundaries.
        let is_last = match line.len().checked_sub(boundary.len())? {
            0 => false,
            2 => true,
            _ => return None,
        };
        let rest = line.strip_prefix(boundary)?;
        (rest.is_empty() || rest == b"--").then_some((level, is_last))
    })
}
