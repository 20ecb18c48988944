//! The lines of a dump: every view as canonical JSON. No place on the log and no generation is in it, so the dump of a
//! store is the same before and after a rebuild, and on every body.

use serde::Serialize;

use crate::{Entry, Result, StoreError, Totals};

#[derive(Serialize)]
#[serde(tag = "view", rename_all = "lowercase")]
pub enum Line<'a> {
    Message { id: &'a str, sha256: Option<String>, entries: &'a [Entry] },
    Counts { inbox: &'a str, messages: u64, unread: u64 },
    Inbox { inbox: &'a str, id: &'a str },
    Starred { account: &'a str, id: &'a str },
    Totals(Totals),
}

impl Line<'_> {
    pub fn text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| StoreError::Damaged(error.to_string()))
    }
}
