//! The lines of a dump. The tables have no order of their own: the ids of all messages and the names of all lists are
//! collected and sorted, everything else is read while it is written.

use std::collections::BTreeMap;
use std::pin::pin;

use futures::{StreamExt, TryStreamExt, stream};
use schemas::{EntryId, MessageId};
use sha2::{Digest, Sha256};

use super::content;
use super::listing::{self, Kind};
use super::tables::Tables;
use super::walk::{Direction, Place, Walk};
use crate::dump::Line;
use crate::{Entry, Result, StoreError, views};

const MESSAGES_AHEAD: usize = 16;
const ROWS_AT_ONCE: usize = 500;

pub type LineSink<'a> = &'a mut (dyn FnMut(String) -> std::io::Result<()> + Send);

impl Tables {
    pub async fn dump(&self, line: LineSink<'_>) -> Result<()> {
        self.dump_messages(line).await?;
        self.dump_inboxes(line).await?;
        self.dump_starred(line).await?;
        write(line, &Line::Totals(self.totals().await?))
    }

    async fn dump_messages(&self, line: LineSink<'_>) -> Result<()> {
        let mut ids: Vec<MessageId> = Vec::new();
        let mut rows = pin!(self.client().stream::<(String,)>(&self.statements.scan_ids, &[]).await?);
        while let Some((id,)) = rows.try_next().await? {
            ids.push(id.parse().map_err(|_| StoreError::Damaged(format!("{id:?} is no message's id")))?);
        }
        ids.sort_unstable();
        let texts = stream::iter(ids).map(|id| async move { self.message_line(&id).await }).buffered(MESSAGES_AHEAD);
        let mut texts = pin!(texts);
        while let Some(text) = texts.try_next().await? {
            if let Some(text) = text {
                line(text).map_err(|error| not_written(&error))?;
            }
        }
        Ok(())
    }

    async fn message_line(&self, id: &MessageId) -> Result<Option<String>> {
        let row = self.read(id).await?.row;
        let mut indexes: Vec<u32> = row.shown().map(|place| place.index).collect();
        indexes.sort_unstable();
        let entry = |index| row.clone().into_entry(&EntryId { message: id.clone(), index });
        let entries: Vec<Entry> = indexes.into_iter().filter_map(entry).collect();
        if entries.is_empty() {
            return Ok(None);
        }
        let content = content::read(&self.shared, id).await?;
        let is_whole = content.len() as u64 == row.size_bytes();
        let sha256 = is_whole.then(|| format!("{:x}", Sha256::digest(&content)));
        Line::Message { id: id.as_str(), sha256, entries: &entries }.text().map(Some)
    }

    async fn dump_inboxes(&self, line: LineSink<'_>) -> Result<()> {
        for (key, inbox) in self.names(Kind::Inbox, views::COUNTS).await? {
            let counts = self.counts(&inbox).await?;
            if counts.messages == 0 {
                continue;
            }
            let shown = views::read_name(&key).unwrap_or_default();
            write(line, &Line::Counts { inbox: &shown, messages: counts.messages, unread: counts.unread })?;
            let list = Kind::Inbox.list(&inbox);
            self.dump_list(list, line, |id| Line::Inbox { inbox: &shown, id }.text()).await?;
        }
        Ok(())
    }

    async fn dump_starred(&self, line: LineSink<'_>) -> Result<()> {
        for (key, account) in self.names(Kind::Starred, views::STARRED).await? {
            let shown = views::read_name(&key).unwrap_or_default();
            let list = Kind::Starred.list(&account);
            self.dump_list(list, line, |id| Line::Starred { account: &shown, id }.text()).await?;
        }
        Ok(())
    }

    async fn dump_list(
        &self,
        list: String,
        line: LineSink<'_>,
        text: impl Fn(&str) -> Result<String> + Send,
    ) -> Result<()> {
        let mut walk = Walk::new(self, &[list], Direction::NewestFirst, Place::after_all_of(i64::MAX));
        loop {
            let rows = walk.next(ROWS_AT_ONCE).await?;
            for row in &rows {
                let id = EntryId { message: row.place.message()?, index: row.place.index.cast_unsigned() };
                line(text(&id.to_string())?).map_err(|error| not_written(&error))?;
            }
            if rows.len() < ROWS_AT_ONCE {
                return Ok(());
            }
        }
    }

    /// The names of the lists of a kind, in the order of the embedded body's keys.
    async fn names(&self, kind: Kind, view: u8) -> Result<BTreeMap<Vec<u8>, String>> {
        let mut names = BTreeMap::new();
        let mut rows = pin!(self.client().stream::<(String, i32)>(&self.statements.scan_lists, &[]).await?);
        while let Some((list, _)) = rows.try_next().await? {
            if let Some((_, name)) = listing::parts(&list).filter(|(other, _)| *other == kind) {
                names.insert(views::list_of(view, name), name.to_owned());
            }
        }
        Ok(names)
    }
}

fn write(line: LineSink<'_>, what: &Line<'_>) -> Result<()> {
    line(what.text()?).map_err(|error| not_written(&error))
}

fn not_written(error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("the dump can't be written: {error}"))
}
