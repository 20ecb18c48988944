//! What was decided about a letter, as it stands in the headers of the record that ends it.

use schemas::record::Header;
use schemas::{NewRecord, Record, Topic};
use serde::Serialize;

use crate::http::time;

const OUTCOME: &str = "postlog.outcome";
const BY: &str = "postlog.by";
const PLACE: &str = "postlog.place";
/// Bytes of a header that are read.
const MAX_HEADER_BYTES: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Put back, to be handled once more.
    Retried,
    /// Not worth more.
    Dropped,
    /// Ended by somebody who says no more, such as another program.
    Ended,
}

/// A decision, and when the log took it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    pub outcome: Outcome,
    pub at: String,
    pub by: Option<String>,
    /// Where the record was put back.
    pub place: Option<String>,
}

impl Decision {
    /// Of a record without a value.
    pub fn read(record: &Record) -> Self {
        let text = |name: &str| {
            let header = record.headers.iter().find(|header| header.name == name)?;
            let value = header.value.get(..MAX_HEADER_BYTES).unwrap_or(&header.value);
            Some(String::from_utf8_lossy(value).into_owned())
        };
        let outcome = match text(OUTCOME).as_deref() {
            Some("retried") => Outcome::Retried,
            Some("dropped") => Outcome::Dropped,
            _ => Outcome::Ended,
        };
        Self { outcome, at: time::iso(record.timestamp_ms), by: text(BY), place: text(PLACE) }
    }
}

/// The record that ends the letters of this origin.
pub fn ending(origin: &str, by: &str, put_back: Option<&str>) -> NewRecord {
    let header = |name: &str, value: &str| Header { name: name.to_owned(), value: value.as_bytes().to_vec().into() };
    let outcome = if put_back.is_some() { "retried" } else { "dropped" };
    let mut headers = vec![header(OUTCOME, outcome), header(BY, by)];
    headers.extend(put_back.map(|place| header(PLACE, place)));
    NewRecord {
        topic: Topic::DeadLetters,
        partition: None,
        key: Some(origin.as_bytes().to_vec().into()),
        headers,
        value: None,
    }
}
