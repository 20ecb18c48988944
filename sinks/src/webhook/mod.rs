//! The webhook: one signed POST of a message, as Standard Webhooks has it. What the receiver's answer means is here;
//! when to call again is the engine's affair.

mod sign;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use mailstore::Store;
use schemas::event::ForwardPayload;

pub use self::sign::{MAX_SECRET_BYTES, MAX_SECRETS, MIN_SECRET_BYTES, Secret, signatures};
use crate::forward::{Attempted, Called, Courier, Delivery};
use crate::message::{self, Reader};
use crate::post::{Answer, Poster};

const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";
const JSON: &str = "application/json";
const MIME: &str = "message/rfc822";

/// Carries deliveries to webhooks.
pub struct WebhookCourier {
    poster: Arc<Poster>,
    store: Arc<dyn Store>,
    reader: Arc<dyn Reader>,
}

impl WebhookCourier {
    pub fn new(poster: Arc<Poster>, store: Arc<dyn Store>, reader: Arc<dyn Reader>) -> Self {
        Self { poster, store, reader }
    }
}

#[async_trait]
impl Courier for WebhookCourier {
    async fn deliver(&self, delivery: &Delivery) -> Attempted {
        let Some(secrets) = read_secrets(&delivery.secrets) else {
            let cause = "a secret is not `whsec_` and the base64 of 24 to 64 bytes".to_owned();
            return Attempted::unanswered(Called::Refused { cause, off: false });
        };
        let body = match self.body(delivery).await {
            Ok(body) => body,
            Err(outcome) => return Attempted::unanswered(outcome),
        };
        let id = &delivery.due.delivery_id;
        let timestamp_s = self.poster.clock.now_ms().div_euclid(1000);
        let mut headers = vec![(ID, id.clone()), (TIMESTAMP, timestamp_s.to_string())];
        if !secrets.is_empty() {
            headers.push((SIGNATURE, signatures(&secrets, id, timestamp_s, &body)));
        }
        let content_type = if delivery.payload == ForwardPayload::Raw { MIME } else { JSON };
        match self.poster.post(&delivery.target, content_type, &headers, body).await {
            Ok(answer) => attempted(answer),
            Err(error) => Attempted::unanswered(error.called()),
        }
    }
}

impl WebhookCourier {
    async fn body(&self, delivery: &Delivery) -> Result<Bytes, Called> {
        let entry = delivery.entry.clone();
        let payload = delivery.payload;
        if payload == ForwardPayload::Thin {
            return written(message::thin(&entry));
        }
        let raw = message::raw(&*self.store, &entry).await?;
        let reader = Arc::clone(&self.reader);
        let making = message::read(move || match payload {
            ForwardPayload::Raw => Ok(reader.shown(&entry, &raw)),
            ForwardPayload::Full | ForwardPayload::Thin => written(message::full(&entry, &raw, &*reader)),
        });
        making.await?
    }
}

fn written(body: Result<Vec<u8>, serde_json::Error>) -> Result<Bytes, Called> {
    let failed = |error| format!("the message can't be written as JSON: {error}");
    body.map(Bytes::from).map_err(|error| Called::Refused { cause: failed(error), off: false })
}

fn read_secrets(secrets: &[String]) -> Option<Vec<Secret>> {
    secrets.iter().take(MAX_SECRETS).map(|text| Secret::parse(text)).collect()
}

/// What an answer means. Whoever answers with an error may have one that passes, so every error but 410 is tried again;
/// a redirect is an error, since a URL that moved has to be set anew.
fn attempted(answer: Answer) -> Attempted {
    let outcome = match answer.status {
        200..300 => Called::Delivered,
        410 => Called::Refused { cause: answer.says(), off: true },
        300..400 => {
            Called::Later { retry_after: None, cause: format!("{}: redirects are not followed", answer.says()) }
        }
        _ => Called::Later { retry_after: answer.retry_after, cause: answer.says() },
    };
    Attempted { outcome, status: Some(i32::from(answer.status)), answer: answer.body }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn of(status: u16) -> Called {
        let retry_after = Some(Duration::from_secs(7));
        let attempted = attempted(Answer { status, retry_after, body: "said".to_owned() });
        assert_eq!((attempted.status, &*attempted.answer), (Some(i32::from(status)), "said"));
        attempted.outcome
    }

    #[test]
    fn only_2xx_is_a_delivery_and_only_410_switches_off() {
        for status in [200, 201, 204, 299] {
            assert_eq!(of(status), Called::Delivered);
        }
        for status in [100, 199, 300, 302, 308, 400, 401, 404, 422, 500, 501, 999] {
            assert!(matches!(of(status), Called::Later { .. }), "{status}");
        }
        assert!(matches!(of(410), Called::Refused { off: true, .. }));
    }

    #[test]
    fn a_receiver_that_asks_for_time_gets_it() {
        for status in [429, 500, 502, 503, 504] {
            assert!(
                matches!(of(status), Called::Later { retry_after: Some(after), .. } if after.as_secs() == 7),
                "{status}"
            );
        }
        assert!(matches!(of(307), Called::Later { retry_after: None, .. }));
    }
}
