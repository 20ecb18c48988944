//! Why a mail is where it is, and whom it was told to; or where mail for an address would go. For operators.

use std::ops::ControlFlow;
use std::sync::Arc;

use accounts::{Table, normalise, split_domain};
use axum::extract::State;
use axum::response::Response;
use schemas::event::{Folder, ForwardAttempt, MailRaw, MailRouted, MailScored};
use schemas::record::Partition;
use schemas::{Event, MessageId, Position, Topic, codec};
use serde_json::{Value, json};

use super::attempts::{self, AttemptObject};
use super::due::standing;
use super::kept;
use super::list::{kind, led_to};
use super::range::Range;
use super::scan::{arrived_at, ends, partition_of, scan};
use crate::http::access::{echo, invalid_address};
use crate::http::answer;
use crate::http::doors::Api;
use crate::http::error::ApiError;
use crate::http::key::Administrator;
use crate::http::request::At;
use crate::http::time;

/// A fact may be logged a little before its arrival by another clock.
const SLACK_MS: i64 = 60 * 1000;

pub async fn explain(
    _: Administrator,
    State(api): State<Arc<Api>>,
    At(what): At<String>,
) -> Result<Response, ApiError> {
    api.doors.accounts.catch_up().await?;
    let id = what.split('-').next().unwrap_or_default().parse::<MessageId>();
    let explained = match id {
        Ok(id) if !what.contains('@') => message(&api, &id, &what).await?,
        _ => address(&api, &what)?,
    };
    Ok(answer::json(&explained))
}

/// Where mail for an address would go now.
fn address(api: &Api, text: &str) -> Result<Value, ApiError> {
    let address = normalise(text).map_err(|error| invalid_address(text, error))?;
    Ok(api.table(|table| {
        let route = table.resolve(&address);
        let forwards: Vec<Value> = route
            .forwards
            .iter()
            .chain(route.copies.iter().flat_map(|copied| &copied.forwards))
            .map(|id| named(api, table, id))
            .collect();
        json!({
            "address": address,
            "inbox": route.inbox,
            "why": why(table, &address, &route.inbox),
            "copies": route.copies.iter().map(|copied| copied.inbox.clone()).collect::<Vec<_>>(),
            "private": table.reserved(&route.inbox).is_some(),
            "forwards": forwards,
        })
    }))
}

async fn message(api: &Api, id: &MessageId, what: &str) -> Result<Value, ApiError> {
    let partition = partition_of(api, id).await?;
    let scored = scored(api, id, partition).await?;
    let Some((routed, offset)) = routed(api, id, partition).await? else {
        return older(api, id, what, scored.as_ref()).await;
    };
    let raw = raw(api, partition, routed.raw_offset).await?;
    let entries: Vec<Value> =
        api.table(|table| {
            routed.entries.iter().map(|entry| {
            let whys: Vec<String> = entry.recipients.iter().map(|to| why(table, to, &entry.inbox)).collect();
            json!({
                "_id": format!("{id}-{}", entry.index), "inbox": entry.inbox, "originalInbox": entry.original_inbox,
                "recipients": entry.recipients, "why": whys, "forwards": entry.forwards,
                "startsIn": if entry.starts_in_spam { Folder::Spam } else { routed.folder },
            })
        }).collect()
        });
    let told = told(api, id, routed.entries.iter().flat_map(|entry| entry.forwards.clone()).collect()).await?;
    Ok(json!({
        "message": id, "partition": partition, "rawOffset": routed.raw_offset, "routedOffset": offset,
        "arrival": raw.as_ref().map(arrival), "score": scored.as_ref().map(score), "firstScore": routed.score, "folder": routed.folder,
        "accountsOffset": routed.accounts_offset, "replay": routed.replay, "entries": entries, "forwards": told,
    }))
}

