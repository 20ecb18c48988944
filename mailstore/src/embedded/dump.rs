//! The lines of a dump, made while the tables are read; nothing is collected.

use std::sync::Arc;

use fjall::{Readable, Snapshot};
use schemas::EntryId;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::tables::{Tables, read_counts};
use super::{blocking, damaged, failed};
use crate::dump::Line;
use crate::{Entry, Result, StoreError, encoding, views};

/// Lines that wait for the reader.
const QUEUE_LINES: usize = 64;

pub async fn dump(tables: Arc<Tables>, line: &mut (dyn FnMut(String) -> std::io::Result<()> + Send)) -> Result<()> {
    let (sender, mut receiver) = mpsc::channel(QUEUE_LINES);
    let writer = blocking(move || Dump { snapshot: tables.snapshot(), tables, sender }.write());
    let reader = async {
        while let Some(text) = receiver.recv().await {
            line(text).map_err(|error| StoreError::Unavailable(format!("the dump can't be written: {error}")))?;
        }
        // Dropped here when a line fails, so that the writer ends too.
        drop(receiver);
        Ok(())
    };
    let (written, read) = tokio::join!(writer, reader);
    read.and(written)
}

struct Dump {
    tables: Arc<Tables>,
    snapshot: Snapshot,
    sender: mpsc::Sender<String>,
}

impl Dump {
    fn write(&self) -> Result<()> {
        self.messages()?;
        self.counts_and_inboxes()?;
        self.starred()?;
        self.send(&Line::Totals(self.tables.volume(&self.snapshot)?.totals))
    }

    fn messages(&self) -> Result<()> {
        for guard in self.snapshot.iter(&self.tables.rows) {
            let (key, value) = guard.into_inner().map_err(failed)?;
            let id = views::read_id(&key).ok_or_else(|| damaged("a row's key"))?;
            let row = encoding::decode(&value)?;
            let mut indexes: Vec<u32> = row.shown().map(|place| place.index).collect();
            indexes.sort_unstable();
            let entry = |index| row.clone().into_entry(&EntryId { message: id.clone(), index });
            let entries: Vec<Entry> = indexes.into_iter().filter_map(entry).collect();
            if !entries.is_empty() {
                let sha256 =
                    self.tables.raw_in(&self.snapshot, &id)?.map(|bytes| format!("{:x}", Sha256::digest(&bytes)));
                self.send(&Line::Message { id: id.as_str(), sha256, entries: &entries })?;
            }
        }
        Ok(())
    }

    fn counts_and_inboxes(&self) -> Result<()> {
        for guard in self.snapshot.prefix(&self.tables.views, [views::COUNTS]) {
            let (key, value) = guard.into_inner().map_err(failed)?;
            let inbox = views::read_name(&key).ok_or_else(|| damaged("an inbox"))?;
            let counts = read_counts(&value)?;
            self.send(&Line::Counts { inbox: &inbox, messages: counts.messages, unread: counts.unread })?;
            let mut prefix = key.to_vec();
            if let Some(view) = prefix.first_mut() {
                *view = views::INBOX;
            }
            for place in self.snapshot.prefix(&self.tables.views, prefix) {
                let id = views::read_listed(&place.key().map_err(failed)?).ok_or_else(|| damaged("a place"))?;
                self.send(&Line::Inbox { inbox: &inbox, id: &id.to_string() })?;
            }
        }
        Ok(())
    }

    fn starred(&self) -> Result<()> {
        for place in self.snapshot.prefix(&self.tables.views, [views::STARRED]) {
            let key = place.key().map_err(failed)?;
            let account = views::read_name(&key).ok_or_else(|| damaged("an account"))?;
            let id = views::read_listed(&key).ok_or_else(|| damaged("a place"))?;
            self.send(&Line::Starred { account: &account, id: &id.to_string() })?;
        }
        Ok(())
    }

    fn send(&self, line: &Line<'_>) -> Result<()> {
        self.sender
            .blocking_send(line.text()?)
            .map_err(|_| StoreError::Unavailable("the dump was broken off".to_owned()))
    }
}
