//! Who carries what: a courier a kind of forward, all of them behind one door.

use std::sync::Arc;

use async_trait::async_trait;
use mailstore::{Entry, Store};
use schemas::event::ForwardKind;
use sinks::forward::{Attempted, Courier, Delivery, SystemClock};
use sinks::message::Reader;
use sinks::post::{Poster, SystemResolver};
use sinks::slack::{PageOf, SlackCourier};
use sinks::webhook::WebhookCourier;
use wire::Trust;

use super::reading::AsTheApi;
use crate::config::ForwardSettings;

pub struct Couriers {
    webhook: WebhookCourier,
    slack: SlackCourier,
}

impl Couriers {
    pub fn new(settings: &ForwardSettings, store: Arc<dyn Store>, clock: Arc<SystemClock>, page: Arc<PageOf>) -> Self {
        let trust = Trust::system().map_err(|error| {
            tracing::warn!(%error, "nothing can be called by https");
        });
        let poster = Arc::new(Poster {
            guard: settings.guard.clone(),
            resolver: Arc::new(SystemResolver::default()),
            trust: trust.ok(),
            timeout: settings.answer_wait,
            clock,
        });
        let reader: Arc<dyn Reader> = Arc::new(AsTheApi);
        let webhook = WebhookCourier::new(Arc::clone(&poster), Arc::clone(&store), Arc::clone(&reader));
        let slack = SlackCourier::new(poster, store, reader, page);
        Self { webhook, slack }
    }
}

#[async_trait]
impl Courier for Couriers {
    async fn deliver(&self, delivery: &Delivery) -> Attempted {
        match delivery.kind {
            ForwardKind::Webhook => self.webhook.deliver(delivery).await,
            ForwardKind::Slack => self.slack.deliver(delivery).await,
            // A copy is an entry of the message: nobody is called. What is unknown is held; a newer program will know.
            ForwardKind::Mail | ForwardKind::Unknown => Attempted::later("nobody is called for this kind of forward"),
        }
    }
}

/// Where an entry is read: in the API, under the public URL, if there is one.
pub fn pages(public_url: Option<String>) -> Arc<PageOf> {
    Arc::new(move |entry: &Entry| {
        let base = public_url.as_deref()?.trim_end_matches('/');
        Some(format!("{base}/api/text/{}/{}", encoded(&entry.inbox), entry.id))
    })
}

/// A part of a path, whatever it holds.
fn encoded(text: &str) -> String {
    let mut path = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}
