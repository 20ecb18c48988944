//! Answers: JSON written straight from structs, text, and bytes in pieces; and the headers that keep a browser from
//! taking mail for a page of ours.

use std::borrow::Cow;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use serde::Serialize;

use super::error::ApiError;

pub const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
pub const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
pub const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Mail shown by itself runs nothing, sends nothing and loads nothing.
const SANDBOX: HeaderValue =
    HeaderValue::from_static("sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");

/// A list of 20 messages usually fits.
const USUAL_BYTES: usize = 16 * 1024;
/// Pieces that are smaller together are copied into one.
const MAX_COPIED_BYTES: usize = 128 * 1024;
/// Bytes of a file name in a header.
const MAX_FILE_NAME_BYTES: usize = 200;

/// 200 with this as JSON.
pub fn json(value: &impl Serialize) -> Response {
    json_with(StatusCode::OK, value)
}

pub fn json_with(status: StatusCode, value: &impl Serialize) -> Response {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    match serde_json::to_writer(&mut bytes, value) {
        Ok(()) => (status, [(CONTENT_TYPE, JSON)], Body::from(bytes)).into_response(),
        // No answer has a map with odd keys, which is all that can fail.
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            ApiError::Fault.status().into_response()
        }
    }
}

/// 200 with a text that is JSON already.
pub fn json_text(text: String) -> Response {
    ([(CONTENT_TYPE, JSON)], Body::from(text)).into_response()
}

/// 200 with a list of what is JSON already, in one buffer of its size.
pub fn json_list<'a>(items: impl Iterator<Item = &'a [u8]> + Clone) -> Response {
    let length: usize = items.clone().map(|item| item.len() + 1).sum();
    let mut bytes = Vec::with_capacity(length + 2);
    bytes.push(b'[');
    for (place, item) in items.enumerate() {
        if place > 0 {
            bytes.push(b',');
        }
        bytes.extend_from_slice(item);
    }
    bytes.push(b']');
    ([(CONTENT_TYPE, JSON)], Body::from(bytes)).into_response()
}

/// 200 with text that a sender wrote.
pub fn untrusted(content_type: HeaderValue, body: impl Into<Body>) -> Response {
    let headers = [
        (CONTENT_TYPE, content_type),
        (CONTENT_SECURITY_POLICY, SANDBOX),
        (HeaderName::from_static("cross-origin-resource-policy"), SAME_ORIGIN),
        (HeaderName::from_static("referrer-policy"), NO_REFERRER),
    ];
    (headers, body.into()).into_response()
}

/// Marks the answer as a file to be saved, when `download` asks for that.
pub fn as_download(mut response: Response, download: bool, file_name: &str) -> Response {
    if download {
        response.headers_mut().insert(CONTENT_DISPOSITION, attachment(file_name));
    }
    response
}

/// `Content-Disposition: attachment` with a name that is neither a path nor a second header. RFC 6266 4.3: the plain
/// form for all, the extended one (RFC 8187) when the name is not ASCII.
pub fn attachment(file_name: &str) -> HeaderValue {
    let name = safe_file_name(file_name);
    let plain: String = name.chars().map(|c| if c.is_ascii() && !matches!(c, '"' | '%') { c } else { '_' }).collect();
    let mut text = format!("attachment; filename=\"{plain}\"");
    if plain != name {
        text.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            // RFC 8187 3.2.1, attr-char.
            if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("attachment"))
}

/// The last part of what may be a path, without controls, marks that turn the reading direction, and leading dots.
fn safe_file_name(name: &str) -> Cow<'static, str> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut safe = String::new();
    for character in last.chars() {
        let hidden = matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}');
        let odd = character.is_control() || matches!(character, ':' | '*' | '?' | '<' | '>' | '|');
        if safe.len() + character.len_utf8() > MAX_FILE_NAME_BYTES {
            break;
        }
        if !hidden {
            safe.push(if odd { '_' } else { character });
        }
    }
    let trimmed = safe.trim_matches(|c: char| c == '.' || c.is_whitespace());
    if trimmed.is_empty() { Cow::Borrowed("attachment") } else { Cow::Owned(trimmed.to_owned()) }
}

/// A body of the pieces one behind the other, its length known. Small ones are copied together: one write each.
pub fn pieces(pieces: Vec<Bytes>) -> Body {
    let length: usize = pieces.iter().map(Bytes::len).sum();
    if length <= MAX_COPIED_BYTES {
        let mut whole = Vec::with_capacity(length);
        pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
        return Body::from(whole);
    }
    Body::new(Pieces { left: length, pieces: pieces.into_iter() })
}

struct Pieces {
    left: usize,
    pieces: std::vec::IntoIter<Bytes>,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.pieces.find(|piece| !piece.is_empty());
        self.left = self.left.saturating_sub(next.as_ref().map_or(0, Bytes::len));
        Poll::Ready(next.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.left).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str) -> String {
        attachment(name).to_str().unwrap().to_owned()
    }

    #[test]
    fn file_names_are_names_and_neither_paths_nor_headers() {
        for (name, expected) in [
            ("report.pdf", "attachment; filename=\"report.pdf\""),
            ("../../etc/passwd", "attachment; filename=\"passwd\""),
            ("..\\..\\evil.exe", "attachment; filename=\"evil.exe\""),
            ("a\r\nX-Evil: 1", "attachment; filename=\"a__X-Evil_ 1\""),
            (".bashrc", "attachment; filename=\"bashrc\""),
            ("\u{202e}fdp.exe", "attachment; filename=\"fdp.exe\""),
            ("", "attachment; filename=\"attachment\""),
            ("..", "attachment; filename=\"attachment\""),
            ("a\"b.txt", "attachment; filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt"),
            ("naïve.txt", "attachment; filename=\"na_ve.txt\"; filename*=UTF-8''na%C3%AFve.txt"),
        ] {
            assert_eq!(header(name), expected, "{name:?}");
        }
    }

    #[test]
    fn a_file_name_of_200_bytes_stays_and_one_of_201_is_cut() {
        let longest = "n".repeat(MAX_FILE_NAME_BYTES);
        assert_eq!(header(&longest), format!("attachment; filename=\"{longest}\""));
        assert_eq!(header(&format!("{longest}n")), format!("attachment; filename=\"{longest}\""));
    }

    #[tokio::test]
    async fn a_list_of_any_length_is_json() {
        for (items, expected) in [(&[][..], "[]"), (&["{}"], "[{}]"), (&["{}", "1"], "[{},1]")] {
            let response = json_list(items.iter().map(|item: &&str| item.as_bytes()));
            let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
            assert_eq!(body, expected);
        }
    }

    #[tokio::test]
    async fn pieces_come_whole_and_in_order_however_big() {
        for size in [1, MAX_COPIED_BYTES, MAX_COPIED_BYTES + 1] {
            let body = pieces(vec![Bytes::from_static(b"top"), Bytes::new(), Bytes::from(vec![b'x'; size])]);
            assert_eq!(body.size_hint().exact(), Some(size as u64 + 3));
            let whole = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            assert_eq!(whole.len(), size + 3);
            assert!(whole.starts_with(b"topx"));
        }
    }
}
