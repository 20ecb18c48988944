//! What people have said of mail, and how an operator takes it back: long after the mail is gone, since the topic keeps
//! the hashes of its tokens.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use axum::routing::{get, post};
use schemas::event::{CorrectionScope, SpamCorrection, SpamVerdict};
use schemas::{Event, Position, Record, Topic, codec};
use serde::Serialize;

use super::stream::{add, line, lines};
use crate::http::doors::Api;
use crate::http::error::ApiError;
use crate::http::forwards::scan::{ends, scan, starts};
use crate::http::key::{Administrator, administrator};
use crate::http::request::{Asked, query_value};
use crate::http::{answer, corrections, time};

const TOPIC: Topic = Topic::SpamCorrections;
/// Corrections that are read and taken back with one append.
const PAGE: usize = 200;
/// Bytes of the id of an account or a message.
const MAX_ID_BYTES: usize = 100;
/// Corrections that one call looks at: more than the trainer counts.
const MAX_STANDING: usize = 1 << 18;

pub fn routes() -> Router<Arc<Api>> {
    Router::new().route("/corrections", get(list)).route("/corrections/take-back", post(take_back))
}

/// Which corrections are meant; all, where nothing is said.
#[derive(Default)]
struct Which {
    account: Option<String>,
    message: Option<String>,
}

impl Which {
    fn takes(&self, correction: &SpamCorrection) -> bool {
        self.account.as_ref().is_none_or(|account| *account == correction.account)
            && self.message.as_ref().is_none_or(|message| message == correction.message_id.as_str())
    }
}

/// A correction that stands.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Standing<'a> {
    message: &'a str,
    account: &'a str,
    by: &'a str,
    at: String,
    verdict: &'static str,
    scope: &'static str,
    tokens: usize,
}

impl<'a> From<&'a SpamCorrection> for Standing<'a> {
    fn from(correction: &'a SpamCorrection) -> Self {
        Self {
            message: correction.message_id.as_str(),
            account: &correction.account,
            by: &correction.by,
            at: time::iso(correction.at),
            verdict: match correction.verdict {
                SpamVerdict::Spam => "spam",
                SpamVerdict::Ham => "ham",
                SpamVerdict::TakenBack => "taken back",
            },
            scope: match correction.scope {
                CorrectionScope::Everybody => "everybody",
                CorrectionScope::Account => "account",
            },
            tokens: correction.tokens.len(),
        }
    }
}

/// Where the last word of each message and account stands on the topic, in order.
async fn standing(api: &Api, which: &Which) -> Result<Vec<u64>, ApiError> {
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    each(api, |offset, correction| {
        let key = correction.key();
        if correction.verdict == SpamVerdict::TakenBack {
            last.remove(&key);
        } else if which.takes(&correction) && (last.len() < MAX_STANDING || last.contains_key(&key)) {
            last.insert(key, offset);
        }
    })
    .await?;
    let mut places: Vec<u64> = last.into_values().collect();
    places.sort_unstable();
    Ok(places)
}

async fn each(api: &Api, mut take: impl FnMut(u64, SpamCorrection) + Send) -> Result<(), ApiError> {
    let (from, to) = (starts(api, TOPIC).await?, ends(api, TOPIC).await?);
    scan(api, from, &to, |record| {
        if let Some(correction) = read(&record) {
            take(record.position.offset, correction);
        }
        ControlFlow::Continue(())
    })
    .await
}

/// The corrections that stand at these places, which are in order.
async fn at(api: &Api, places: &[u64]) -> Result<Vec<SpamCorrection>, ApiError> {
    let (Some(first), Some(last)) = (places.first(), places.last()) else { return Ok(Vec::new()) };
    let place = |offset| Position::new(TOPIC, 0, offset);
    let mut found = Vec::with_capacity(places.len());
    scan(api, vec![place(*first)], &[place(*last).next()], |record| {
        if places.binary_search(&record.position.offset).is_ok() {
            found.extend(read(&record));
        }
        ControlFlow::Continue(())
    })
    .await?;
    Ok(found)
}

fn read(record: &Record) -> Option<SpamCorrection> {
    match codec::decode(TOPIC, record.value.as_deref()?) {
        Ok(Event::Correction(correction)) => Some(correction),
        // What can't be read says nothing: the trainer passes over it, too.
        Ok(_) | Err(_) => None,
    }
}

async fn list(_: Administrator, State(api): State<Arc<Api>>, uri: Uri) -> Result<Response, ApiError> {
    let which = Which { account: query_value(&uri, "account"), message: query_value(&uri, "message") };
    let places = standing(&api, &which).await?;
    let (lines, response) = lines();
    tokio::spawn(async move {
        for page in places.chunks(PAGE) {
            let found = match at(&api, page).await {
                Ok(found) => found,
                Err(error) => {
                    let _ = lines.send(line(&Broken { error: error.text().into_owned() })).await;
                    return;
                }
            };
            let mut text = Vec::new();
            found.iter().for_each(|correction| add(&mut text, &Standing::from(correction)));
            if lines.send(text.into()).await.is_err() {
                return;
            }
        }
    });
    Ok(response)
}

/// The last line of a list that could not be ended.
#[derive(Serialize)]
struct Broken {
    error: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TakenBack {
    taken_back: usize,
}

/// By account, by message, by both; `all` is said where all are meant.
async fn take_back(State(api): State<Arc<Api>>, asked: Asked) -> Result<Response, ApiError> {
    let Administrator(caller) = administrator(asked.caller)?;
    let of = |name: &str| Ok::<_, ApiError>(asked.members.text(name, MAX_ID_BYTES)?.filter(|text| !text.is_empty()));
    let which = Which { account: of("account")?, message: of("message")? };
    let all = asked.members.switch("all")?.unwrap_or(false);
    if which.account.is_none() && which.message.is_none() && !all {
        return Err(ApiError::invalid("say account or message, or all: true"));
    }
    let places = standing(&api, &which).await?;
    for page in places.chunks(PAGE) {
        let gone = at(&api, page).await?.into_iter().map(|correction| {
            let (by, at) = (caller.id.clone(), time::now_ms());
            corrections::record(&SpamCorrection { by, at, verdict: SpamVerdict::TakenBack, ..correction })
        });
        let records: Result<Vec<_>, ApiError> = gone.collect();
        api.doors.log.append(records?).await?;
    }
    Ok(answer::json(&TakenBack { taken_back: places.len() }))
}
