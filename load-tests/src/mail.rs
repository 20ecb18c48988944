//! The mails that are sent: generated ones of a stated size, or a folder of real ones, made ready for the wire once,
//! before any clock runs. Knows nothing of servers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Generated mails of one size differ from each other, so that nobody gains by seeing one twice in a row.
const VARIANTS: usize = 256;
/// From this size on the bulk of a generated mail is an attachment, as in life.
const ATTACHMENT_FROM_BYTES: usize = 50_000;
/// What is sent where no folder of mail is given.
const ONCE_BYTES: usize = 10 * 1024;
const ONCE_COUNT: usize = 6_000;
const WORDS: [&str; 24] = [
    "invoice", "meeting", "please", "tomorrow", "the", "of", "report", "and", "attached", "we", "confirm", "number",
    "is", "your", "order", "password", "reset", "link", "thanks", "regards", "team", "to", "for", "delivery",
];

/// A set of mails under one name.
#[derive(Clone)]
pub struct Mails {
    pub name: String,
    wire: Arc<Vec<Bytes>>,
}

impl Mails {
    /// Generated mails, each about `size` bytes with its headers.
    pub fn generated(size: usize) -> Self {
        let mut rng = StdRng::seed_from_u64(size as u64);
        let count = VARIANTS.min((8 << 20) / size.max(1)).max(1);
        let wire = (0..count).map(|variant| on_the_wire(&generate(size, variant, &mut rng))).collect();
        Self { name: size_name(size), wire: Arc::new(wire) }
    }

    /// Every file below `folder`, in the order of their paths.
    pub fn folder(folder: &Path) -> Result<Self> {
        let mut paths = Vec::new();
        collect(folder, &mut paths).with_context(|| format!("reading the mail folder {}", folder.display()))?;
        paths.sort();
        ensure!(!paths.is_empty(), "the mail folder {} holds no file", folder.display());
        let mut wire = Vec::with_capacity(paths.len());
        for path in paths {
            wire.push(on_the_wire(&std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?));
        }
        Ok(Self { name: "real mail".into(), wire: Arc::new(wire) })
    }

    pub fn len(&self) -> usize {
        self.wire.len()
    }

    /// The `index`th mail, beginning again at the end.
    pub fn get(&self, index: usize) -> Bytes {
        self.wire.get(index % self.wire.len().max(1)).cloned().unwrap_or_default()
    }

    /// Bytes that `count` mails put on the wire.
    pub fn bytes(&self, count: usize) -> u64 {
        (0..count).map(|index| self.get(index).len() as u64).sum()
    }
}

/// The folder of mail once, or generated mail where none is given.
pub fn once(real: Option<&Mails>) -> (Mails, usize) {
    match real {
        Some(real) => (real.clone(), real.len()),
        None => (Mails::generated(ONCE_BYTES), ONCE_COUNT),
    }
}

/// The mail with every line ended by CRLF, leading dots doubled and the end of data at its end (RFC 5321 4.5.2).
/// Bare CRs and LFs become line ends: they can't be sent, and servers differ in what they do about them.
pub fn on_the_wire(mail: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(mail.len() + mail.len() / 32 + 8);
    let mut line_starts = true;
    let mut bytes = mail.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' | b'\n' => {
                if byte == b'\r' {
                    bytes.next_if_eq(&b'\n');
                }
                out.extend_from_slice(b"\r\n");
                line_starts = true;
            }
            _ => {
                if line_starts && byte == b'.' {
                    out.push(b'.');
                }
                out.push(byte);
                line_starts = false;
            }
        }
    }
    if !line_starts {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    Bytes::from(out)
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), paths)?;
        } else if kind.is_file() {
            paths.push(entry.path());
        }
    }
    Ok(())
}

fn generate(size: usize, variant: usize, rng: &mut StdRng) -> Vec<u8> {
    let mut mail = format!(
        "From: Load <load-{variant}@sender.example>\r\nTo: Box <box@load.example>\r\nSubject: {} {} {variant}\r\n\
         Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{size}.{variant}.{}@sender.example>\r\nMIME-Version: 1.0\r\n",
        word(rng),
        word(rng),
        rng.random::<u32>(),
    )
    .into_bytes();
    if size < ATTACHMENT_FROM_BYTES {
        mail.extend_from_slice(b"Content-Type: text/plain; charset=utf-8\r\n\r\n");
        fill_with_text(&mut mail, size, rng);
        return mail;
    }
    mail.extend_from_slice(
        b"Content-Type: multipart/mixed; boundary=\"edge\"\r\n\r\n--edge\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
    );
    fill_with_text(&mut mail, 2_000, rng);
    mail.extend_from_slice(
        b"\r\n--edge\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\nContent-Disposition: attachment; filename=\"a.pdf\"\r\n\
          Content-Transfer-Encoding: base64\r\n\r\n",
    );
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    while mail.len() + 100 < size {
        mail.extend((0..76).map(|_| ALPHABET.get(rng.random_range(0..64)).copied().unwrap_or(b'A')));
        mail.extend_from_slice(b"\r\n");
    }
    mail.extend_from_slice(b"\r\n--edge--\r\n");
    mail
}

fn fill_with_text(mail: &mut Vec<u8>, size: usize, rng: &mut StdRng) {
    while mail.len() < size {
        let mut line = String::new();
        while line.len() < 60 {
            line.push_str(word(rng));
            line.push(' ');
        }
        let room = size.saturating_sub(mail.len()).saturating_sub(2).max(1);
        mail.extend(line.bytes().take(room));
        mail.extend_from_slice(b"\r\n");
    }
}

fn word(rng: &mut StdRng) -> &'static str {
    WORDS.get(rng.random_range(0..WORDS.len())).copied().unwrap_or("mail")
}

fn size_name(size: usize) -> String {
    if size.is_multiple_of(1024) { format!("{} KiB", size / 1024) } else { format!("{size} B") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_line_ends_become_crlf_and_leading_dots_are_doubled() {
        assert_eq!(&on_the_wire(b"a\n.b\r\n..c\rd")[..], b"a\r\n..b\r\n...c\r\nd\r\n.\r\n");
    }

    #[test]
    fn an_empty_mail_is_only_its_end() {
        assert_eq!(&on_the_wire(b"")[..], b".\r\n");
    }

    #[test]
    fn a_generated_mail_has_about_its_size() {
        for size in [1024, 10 * 1024, 100 * 1024] {
            let mails = Mails::generated(size);
            let (least, most) = (size - size / 10, size + size / 10);
            assert!((least..most).contains(&mails.get(3).len()), "{} for {size}", mails.get(3).len());
            assert_ne!(mails.get(0), mails.get(1));
        }
    }
}
