//! What is kept of an answer: its status, when it wants to be asked again, and the start of its body as text.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, RETRY_AFTER};
use hyper::{Response, StatusCode};
use tokio::time::timeout;

use crate::forward::MAX_ANSWER_BYTES;

/// How long is waited for the start of a body once the status is known.
pub const BODY_LIMIT: Duration = Duration::from_secs(2);

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<Duration>,
    /// As it came, compressed or not, without control characters.
    pub body: String,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The status with its usual name, for a cause.
    pub fn says(&self) -> String {
        let name = StatusCode::from_u16(self.status).ok().and_then(|status| status.canonical_reason());
        format!("the answer was {} {}", self.status, name.unwrap_or("(a status without a name)"))
    }
}

/// Reads an answer. The body is left where it is cut, and where it makes us wait.
pub async fn read(response: Response<Incoming>, now_ms: i64) -> Answer {
    let (head, mut body) = response.into_parts();
    let mut start = Vec::new();
    let reading = async {
        while start.len() < MAX_ANSWER_BYTES {
            let Some(Ok(frame)) = body.frame().await else { break };
            let Some(data) = frame.data_ref() else { continue };
            let room = MAX_ANSWER_BYTES - start.len();
            start.extend_from_slice(data.get(..room).unwrap_or(data));
        }
    };
    let _ = timeout(BODY_LIMIT, reading).await;
    Answer { status: head.status.as_u16(), retry_after: retry_after(&head.headers, now_ms), body: as_text(&start) }
}

/// RFC 9110 10.2.3: seconds, or a date.
fn retry_after(headers: &HeaderMap, now_ms: i64) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(now_ms).unwrap_or_default());
    let at: SystemTime = httpdate::parse_http_date(value).ok()?;
    Some(at.duration_since(now).unwrap_or_default())
}

/// Bytes as a text that does nothing to a terminal or a log, and is not longer than they may be.
fn as_text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for character in String::from_utf8_lossy(bytes).chars() {
        let plain = !character.is_control() || matches!(character, '\n' | '\t');
        let shown = if plain { character } else { char::REPLACEMENT_CHARACTER };
        if text.len() + shown.len_utf8() > MAX_ANSWER_BYTES {
            break;
        }
        if character != '\r' {
            text.push(shown);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn asked(value: &str) -> Option<Duration> {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(value).unwrap())]);
        retry_after(&headers, 1_593_987_941_408)
    }

    #[test]
    fn when_to_ask_again_is_read_in_both_forms() {
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        assert_eq!(asked(" 0 "), Some(Duration::ZERO));
        assert_eq!(asked("Sun, 05 Jul 2020 22:26:41 GMT"), Some(Duration::from_millis(59_592)));
        assert_eq!(asked("Sun, 05 Jul 2020 22:00:00 GMT"), Some(Duration::ZERO));
        for text in ["", "soon", "-1", "1.5", "99999999999999999999999"] {
            assert_eq!(asked(text), None, "{text}");
        }
    }

    #[test]
    fn an_answer_as_text_is_bounded_and_controls_nothing() {
        assert_eq!(as_text(b"a\x1b]52;c\x07\r\n\tb"), "a\u{fffd}]52;c\u{fffd}\n\tb");
        for bytes in [vec![0xff; 10_000], vec![b'x'; 10_000], "é".repeat(5000).into_bytes()] {
            let text = as_text(&bytes);
            assert!(text.len() <= MAX_ANSWER_BYTES && text.len() > MAX_ANSWER_BYTES - 4, "{}", text.len());
        }
    }

    #[test]
    fn the_status_is_called_by_its_name() {
        let of = |status| Answer { status, retry_after: None, body: String::new() };
        assert_eq!(of(302).says(), "the answer was 302 Found");
        assert_eq!(of(799).says(), "the answer was 799 (a status without a name)");
        assert!(of(299).is_success() && !of(300).is_success() && !of(199).is_success());
    }
}
