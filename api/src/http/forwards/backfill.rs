//! A new forward is told of mail that is stored already: from a time, or all of it. First it is counted, and said how
//! much it is; then it is made due, in the order in which it was routed. Each mail that the forward's rules are about
//! now is told once; what it was told of when it arrived is left out.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use eventlog::{Cursor, CursorError};
use schemas::event::{ForwardDue, MailRouted, RoutedEntry};
use schemas::record::Offset;
use schemas::{EntryId, Event, Position, Topic, codec};
use serde::Serialize;

use super::called;
use super::due::{Mail, Placed, asked_for, put};
use super::scan::{ends, scan, starts};
use crate::http::admin::stream::{Lines, line, lines};
use crate::http::doors::Api;
use crate::http::error::ApiError;
use crate::http::request::{Asked, At};
use crate::http::{time, write};

/// Records of `mail.routed` that are looked at before what they make is made due.
const AT_ONCE: u64 = 500;
const MAX_FROM_BYTES: usize = 4096;

/// One line of the answer.
#[derive(Debug, Serialize)]
#[serde(tag = "stage", rename_all = "lowercase")]
enum Step {
    /// How many mails will be told; nothing has been sent.
    Counted {
        deliveries: u64,
    },
    Due {
        deliveries: u64,
        of: u64,
    },
    /// The last line.
    #[serde(rename_all = "camelCase")]
    Done {
        deliveries: u64,
        dry_run: bool,
        origin: Option<String>,
    },
    Failed {
        error: String,
    },
}

/// What is asked for.
struct Backfill {
    forward: String,
    origin: String,
    from: Vec<Position>,
    ends: Vec<Position>,
    /// Mail that arrived earlier is left out.
    since_ms: i64,
    dry_run: bool,
}

pub async fn backfill(State(api): State<Arc<Api>>, At(id): At<String>, asked: Asked) -> Result<Response, ApiError> {
    called(&api, &asked.caller, &id)?;
    let from = asked.members.required_text("from", MAX_FROM_BYTES)?;
    let dry_run = asked.members.switch("dryRun")?.unwrap_or(false);
    let ends = ends(&api, Topic::MailRouted).await?;
    let (from, since_ms) = start(&api, &from, &ends).await?;
    let origin = format!("backfill-{}", write::new_id());
    let backfill = Backfill { forward: id, origin, from, ends, since_ms, dry_run };
    let (lines, response) = lines();
    // It goes on when the caller leaves: half of it is of no use.
    tokio::spawn(async move {
        let end = match backfill.run(&api, &lines).await {
            Ok(deliveries) => {
                let origin = (!backfill.dry_run).then(|| backfill.origin.clone());
                Step::Done { deliveries, dry_run: backfill.dry_run, origin }
            }
            Err(error) => {
                tracing::error!(forward = %backfill.forward, ?error, "a backfill has ended early");
                Step::Failed { error: error.text().into_owned() }
            }
        };
        let _ = lines.send(line(&end)).await;
    });
    Ok(response)
}

/// Where to begin, and the earliest arrival.
async fn start(api: &Api, from: &str, ends: &[Position]) -> Result<(Vec<Position>, i64), ApiError> {
    match from {
        "now" => Ok((ends.to_vec(), 0)),
        "earliest" => Ok((starts(api, Topic::MailRouted).await?, 0)),
        text => match time::from(text) {
            // What arrived at that time or later was routed at that time or later.
            Some(ms) => Ok((api.doors.log.offsets_at(Topic::MailRouted, ms).await?, ms)),
            None => Ok((behind(api, text).await?, 0)),
        },
    }
}

/// The places behind a cursor, as websocket frames carry it. What the log has given up since is not told any more.
async fn behind(api: &Api, text: &str) -> Result<Vec<Position>, ApiError> {
    let refused = |cause: &str| {
        ApiError::invalid(format!(
            "from is not one of now, earliest, a time (2020-07-05T22:25:41Z), a cursor of a websocket frame: {cause}"
        ))
    };
    let cursor: Cursor = text.parse().map_err(|error: CursorError| refused(&error.to_string()))?;
    let named = cursor.positions(api.doors.log.id(), Topic::MailRouted).map_err(|error| refused(&error.to_string()))?;
    let starts = starts(api, Topic::MailRouted).await?;
    let place = |start: Position| {
        let offset = named.iter().find(|place| place.partition == start.partition).map_or(0, |place| place.offset);
        Position { offset: offset.max(start.offset), ..start }
    };
    Ok(starts.into_iter().map(place).collect())
}