/// What can be said of a message whose facts the log has given up, and that the store still has. Why it scored so is
/// gone; what its bytes score by the model in force for all mail is said beside it.
async fn older(api: &Api, id: &MessageId, what: &str, scored: Option<&MailScored>) -> Result<Value, ApiError> {
    let kept = kept::of(api, id, what).await?;
    let first = kept.entries.first().map(|(_, entry)| entry);
    let first = first.ok_or_else(|| {
        ApiError::NotFound(format!("There is no message {} on the log or in the store.", echo(id.as_str())).into())
    })?;
    let entries: Vec<Value> = api.table(|table| {
        kept.entries.iter().map(|(id, entry)| {
        let whys: Vec<String> = entry.recipients.iter().map(|to| why(table, to, &entry.inbox)).collect();
        json!({
            "_id": id.to_string(), "inbox": entry.inbox, "originalInbox": entry.original_inbox, "recipients": entry.recipients,
            "why": whys, "startsIn": entry.delivered_to,
        })
    }).collect()
    });
    Ok(json!({
        "message": id, "olderThanLog": true, "arrival": kept::arrival(first),
        "score": scored.map_or_else(|| json!({"spam": first.spam}), score), "scoredNow": kept.scored_now.as_ref().map(score),
        "entries": entries, "forwards": told(api, id, Vec::new()).await?,
    }))
}

/// Whom a message was told to, and is due to be: these forwards, and those that have tried it.
async fn told(api: &Api, id: &MessageId, mut forwards: Vec<String>) -> Result<Vec<Value>, ApiError> {
    let mut tried: Vec<ForwardAttempt> = Vec::new();
    let range = Range { message: Some(id.clone()), since_ms: arrived_at(id) - SLACK_MS, ..Range::default() };
    attempts::each(api, &range, |_, attempt| {
        tried.push(attempt);
        ControlFlow::Continue(())
    })
    .await?;
    let due = standing(api).await?;
    forwards.extend(tried.iter().map(|attempt| attempt.forward.clone()));
    forwards.extend(due.values().filter(|one| one.due.message_id == *id).map(|one| one.due.forward.clone()));
    forwards.sort();
    forwards.dedup();
    Ok(forwards
        .iter()
        .map(|forward| {
            let mut told = api.table(|table| named(api, table, forward));
            let of_it = tried.iter().filter(|attempt| attempt.forward == *forward);
            let attempts: Vec<AttemptObject> = of_it.map(AttemptObject::from).collect();
            let waits = due.values().filter(|one| one.due.message_id == *id && one.due.forward == *forward);
            let waits: Vec<Value> = waits
                .map(|one| {
                    json!({
                        "delivery": one.due.delivery_id, "attempts": one.due.attempts, "origin": one.due.origin,
                        "nextAt": (one.due.next_at > 0).then(|| time::iso(one.due.next_at)),
                    })
                })
                .collect();
            if let Some(members) = told.as_object_mut() {
                members.insert("attempts".to_owned(), json!(attempts));
                members.insert("due".to_owned(), json!(waits));
            }
            told
        })
        .collect())
}

fn arrival(raw: &MailRaw) -> Value {
    json!({
        "at": time::iso(raw.arrived_at), "door": format!("{:?}", raw.door).to_lowercase(),
        "peer": raw.peer.as_ref().map(|peer| peer.ip.clone()), "helo": raw.helo,
        "tls": raw.tls.as_ref().map(|tls| tls.protocol.clone()), "login": raw.login, "mailFrom": raw.mail_from,
        "recipients": raw.recipients, "size": raw.content.len(), "receivedBy": raw.received_by,
    })
}

fn score(scored: &MailScored) -> Value {
    json!({
        "spam": scored.score, "model": scored.model, "version": scored.model_version,
        "sequence": scored.model_sequence, "logOdds": scored.log_odds, "replay": scored.replay,
        "tokens": scored.tokens.iter().map(|token| json!({"token": token.token, "weight": token.weight})).collect::<Vec<_>>(),
    })
}

