//! Slack: a message to an incoming webhook. Slack takes no key for a call, so a crash in one narrow window may repeat
//! one message.

mod blocks;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use mailstore::{Entry, Store};

pub use self::blocks::{MAX_HEADER_UNITS, MAX_MESSAGE_UNITS, MAX_SECTION_UNITS, MAX_URL_UNITS, Shown};
use crate::forward::{Attempted, Called, Courier, Delivery};
use crate::message::{self, Reader};
use crate::post::{Answer, Poster};

const JSON: &str = "application/json";
/// What Slack answers when a webhook will not work again, whatever the status (Slack, "Handling errors").
const FOR_EVER: [&str; 8] = [
    "no_service",
    "no_service_id",
    "no_team",
    "team_disabled",
    "channel_not_found",
    "channel_is_archived",
    "user_not_found",
    "invalid_token",
];

/// The page on which an entry is read, if the server has a public URL.
pub type PageOf = dyn Fn(&Entry) -> Option<String> + Send + Sync;

/// Carries deliveries to Slack.
pub struct SlackCourier {
    poster: Arc<Poster>,
    store: Arc<dyn Store>,
    reader: Arc<dyn Reader>,
    page: Arc<PageOf>,
}

impl SlackCourier {
    pub fn new(poster: Arc<Poster>, store: Arc<dyn Store>, reader: Arc<dyn Reader>, page: Arc<PageOf>) -> Self {
        Self { poster, store, reader, page }
    }

    async fn body(&self, delivery: &Delivery) -> Result<Bytes, Called> {
        let raw = message::raw(&*self.store, &delivery.entry).await?;
        let (reader, entry, to_from) = (Arc::clone(&self.reader), delivery.entry.clone(), delivery.slack_to_from);
        let url = (self.page)(&entry);
        let making = message::read(move || {
            let text = reader.text(&raw);
            blocks::message(&Shown { entry: &entry, text: &text, to_from, url: url.as_deref() }).to_string()
        });
        making.await.map(Bytes::from)
    }
}

#[async_trait]
impl Courier for SlackCourier {
    async fn deliver(&self, delivery: &Delivery) -> Attempted {
        let body = match self.body(delivery).await {
            Ok(body) => body,
            Err(outcome) => return Attempted::unanswered(outcome),
        };
        match self.poster.post(&delivery.target, JSON, &[], body).await {
            Ok(answer) => attempted(answer),
            Err(error) => Attempted::unanswered(error.called()),
        }
    }
}

/// What an answer means. A 4xx is about this message or this webhook, and the same call gets the same answer; what
/// passes is 408, 425 and 429.
fn attempted(answer: Answer) -> Attempted {
    let cause = answer.says();
    let reason = answer.body.trim();
    let outcome = match answer.status {
        200..300 => Called::Delivered,
        403 | 404 | 410 => Called::Refused { cause, off: true },
        400..500 if FOR_EVER.contains(&reason) => Called::Refused { cause, off: true },
        408 | 425 | 429 => Called::Later { retry_after: answer.retry_after, cause },
        400..500 => Called::Refused { cause, off: false },
        300..400 => Called::Later { retry_after: None, cause: format!("{cause}: redirects are not followed") },
        _ => Called::Later { retry_after: answer.retry_after, cause },
    };
    Attempted { outcome, status: Some(i32::from(answer.status)), answer: answer.body }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn of(status: u16, body: &str) -> Called {
        attempted(Answer { status, retry_after: Some(Duration::from_secs(30)), body: body.to_owned() }).outcome
    }

    #[test]
    fn a_webhook_that_is_gone_is_switched_off() {
        for (status, body) in [
            (403, "action_prohibited"),
            (403, "invalid_token"),
            (404, "no_service"),
            (404, "channel_not_found"),
            (410, "channel_is_archived"),
            (400, "no_team\n"),
        ] {
            assert!(matches!(of(status, body), Called::Refused { off: true, .. }), "{status} {body}");
        }
    }

    #[test]
    fn a_message_that_slack_refuses_is_not_sent_again_and_the_next_one_is() {
        for (status, body) in [(400, "invalid_blocks"), (400, "msg_too_long"), (401, ""), (413, ""), (422, "")] {
            assert!(matches!(of(status, body), Called::Refused { off: false, .. }), "{status} {body}");
        }
    }

    #[test]
    fn what_passes_is_tried_again_when_slack_says() {
        for status in [408, 429, 500, 502, 503, 504] {
            let later = of(status, "");
            assert!(
                matches!(later, Called::Later { retry_after: Some(after), .. } if after.as_secs() == 30),
                "{status}"
            );
        }
        assert!(matches!(of(302, ""), Called::Later { retry_after: None, .. }));
        assert_eq!(of(200, "ok"), Called::Delivered);
    }
}
