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
/// Corrections that one call looks at: more than the trainer counts. Of more none is shown or taken back, since nobody
/// would see which were left out.
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

/// The last word of each message and account, by where it stands.
#[derive(Default)]
struct Last {
    places: BTreeMap<String, u64>,
    is_over: bool,
}

impl Last {
    fn take(&mut self, which: &Which, offset: u64, correction: &SpamCorrection, most: usize) {
        let key = correction.key();
        if correction.verdict == SpamVerdict::TakenBack {
            self.places.remove(&key);
        } else if which.takes(correction) {
            self.is_over |= self.places.len() >= most && !self.places.contains_key(&key);
            if !self.is_over {
                self.places.insert(key, offset);
            }
        }
    }

    /// In order.
    fn places(self, most: usize) -> Result<Vec<u64>, ApiError> {
        if self.is_over {
            let text = format!("More than {most} corrections stand: say whose, or of which message.");
            return Err(ApiError::Refused(text.into()));
        }
        let mut places: Vec<u64> = self.places.into_values().collect();
        places.sort_unstable();
        Ok(places)
    }
}

async fn standing(api: &Api, which: &Which) -> Result<Vec<u64>, ApiError> {
    let mut last = Last::default();
    each(api, |offset, correction| last.take(which, offset, &correction, MAX_STANDING)).await?;
    last.places(MAX_STANDING)
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

#[cfg(test)]
mod tests {
    use schemas::MessageId;

    use super::*;

    fn correction(number: u8, verdict: SpamVerdict) -> SpamCorrection {
        let account = if number.is_multiple_of(2) { "even" } else { "odd" }.to_owned();
        SpamCorrection {
            message_id: MessageId::from_parts(0, [number; 10]),
            account: account.clone(),
            at: 0,
            by: account,
            verdict,
            scope: CorrectionScope::Account,
            tokens: Vec::new(),
        }
    }

    fn standing(which: &Which, said: &[(u8, SpamVerdict)], most: usize) -> Result<Vec<u64>, ApiError> {
        let mut last = Last::default();
        for (offset, (number, verdict)) in (0..).zip(said) {
            last.take(which, offset, &correction(*number, *verdict), most);
        }
        last.places(most)
    }

    #[test]
    fn more_corrections_than_are_looked_at_are_refused_and_not_cut() {
        use SpamVerdict::{Ham, Spam, TakenBack};
        let said = [(1, Spam), (2, Ham), (1, TakenBack), (3, Spam), (2, Spam)];
        assert_eq!(standing(&Which::default(), &said, 2).unwrap(), [3, 4]);
        let refused = standing(&Which::default(), &said, 1).unwrap_err();
        assert!(refused.text().contains("More than 1 corrections"), "{}", refused.text());
        let odd = Which { account: Some("odd".to_owned()), ..Which::default() };
        assert_eq!(standing(&odd, &said, 1).unwrap(), [3]);
    }
}