/// Which rule leads mail for this recipient to where the table leads it now.
fn why(table: &Table, recipient: &str, saved: &str) -> String {
    let route = table.resolve(recipient);
    let (inbox, original) = (&route.inbox, &route.original_inbox);
    let reserved = table.reserved(inbox).map(|reserved| (reserved.owner.as_str(), reserved.alternate.as_str()));
    let local = split_domain(original).map_or(original.as_str(), |(local, _)| local);
    let domain = split_domain(original).map_or("", |(_, domain)| domain);
    let said = match (reserved, table.catch_all(domain)) {
        (Some((owner, _)), _) if inbox == original => format!("{original} is reserved by {owner}"),
        (Some((_, alternate)), _) if local == alternate => format!("{original} is an alternate of {inbox}"),
        (_, Some(catch_all)) if catch_all.inbox == *inbox => {
            format!("{original} is not reserved, and the catch-all of {domain} saves it in {inbox}")
        }
        (Some((owner, _)), _) => format!("without its tag, {original} is {inbox}, reserved by {owner}"),
        _ if inbox == original => format!("{original} is nobody's: it is its own inbox"),
        _ => format!("without its tag, {original} is {inbox}, which is nobody's"),
    };
    if route.copies.iter().any(|copied| copied.inbox == saved) {
        return format!("{said}; a forward there copies it to {saved}");
    }
    if inbox == saved { said } else { format!("{said}; it was saved in {saved}, as the rules were then") }
}

fn named(api: &Api, table: &Table, id: &str) -> Value {
    let Some(forward) = table.forward(id) else { return json!({"_id": id, "gone": true}) };
    json!({
        "_id": id, "kind": kind(forward.target.kind), "owner": forward.owner, "rule": forward.rule,
        "target": led_to(forward.target, &api.doors.sealer), "on": forward.off.is_none(),
    })
}

async fn raw(api: &Api, partition: Partition, offset: i64) -> Result<Option<MailRaw>, ApiError> {
    let Ok(offset) = u64::try_from(offset) else { return Ok(None) };
    let place = Position::new(Topic::MailRaw, partition, offset);
    let bounds = api.doors.log.bounds(Topic::MailRaw).await?;
    // The log may have given it up.
    if !bounds.iter().any(|known| known.partition == partition && (known.earliest..known.end).contains(&offset)) {
        return Ok(None);
    }
    let mut found = None;
    scan(api, vec![place], &[place.next()], |record| {
        let value = record.value.as_deref().map(|value| codec::decode(Topic::MailRaw, value));
        if let Some(Ok(Event::Raw(raw))) = value {
            found = Some(raw);
        }
        ControlFlow::Break(())
    })
    .await?;
    Ok(found)
}

/// The record that holds now, and its offset.
async fn routed(api: &Api, id: &MessageId, partition: Partition) -> Result<Option<(MailRouted, u64)>, ApiError> {
    let mut found = None;
    facts(api, Topic::MailRouted, id, partition, |offset, event| {
        if let Event::Routed(routed) = event {
            found = Some((routed, offset));
        }
    })
    .await?;
    Ok(found)
}

/// The score that counts, as the store has it: by the highest model number, and then the last.
async fn scored(api: &Api, id: &MessageId, partition: Partition) -> Result<Option<MailScored>, ApiError> {
    let mut found: Option<MailScored> = None;
    facts(api, Topic::MailScored, id, partition, |_, event| {
        if let Event::Scored(scored) = event
            && found.as_ref().is_none_or(|known| known.model_sequence <= scored.model_sequence)
        {
            found = Some(scored);
        }
    })
    .await?;
    Ok(found)
}

/// Every fact of a message on a topic.
async fn facts(
    api: &Api,
    topic: Topic,
    id: &MessageId,
    partition: Partition,
    mut take: impl FnMut(u64, Event) + Send,
) -> Result<(), ApiError> {
    let mut from = api.doors.log.offsets_at(topic, arrived_at(id) - SLACK_MS).await?;
    from.retain(|place| place.partition == partition);
    let ends = ends(api, topic).await?;
    scan(api, from, &ends, |record| {
        if record.key.as_deref() == Some(id.as_str().as_bytes())
            && let Some(Ok(event)) = record.value.as_deref().map(|value| codec::decode(topic, value))
        {
            take(record.position.offset, event);
        }
        ControlFlow::Continue(())
    })
    .await
}
