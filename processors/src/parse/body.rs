//! The text and the HTML of a message, out of its parts. In a multipart/alternative each says the same; elsewhere
//! parts follow one another, and what is only there in the other form is converted.

use super::decode;
use super::html;
use super::html_text::to_text;
use super::limits::{Problems, cut};
use super::structure::Leaf;

/// What a message says, in both forms.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) text: View,
    pub(crate) html: View,
    /// Which leaves it was made from.
    pub(crate) leaves: Vec<usize>,
}

/// One form. `None`: no part has it.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) content: Option<String>,
    pub(crate) is_cut: bool,
}

struct Piece {
    is_html: bool,
    content: String,
    in_text: bool,
    in_html: bool,
}

/// Reads text and HTML, each of at most so many bytes.
pub(crate) fn read(leaves: &[Leaf<'_>], max_bytes: usize, problems: &mut Problems) -> Body {
    let mut body = Body::default();
    let mut pieces = Vec::new();
    let mut seen: Vec<(usize, bool)> = Vec::new();
    let mut room = max_bytes.saturating_mul(2);
    for (index, leaf) in leaves.iter().enumerate().filter(|(_, leaf)| is_body(leaf)) {
        let is_html = leaf.media_type == "text/html";
        if let Some(number) = leaf.alternative {
            if seen.contains(&(number, is_html)) {
                continue;
            }
            seen.push((number, is_html));
        }
        body.leaves.push(index);
        if room == 0 {
            body.text.is_cut = true;
            body.html.is_cut = true;
            continue;
        }
        let (content, was_cut) = text_of(leaf, max_bytes.min(room), problems);
        room = room.saturating_sub(content.len());
        let (in_text, in_html) = (!is_html || !leaf.in_alternative, is_html || !leaf.in_alternative);
        body.text.is_cut |= was_cut && in_text;
        body.html.is_cut |= was_cut && in_html;
        pieces.push(Piece { is_html, content, in_text, in_html });
    }
    let has_text = pieces.iter().any(|piece| piece.in_text && !piece.is_html);
    let has_html = pieces.iter().any(|piece| piece.in_html && piece.is_html);
    let html = has_html.then(|| join_html(&pieces));
    let text = has_text.then(|| join_text(pieces));
    body.text.put(text, max_bytes);
    body.html.put(html, max_bytes);
    body
}

/// Whether a leaf is shown as the message, and not beside it.
fn is_body(leaf: &Leaf<'_>) -> bool {
    let is_text = matches!(leaf.media_type.as_str(), "text/plain" | "text/html");
    is_text && leaf.disposition != "attachment" && !leaf.related && (leaf.file_name.is_empty() || leaf.is_first)
}

/// A leaf's text, cut, line ends as LF.
fn text_of(leaf: &Leaf<'_>, max_bytes: usize, problems: &mut Problems) -> (String, bool) {
    let most = leaf.transfer().encoded_bytes(max_bytes);
    let encoded = leaf.body.get(..most).unwrap_or(leaf.body);
    let bytes = decode::transfer(encoded, leaf.transfer());
    let (text, known) = decode::charset(&bytes, leaf.charset.as_deref());
    if !known {
        let label: String = leaf.charset.as_deref().unwrap_or_default().chars().take(40).collect();
        problems.add(format!("the charset {label:?} of a part is not known"));
    }
    let (text, was_cut) = cut(decode::with_line_feeds(text), max_bytes);
    (text, was_cut || encoded.len() < leaf.body.len())
}

impl View {
    fn put(&mut self, content: Option<String>, max_bytes: usize) {
        let Some(content) = content else {
            self.is_cut = false;
            return;
        };
        let (content, was_cut) = cut(content, max_bytes);
        self.content = Some(content);
        self.is_cut |= was_cut;
    }
}

fn join_html(pieces: &[Piece]) -> String {
    let mut joined = String::new();
    for piece in pieces.iter().filter(|piece| piece.in_html) {
        if piece.is_html {
            joined.push_str(&piece.content);
        } else {
            html::add_text(&mut joined, &piece.content);
        }
    }
    joined
}

fn join_text(pieces: Vec<Piece>) -> String {
    let mut joined = String::new();
    for piece in pieces.into_iter().filter(|piece| piece.in_text) {
        if !joined.is_empty() && !joined.ends_with('\n') {
            joined.push('\n');
        }
        let content = if piece.is_html { to_text(&piece.content, false) } else { piece.content };
        // A single part, which most mails are, is not copied.
        if joined.is_empty() {
            joined = content;
        } else {
            joined.push_str(&content);
        }
    }
    joined
}
