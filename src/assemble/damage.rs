//! What a database that can't be opened means for people, and what they can do.

use std::path::Path;

/// Names the folder; for damage it also says what is lost and what is not. Pure.
pub fn database_fault(database: &Path, log: &Path, error: &fjall::Error) -> anyhow::Error {
    let (folder, log) = (database.display(), log.display());
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
            anyhow::anyhow!("the database in {folder} can't be opened: {error}")
        }
        fjall::Error::Locked => anyhow::anyhow!("the database in {folder} is held by another process"),
        damage => anyhow::anyhow!(
            "the database in {folder} is damaged ({damage:?}): its files are not what was written, by a failing disk \
             or by somebody else, and nothing was changed. Restore the whole data folder from one copy. Without a \
             copy the mail is not lost, since its bytes stand in {log}: move {folder} away, and the next start makes \
             a new database and shows that mail again, without accounts, addresses, domains, flags and deletions"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_not_called_damage() {
        let error = fjall::Error::Io(std::io::Error::from(std::io::ErrorKind::StorageFull));
        let text = database_fault(Path::new("d/database"), Path::new("d/log"), &error).to_string();
        assert!(text.contains("d/database") && !text.contains("damaged"), "{text}");
    }
}
