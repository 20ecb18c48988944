//! The messages in files, one after the other.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::Path;

use super::mbox::{Mbox, Message, is_mbox};
use super::walk::Found;

/// The largest mail that any server takes; what is larger is not even read.
const LARGEST_BYTES: usize = 30 << 20;
/// What is looked at to see whether a file is an mbox.
const HEAD_BYTES: u64 = 1024;

/// What mail begins with, also where nothing stands between colon and value.
const COMMON_FIELDS: [&str; 10] = [
    "Received",
    "Return-Path",
    "Delivered-To",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Date",
    "From",
    "To",
    "Subject",
];
const NO_MAIL: &str =
    "it is no mail: its first line is no header field (what is mail all the same is taken when it is named .eml)";

/// A message of a file, or why there is none.
#[derive(Debug)]
pub struct Mail {
    /// The file, and which one it is in an mbox.
    pub name: String,
    pub content: Result<Vec<u8>, String>,
    /// How much further in the files this is.
    pub advance_bytes: u64,
}

/// Gives every message of the files, in order, to whoever takes them, until that is enough.
pub fn read_all(found: Vec<Found>, take: &mut dyn FnMut(Mail) -> ControlFlow<()>) -> ControlFlow<()> {
    for one in found {
        let (path, read) = match one {
            Found::File { path, size_bytes } => {
                let read = read_file(&path, size_bytes, take);
                (path, read)
            }
            Found::Fault { path, error } => (path, Err(error)),
        };
        match read {
            Ok(flow) => flow?,
            Err(error) => {
                let name = path.display().to_string();
                take(Mail { name, content: Err(error.to_string()), advance_bytes: 0 })?;
            }
        }
    }
    ControlFlow::Continue(())
}

fn read_file(
    path: &Path,
    size_bytes: u64,
    take: &mut dyn FnMut(Mail) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut head = vec![0; usize::try_from(size_bytes.min(HEAD_BYTES)).unwrap_or_default()];
    let buffered = reader.fill_buf()?;
    let length = buffered.len().min(head.len());
    head.truncate(length);
    head.copy_from_slice(buffered.get(..length).unwrap_or_default());
    let name = path.display().to_string();
    if is_mbox(&head) {
        return read_mbox(reader, &name, take);
    }
    let is_eml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("eml"));
    if !is_eml && !begins_as_mail(&head) {
        return Ok(take(Mail { name, content: Err(NO_MAIL.to_owned()), advance_bytes: size_bytes }));
    }
    let content = if size_bytes > LARGEST_BYTES as u64 {
        Err(too_large())
    } else {
        let mut content = Vec::with_capacity(usize::try_from(size_bytes).unwrap_or_default());
        reader.take(LARGEST_BYTES as u64 + 1).read_to_end(&mut content)?;
        if content.len() > LARGEST_BYTES { Err(too_large()) } else { Ok(content) }
    };
    Ok(take(Mail { name, content, advance_bytes: size_bytes }))
}

fn read_mbox(
    reader: impl BufRead,
    name: &str,
    take: &mut dyn FnMut(Mail) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
    let mut mbox = Mbox::new(reader, LARGEST_BYTES);
    let mut number = 0;
    while let Some(message) = mbox.next()? {
        number += 1;
        let content = match message {
            Message::Bytes(bytes) => Ok(bytes),
            Message::TooLarge => Err(too_large()),
        };
        let advance_bytes = content.as_ref().map_or(0, Vec::len) as u64;
        let flow = take(Mail { name: format!("{name}, mail {number}"), content, advance_bytes });
        if flow.is_break() {
            return Ok(flow);
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Whether a file begins as mail or as an mbox does.
pub(super) fn begins_as_mail_at(path: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(begins_as_mail(&head))
}

/// Whether the first line is a header field (RFC 5322 2.2) or the envelope line of an mbox. Mail has a blank behind the
/// colon nearly always; lists of colons, such as /etc/passwd, have none.
fn begins_as_mail(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.starts_with(b"From ") {
        return true;
    }
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return false };
    let (name, value) = line.split_at(colon);
    let name = name.trim_ascii_end();
    let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    let is_spaced = value.get(1).is_none_or(|byte| byte.is_ascii_whitespace());
    is_name && (is_spaced || COMMON_FIELDS.iter().any(|common| name.eq_ignore_ascii_case(common.as_bytes())))
}

fn too_large() -> String {
    format!("it is larger than {LARGEST_BYTES} bytes")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::walk;
    use super::*;

    #[test]
    fn mail_begins_with_a_header_field_or_an_envelope_line() {
        for mail in ["Subject: x\r\n", "X-Odd: y\n", "subject:x\n", "Received:\n by x", "From a Mon Nov 24\n", "To :c"]
        {
            assert!(begins_as_mail(mail.as_bytes()), "{mail:?}");
        }
        for other in
            ["", "\u{89}PNG\r\n", "root:x:0:0:root:/root:/bin/bash\n", "Hello there: you\n", ": x\n", "\nTo: x\n"]
        {
            assert!(!begins_as_mail(other.as_bytes()), "{other:?}");
        }
    }

    #[test]
    fn messages_come_in_order_until_it_is_enough() {
        let folder = tempfile::tempdir().unwrap();
        let start = "From a@x Mon Nov 24 10:00:00 2025\n";
        fs::write(folder.path().join("a.eml"), "Subject: 1\n\n").unwrap();
        fs::write(folder.path().join("b.mbox"), format!("{start}Subject: 2\n\n\n{start}Subject: 3\n\n\n")).unwrap();
        let read = |most: usize| {
            let mut names = Vec::new();
            let flow = read_all(walk(folder.path()), &mut |mail| {
                let path = mail.name.rsplit('/').next().unwrap().to_owned();
                names.push(format!("{path} {}", mail.content.unwrap().len()));
                if names.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            (names, flow.is_break())
        };
        let all = ["a.eml 12", "b.mbox, mail 1 12", "b.mbox, mail 2 12"].map(str::to_owned);
        assert_eq!(read(9), (all.to_vec(), false));
        assert_eq!(read(2), (all[..2].to_vec(), true));
    }
}
