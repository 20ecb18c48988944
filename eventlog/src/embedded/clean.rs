//! The clean stop of the shared database. It reads its whole journal at every start, though all of it may stand in
//! its tables. So a stop writes out the memory of every keyspace and notes which journal holds nothing more than
//! that; the next start empties that journal before the database opens.
//!
//! The note names the journal, its length and the time of its last write. Where one differs, the journal was written
//! since, or copied, and is read as after a kill. A note is used once.

use std::fs::{File, OpenOptions};
use std::io::{Result, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

const NOTE_FILE: &str = "clean-stop";
const NOTE_DRAFT: &str = "clean-stop.new";
const JOURNAL_EXTENSION: &str = "jnl";
const GLANCE: Duration = Duration::from_millis(1);
/// While memory is written out, the database may begin a new journal, once: the next round finds it at rest.
const ROUNDS: usize = 3;

/// Writes out what is in memory and leaves the note, unless that takes longer than the limit or somebody still writes.
/// `folder` is the database's. Blocks.
pub fn settle(database: &Database, folder: &Path, limit: Duration) -> std::result::Result<bool, fjall::Error> {
    let started = Instant::now();
    for _ in 0..ROUNDS {
        database.persist(PersistMode::SyncAll)?;
        let before = at_rest(folder)?;
        let keyspaces = keyspaces(database)?;
        for keyspace in &keyspaces {
            keyspace.rotate_memtable()?;
        }
        while database.journal_count() > 1 || keyspaces.iter().any(|keyspace| keyspace.sealed_memtable_count() > 0) {
            if started.elapsed() > limit {
                return Ok(false);
            }
            std::thread::sleep(GLANCE);
        }
        // What was written since the first look may be in memory only.
        database.persist(PersistMode::SyncAll)?;
        if let (Some(before), Some((_, after))) = (before, at_rest(folder)?)
            && before.1 == after
        {
            write_note(folder, &after)?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Empties the journal that the last stop has noted. For before the database opens, by whoever holds the folder.
pub fn take_note(folder: &Path) -> Result<bool> {
    let note = match std::fs::read_to_string(folder.join(NOTE_FILE)) {
        Ok(note) => note,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let noted = at_rest(folder)?.filter(|(_, state)| *state == note);
    if let Some((journal, _)) = &noted {
        let journal = OpenOptions::new().write(true).open(journal)?;
        journal.set_len(0)?;
        journal.sync_all()?;
    }
    std::fs::remove_file(folder.join(NOTE_FILE))?;
    File::open(folder)?.sync_all()?;
    Ok(noted.is_some())
}

/// The only journal, and what a note says of it; `None` where there are several.
fn at_rest(folder: &Path) -> Result<Option<(PathBuf, String)>> {
    let mut journals = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == JOURNAL_EXTENSION) {
            journals.push(path);
        }
    }
    let [journal] = journals.as_slice() else { return Ok(None) };
    let known = std::fs::metadata(journal)?;
    let name = journal.file_name().unwrap_or_default().to_string_lossy();
    let state = format!("{name} {} {}.{:09}\n", known.len(), known.mtime(), known.mtime_nsec());
    Ok(Some((journal.clone(), state)))
}

fn keyspaces(database: &Database) -> std::result::Result<Vec<Keyspace>, fjall::Error> {
    let names = database.list_keyspace_names();
    names.iter().map(|name| database.keyspace(name, KeyspaceCreateOptions::default)).collect()
}

fn write_note(folder: &Path, state: &str) -> Result<()> {
    let mut draft = File::create(folder.join(NOTE_DRAFT))?;
    draft.write_all(state.as_bytes())?;
    draft.sync_all()?;
    std::fs::rename(folder.join(NOTE_DRAFT), folder.join(NOTE_FILE))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::{DatabaseSettings, open_database};

    const LIMIT: Duration = Duration::from_secs(30);

    fn open(folder: &Path) -> (Database, Keyspace) {
        let database = open_database(folder, DatabaseSettings::default()).unwrap();
        let keyspace = database.keyspace("test", KeyspaceCreateOptions::default).unwrap();
        (database, keyspace)
    }

    fn journal_bytes(folder: &Path) -> u64 {
        std::fs::metadata(at_rest(folder).unwrap().unwrap().0).unwrap().len()
    }

    fn stop_with(folder: &Path, values: std::ops::Range<u32>) {
        let (database, keyspace) = open(folder);
        for value in values {
            keyspace.insert(value.to_be_bytes(), value.to_be_bytes()).unwrap();
        }
        assert!(settle(&database, folder, LIMIT).unwrap());
    }

    fn count(folder: &Path) -> u64 {
        open(folder).1.len().unwrap() as u64
    }

    #[test]
    fn after_a_clean_stop_nothing_is_read_again_and_everything_is_there() {
        let folder = tempfile::tempdir().unwrap();
        for round in 0..4 {
            stop_with(folder.path(), round * 1000..(round + 1) * 1000);
            assert!(journal_bytes(folder.path()) > 0);
            assert!(take_note(folder.path()).unwrap());
            assert_eq!(journal_bytes(folder.path()), 0);
            assert_eq!(count(folder.path()), u64::from(round + 1) * 1000);
        }
    }

    #[test]
    fn later_writes_win_over_what_was_there_before_a_clean_stop() {
        let folder = tempfile::tempdir().unwrap();
        stop_with(folder.path(), 0..10);
        let (database, keyspace) = open(folder.path());
        keyspace.insert(5_u32.to_be_bytes(), "later").unwrap();
        keyspace.remove(6_u32.to_be_bytes()).unwrap();
        assert!(settle(&database, folder.path(), LIMIT).unwrap());
        drop((database, keyspace));
        let (_database, keyspace) = open(folder.path());
        assert_eq!(&*keyspace.get(5_u32.to_be_bytes()).unwrap().unwrap(), b"later");
        assert!(keyspace.get(6_u32.to_be_bytes()).unwrap().is_none());
    }

    #[test]
    fn what_was_written_behind_the_note_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let (database, keyspace) = open(folder.path());
        keyspace.insert("one", "1").unwrap();
        assert!(settle(&database, folder.path(), LIMIT).unwrap());
        keyspace.insert("two", "2").unwrap();
        database.persist(PersistMode::SyncAll).unwrap();
        drop((database, keyspace));
        assert!(!take_note(folder.path()).unwrap());
        assert_eq!(count(folder.path()), 2);
    }

    #[test]
    fn a_note_is_used_once() {
        let folder = tempfile::tempdir().unwrap();
        stop_with(folder.path(), 0..10);
        let (database, keyspace) = open(folder.path());
        keyspace.insert("more", "1").unwrap();
        database.persist(PersistMode::SyncAll).unwrap();
        drop((database, keyspace));
        assert!(!take_note(folder.path()).unwrap());
        assert_eq!(count(folder.path()), 11);
    }
}
