//! A message becomes the event `mail.raw` on the log; only then has it an id that the peer may hear.

use std::net::SocketAddr;
use std::sync::PoisonError;
use std::time::{SystemTime, UNIX_EPOCH};

use schemas::event::{Door, MailRaw, Peer};
use schemas::{Event, MessageId, NewRecord, Topic, codec};
use tokio::time::{Instant, timeout};

use crate::body::Body;
use crate::converse::House;
use crate::session::{Appended, Envelope};
use crate::unanswered::Held;
use crate::{metric, reply};

/// Puts the message on the log and waits until it is durable there. Nobody is told of it before what holds it is
/// dropped.
pub async fn append(house: &House, peer: SocketAddr, envelope: Envelope, body: Body) -> (Appended, Option<Held>) {
    let settings = &house.settings;
    let arrived_at = house.arrivals.lock().unwrap_or_else(PoisonError::into_inner).next(now_ms(), &envelope.recipients);
    let message_id = MessageId::from_parts(arrived_at, rand::random());
    let id = message_id.to_string();
    // The room in the pool is held until the log has answered.
    let (content, _room) = body.into_parts();
    let size_bytes = content.len();
    let event = Event::Raw(MailRaw {
        message_id,
        arrived_at,
        door: Door::Smtp,
        peer: Some(Peer { ip: peer.ip().to_string(), port: i32::from(peer.port()) }),
        received_by: settings.server_name.clone(),
        helo: Some(envelope.hello.name),
        esmtp: envelope.hello.esmtp,
        tls: None,
        login: None,
        mail_from: envelope.mail_from,
        recipients: envelope.recipients,
        smtputf8: envelope.smtputf8,
        content,
    });
    let value = match codec::encode(&event) {
        Ok(value) => value,
        Err(error) => {
            tracing::error!(message.id = %id, %error, size_bytes, "message can't be encoded");
            return (Appended::Refused(reply::UNSTORABLE), None);
        }
    };
    drop(event);
    let begun = Instant::now();
    let record = NewRecord::new(Topic::MailRaw, id.clone(), value);
    let held = house.unanswered.hold(&id);
    let outcome = timeout(settings.append_wait, house.log.append(vec![record])).await;
    metrics::histogram!(metric::APPEND_SECONDS).record(begun.elapsed().as_secs_f64());
    let appended = match outcome {
        Ok(Ok(_)) => {
            metrics::counter!(metric::ACCEPTED).increment(1);
            metrics::counter!(metric::ACCEPTED_BYTES).increment(u64::try_from(size_bytes).unwrap_or(0));
            tracing::debug!(message.id = %id, size_bytes, "message accepted");
            Appended::Queued(id)
        }
        Ok(Err(error)) => {
            tracing::warn!(message.id = %id, %error, size_bytes, "the log did not take a message");
            Appended::Refused(reply::of_log_error(&error))
        }
        Err(_) => {
            tracing::warn!(message.id = %id, size_bytes, "the log did not take a message in time");
            Appended::Refused(reply::LOG_SLOW)
        }
    };
    (appended, Some(held))
}

fn now_ms() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}
