//! A message read from its bytes, for whoever asks for more than `mail.parsed` holds. The same rules as in
//! [`super::parse`], with room for whole texts ([`MAX_READ_BYTES`]).

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemas::event::{Attachment, HeaderField};

use super::limits::{MAX_DIRTY_BYTES, MAX_HEADER_BYTES, MAX_HEADER_FIELDS, MAX_NAME_BYTES, MAX_READ_BYTES, Problems};
use super::structure::{Leaf, Mail};
use super::{attachments, body, decode, fields, header_fields, html, html_text};

/// The header fields in order, names as sent, values unfolded and decoded.
pub fn headers(content: &[u8]) -> Vec<HeaderField> {
    let mail = Mail::read(content);
    header_fields(&mail.fields, mail.charset(), &mut Problems::default())
}

/// The header as it stands, without the blank line behind it.
pub fn header_block(content: &[u8]) -> Cow<'_, str> {
    let most = fields::Most { bytes: MAX_HEADER_BYTES, fields: MAX_HEADER_FIELDS };
    let header = fields::read(content, most, |_| false);
    let end = match header.over {
        fields::Over::Nothing => header.body,
        fields::Over::Bytes | fields::Over::Fields => fields::end_of_block(content, header.body),
    };
    let block = content.get(..end).unwrap_or_default();
    let without_blank = block.strip_suffix(b"\r\n\r\n").map(|rest| rest.len() + 2);
    let end = without_blank.or_else(|| block.strip_suffix(b"\n\n").map(|rest| rest.len() + 1)).unwrap_or(end);
    let block = block.get(..end).unwrap_or_default();
    match std::str::from_utf8(block) {
        Ok(text) => text.into(),
        Err(_) => decode::windows_1252(block).into(),
    }
}

/// The text: as it was sent where there is a text part, made from the HTML otherwise, with its links as footnotes.
pub fn text(content: &[u8]) -> String {
    let body = read_body(&Mail::read(content).leaves);
    match (body.text.content, body.html.content) {
        (Some(text), _) => text,
        (None, Some(html)) => html_text::to_text(&html, true),
        (None, None) => String::new(),
    }
}

/// The HTML as it was sent; `None` when there is none.
pub fn html(content: &[u8]) -> Option<String> {
    read_body(&Mail::read(content).leaves).html.content
}

/// The HTML with the images that it names (`cid:`, RFC 2392) written into it, made from the text when there is none.
/// Nothing is taken out: it is as dirty as it was sent.
pub fn dirty_html(content: &[u8]) -> String {
    let leaves = Mail::read(content).leaves;
    let body = read_body(&leaves);
    match (body.html.content, body.text.content) {
        (Some(html), _) => with_images(&html, &leaves),
        (None, Some(text)) => html::from_text(&text),
        (None, None) => html::from_text(""),
    }
}

/// Every attachment with its bytes.
pub fn attachments(content: &[u8]) -> Vec<(Attachment, Vec<u8>)> {
    let mail = Mail::read(content);
    let body = read_body(&mail.leaves);
    let all = attachments::of(&mail.leaves, &body.leaves);
    all.map(|(attachment, bytes)| (attachment, bytes.into_owned())).collect()
}

/// The attachment with this checksum, content id or file name; the first, where several have it.
pub fn attachment(content: &[u8], identifier: &str) -> Option<(Attachment, Vec<u8>)> {
    if identifier.is_empty() {
        return None;
    }
    let mail = Mail::read(content);
    let body = read_body(&mail.leaves);
    let named = |attachment: &Attachment| {
        attachment.checksum.eq_ignore_ascii_case(identifier)
            || attachment.content_id == identifier
            || attachment.file_name == identifier
    };
    attachments::of(&mail.leaves, &body.leaves)
        .find(|(attachment, _)| named(attachment))
        .map(|(attachment, bytes)| (attachment, bytes.into_owned()))
}

fn read_body(leaves: &[Leaf<'_>]) -> body::Body {
    body::read(leaves, MAX_READ_BYTES, &mut Problems::default())
}

fn with_images(html: &str, leaves: &[Leaf<'_>]) -> String {
    let images: HashMap<&str, &Leaf<'_>> =
        leaves.iter().rev().filter(|leaf| is_image(leaf)).map(|leaf| (leaf.content_id.as_str(), leaf)).collect();
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find("cid:") {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let named = from.get(4..).unwrap_or_default();
        let ends_id = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b')' | b'<' | b'>');
        // At most three bytes for each of the id's.
        let end = named.bytes().take(3 * MAX_NAME_BYTES + 1).position(ends_id);
        let data = end.and_then(|end| {
            // What else would need percent-encoding is not met in ids.
            let id = named.get(..end)?.replace("%40", "@");
            let image = as_data(images.get(id.as_str())?, MAX_DIRTY_BYTES.saturating_sub(out.len()))?;
            Some((image, named.get(end..)?))
        });
        match data {
            Some((data, after)) => {
                out.push_str(&data);
                rest = after;
            }
            None => {
                out.push_str("cid:");
                rest = named;
            }
        }
    }
    out.push_str(rest);
    out
}

fn is_image(leaf: &Leaf<'_>) -> bool {
    let kind = leaf.media_type.strip_prefix("image/");
    let is_kind =
        |kind: &str| kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-'));
    !leaf.content_id.is_empty() && kind.is_some_and(is_kind)
}

/// An image as a `data:` address (RFC 2397), if it fits.
fn as_data(leaf: &Leaf<'_>, room: usize) -> Option<String> {
    if leaf.body.len() > room / 2 {
        return None;
    }
    let bytes = decode::transfer(leaf.body, leaf.transfer());
    Some(format!("data:{};base64,{}", leaf.media_type, STANDARD.encode(bytes)))
}
