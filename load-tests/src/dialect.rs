//! How each server is asked the same thing: its API paths, and what its answers say. No I/O.

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use hyper::StatusCode;
use serde_json::Value;

/// Domain of every inbox that is written to.
pub const DOMAIN: &str = "load.example";

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// This project, on the given data folder, durable
    Postlog,
    /// Mailpit on a database file (SQLite, WAL, not synced per mail)
    Mailpit,
    /// Inbucket with its file store (not synced)
    Inbucket,
    /// Discards everything, in this process: the client's own ceiling
    Sink,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Postlog => "Postlog",
            Self::Mailpit => "Mailpit",
            Self::Inbucket => "Inbucket",
            Self::Sink => "sink",
        }
    }

    pub fn has_api(self) -> bool {
        self != Self::Sink
    }

    pub fn ready_path(self) -> &'static str {
        match self {
            Self::Postlog | Self::Mailpit | Self::Sink => "/readyz",
            Self::Inbucket => "/api/v1/mailbox/ready",
        }
    }

    /// The 50 newest of the inbox. Mailpit has one mailbox: the `page`th 50 of it. Inbucket lists a mailbox whole.
    pub fn list_path(self, inbox: &str, page: usize) -> String {
        match self {
            Self::Postlog | Self::Sink => format!("/api/addresses/{inbox}@{DOMAIN}/messages?limit=50"),
            Self::Mailpit => format!("/api/v1/messages?limit=50&start={}", page * 50),
            Self::Inbucket => format!("/api/v1/mailbox/{inbox}"),
        }
    }

    pub fn message_path(self, inbox: &str, id: &str) -> String {
        match self {
            Self::Postlog | Self::Sink => format!("/api/addresses/{inbox}@{DOMAIN}/messages/{id}"),
            Self::Mailpit => format!("/api/v1/message/{id}"),
            Self::Inbucket => format!("/api/v1/mailbox/{inbox}/{id}"),
        }
    }

    pub fn raw_path(self, inbox: &str, id: &str) -> String {
        match self {
            Self::Postlog | Self::Sink => format!("/api/raw/{inbox}@{DOMAIN}/{id}"),
            Self::Mailpit => format!("/api/v1/message/{id}/raw"),
            Self::Inbucket => format!("/api/v1/mailbox/{inbox}/{id}/source"),
        }
    }

    /// The ids in an answer to `list_path`.
    pub fn ids(self, answer: &[u8]) -> Result<Vec<String>> {
        let answer: Value = serde_json::from_slice(answer).context("a list that is no JSON")?;
        let (messages, member) = match self {
            Self::Postlog | Self::Sink => (&answer, "_id"),
            Self::Mailpit => (answer.get("messages").unwrap_or(&Value::Null), "ID"),
            Self::Inbucket => (&answer, "id"),
        };
        let messages = messages.as_array().context("a list without messages")?;
        let ids = messages.iter().filter_map(|message| message.get(member).and_then(Value::as_str));
        Ok(ids.map(str::to_owned).collect())
    }

    /// Whether the store counts all its mail at once, or an inbox at a time.
    pub fn counts_as_one(self) -> bool {
        self == Self::Mailpit
    }

    pub fn count_path(self, inbox: &str) -> String {
        match self {
            Self::Postlog | Self::Sink => format!("/api/addresses/{inbox}@{DOMAIN}/message-count"),
            Self::Mailpit => "/api/v1/messages?limit=1".into(),
            Self::Inbucket => self.list_path(inbox, 0),
        }
    }

    /// The count in an answer to `count_path`.
    pub fn count(self, answer: &[u8]) -> Result<u64> {
        if self == Self::Inbucket {
            return Ok(self.ids(answer)?.len() as u64);
        }
        let answer: Value = serde_json::from_slice(answer).context("a count that is no JSON")?;
        let member = if self == Self::Mailpit { "total" } else { "count" };
        answer.get(member).and_then(Value::as_u64).with_context(|| format!("no {member} in {answer}"))
    }

    /// What to ask for until the mail that `reply` acknowledged is visible. Inbucket's reply names no id: its mailbox is
    /// listed, which held nothing before.
    pub fn probe_path(self, inbox: &str, reply: &str) -> Result<String> {
        if self == Self::Inbucket {
            return Ok(self.list_path(inbox, 0));
        }
        let Some((_, id)) = reply.rsplit_once("queued as ") else { bail!("no id in the reply {reply:?}") };
        let id = id.trim();
        // Postlog's entry: the message's id and the index of its first recipient.
        let entry = if self == Self::Postlog { format!("{id}-0") } else { id.to_owned() };
        Ok(self.message_path(inbox, &entry))
    }

    pub fn probe_shows(self, status: StatusCode, answer: &[u8]) -> bool {
        let empty = self == Self::Inbucket && self.ids(answer).is_ok_and(|ids| ids.is_empty());
        status == StatusCode::OK && !empty
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_servers_list_gives_its_ids() {
        assert_eq!(Kind::Postlog.ids(br#"[{"_id":"a-0"}]"#).unwrap(), ["a-0"]);
        assert_eq!(Kind::Mailpit.ids(br#"{"total":9,"messages":[{"ID":"b"}]}"#).unwrap(), ["b"]);
        assert_eq!(Kind::Inbucket.ids(br#"[{"id":"c"}]"#).unwrap(), ["c"]);
    }

    #[test]
    fn a_probe_asks_for_the_entry_that_the_250_named() {
        let path = Kind::Postlog.probe_path("p", "250 2.0.0 OK: queued as abc").unwrap();
        assert_eq!(path, "/api/addresses/p@load.example/messages/abc-0");
        assert_eq!(Kind::Mailpit.probe_path("p", "250 2.0.0 Ok: queued as xyz").unwrap(), "/api/v1/message/xyz");
        assert!(!Kind::Inbucket.probe_shows(StatusCode::OK, b"[]"));
        assert!(Kind::Inbucket.probe_shows(StatusCode::OK, br#"[{"id":"c"}]"#));
    }
}
