//! The log's name for itself and its number of partitions: fixed when it is made, and the same for the segments and
//! for the database that belongs to them.

use std::io::Write;
use std::path::Path;

use schemas::Topic;
use schemas::record::Partition;

use super::facts::{self, Facts};
use crate::{LogError, LogId, Result};

const ID_FILE: &str = "id";
const ID_NAME: &str = "id";
const PARTITIONS_NAME: &str = "partitions";
const LONGEST_ID_BYTES: usize = 64;

/// The id, drawn where the log is new. An error when segments and database are not of one log, or when the number of
/// partitions is not the one that the log was made with.
pub(super) fn settle(folder: &Path, facts: &Facts, partitions: Partition) -> Result<LogId> {
    let fault = |error: std::io::Error| LogError::Unavailable(format!("{}: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(fault)?;
    let in_folder = read_id(folder).map_err(fault)?;
    let in_database = facts.remembered(ID_NAME)?;
    let id = match (in_folder, in_database) {
        (Some(ours), Some(theirs)) if ours != theirs => {
            let text = format!("{} holds the log {ours}, and the database that of {theirs}", folder.display());
            return Err(LogError::Damaged(text));
        }
        (Some(id), Some(_)) => id,
        (None, None) => {
            let id = format!("{:032x}", rand::random::<u128>());
            write_id(folder, &id).map_err(fault)?;
            facts.remember(ID_NAME, &id)?;
            id
        }
        // The other half was lost, or the first start was cut short between the two.
        (Some(id), None) => {
            tracing::warn!(log = id, "the database does not know its log, and takes this one");
            facts.remember(ID_NAME, &id)?;
            id
        }
        (None, Some(id)) => {
            tracing::warn!(log = id, "the log's folder does not know its log, and takes this one");
            write_id(folder, &id).map_err(fault)?;
            id
        }
    };
    check_partitions(facts, partitions)?;
    Ok(LogId(id))
}

impl Facts {
    /// Whether the database was here before: one that is new, beside segments that are old, knows nothing of them.
    pub(super) fn knows_its_log(&self) -> Result<bool> {
        Ok(self.remembered(ID_NAME)?.is_some())
    }
}

/// The number of partitions that the log was made with: the database knows it, or else the segments' folders tell.
/// `None` where there is no log yet.
pub(super) fn made_with(folder: &Path, database: &fjall::Database) -> Result<Option<Partition>> {
    if let Some(text) = facts::remembered_in(database, PARTITIONS_NAME)? {
        let number = text.parse().map_err(|_| LogError::Damaged(format!("it has {text:?} partitions")))?;
        return Ok(Some(number));
    }
    let Ok(entries) = std::fs::read_dir(folder.join(Topic::MailRaw.name())) else { return Ok(None) };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<Partition>().ok());
    Ok(names.max().map(|last| last.saturating_add(1)))
}

fn check_partitions(facts: &Facts, partitions: Partition) -> Result<()> {
    let Some(made_with) = facts.remembered(PARTITIONS_NAME)? else {
        return facts.remember(PARTITIONS_NAME, &partitions.to_string());
    };
    if made_with == partitions.to_string() {
        return Ok(());
    }
    Err(LogError::Refused(format!(
        "the log was made with {made_with} partitions, and the settings say {partitions}: the number is fixed"
    )))
}

fn read_id(folder: &Path) -> std::io::Result<Option<String>> {
    match std::fs::read_to_string(folder.join(ID_FILE)) {
        Ok(text) => {
            let id = text.trim().to_owned();
            let known = !id.is_empty() && id.len() <= LONGEST_ID_BYTES;
            if known { Ok(Some(id)) } else { Err(std::io::Error::other("the file `id` holds no id")) }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write_id(folder: &Path, id: &str) -> std::io::Result<()> {
    let draft = folder.join("id.new");
    let mut file = std::fs::File::create(&draft)?;
    writeln!(file, "{id}")?;
    file.sync_all()?;
    std::fs::rename(draft, folder.join(ID_FILE))?;
    std::fs::File::open(folder)?.sync_all()
}