impl Backfill {
    async fn run(&self, api: &Api, lines: &Lines) -> Result<u64, ApiError> {
        let mut total = 0;
        let mut places = self.from.clone();
        while let Some(deliveries) = self.next(api, &mut places).await? {
            total += deliveries.len() as u64;
        }
        let _ = lines.send(line(&Step::Counted { deliveries: total })).await;
        if self.dry_run {
            return Ok(total);
        }
        let mut made = 0;
        let mut places = self.from.clone();
        while let Some(deliveries) = self.next(api, &mut places).await? {
            put(api, &deliveries).await?;
            made += deliveries.len() as u64;
            // A step that nobody takes is left out.
            let _ = lines.try_send(line(&Step::Due { deliveries: made, of: total }));
        }
        Ok(made)
    }

    /// What the next records make; `None` at the end.
    async fn next(&self, api: &Api, places: &mut Vec<Position>) -> Result<Option<Vec<Placed>>, ApiError> {
        let Some(place) = places.first().copied() else { return Ok(None) };
        let end = self.ends.iter().find(|end| end.partition == place.partition).map_or(0, |end| end.offset);
        if place.offset >= end {
            places.remove(0);
            return Ok(Some(Vec::new()));
        }
        let until = Position { offset: end.min(place.offset.saturating_add(AT_ONCE)), ..place };
        let mut found = Vec::new();
        scan(api, vec![place], &[until], |record| {
            let value = record.value.as_deref().map(|value| codec::decode(Topic::MailRouted, value));
            if let Some(Ok(Event::Routed(routed))) = value
                && let Some(due) = self.concerns(api, &routed, record.position.offset)
            {
                found.push(Placed { partition: place.partition, due });
            }
            ControlFlow::Continue(())
        })
        .await?;
        if let Some(first) = places.first_mut() {
            *first = until;
        }
        let mut shown = Vec::with_capacity(found.len());
        for one in found {
            if is_shown(api, &one.due).await? {
                shown.push(one);
            }
        }
        Ok(Some(shown))
    }

    /// The delivery of a mail that the forward is about, if it is.
    fn concerns(&self, api: &Api, routed: &MailRouted, offset: Offset) -> Option<ForwardDue> {
        let told = routed.entries.iter().any(|entry| entry.forwards.contains(&self.forward));
        // A replay routes anew what was routed before.
        if told || routed.replay.is_some() || routed.arrived_at < self.since_ms {
            return None;
        }
        let index = api.table(|table| {
            let leads = |inbox: &str, recipient: &String| {
                let route = table.resolve(recipient);
                let copied = route.copies.into_iter().map(|copied| (copied.inbox, copied.forwards));
                let mut landings = std::iter::once((route.inbox, route.forwards)).chain(copied);
                landings.any(|(saved, forwards)| saved == inbox && forwards.contains(&self.forward))
            };
            let concerns = |entry: &&RoutedEntry| entry.recipients.iter().any(|to| leads(&entry.inbox, to));
            routed.entries.iter().find(concerns).map(|entry| entry.index)
        })?;
        let routed_offset = i64::try_from(offset).unwrap_or(i64::MAX);
        let mail = Mail { message: &routed.message_id, index, arrived_at: routed.arrived_at, routed_offset };
        Some(asked_for(api, mail, &self.forward, &self.origin))
    }
}

async fn is_shown(api: &Api, due: &ForwardDue) -> Result<bool, ApiError> {
    let Ok(index) = u32::try_from(due.index) else { return Ok(false) };
    let id = EntryId { message: due.message_id.clone(), index };
    Ok(api.doors.store.entry(&id).await?.is_some())
}
