//! The one fjall database of an installation: opened once, sized to a memory target, handed to log and store.

use std::path::Path;

use fjall::{CompressionType, Database};

use super::clean;

/// What the database may take, with defaults that hold a small server under 150 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseSettings {
    /// Blocks that were read and may be read again.
    pub cache_bytes: u64,
    /// Journals on disk: what has to be read again after a kill. At least 64 MiB.
    pub journal_bytes: u64,
    /// Threads that flush and compact.
    pub worker_threads: usize,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self { cache_bytes: 16 << 20, journal_bytes: SMALLEST_JOURNAL_BYTES, worker_threads: 1 }
    }
}

/// fjall's journals are made with this size.
const SMALLEST_JOURNAL_BYTES: u64 = 64 << 20;
const OPEN_FILES: usize = 256;

/// Opens the database in this folder, or makes it.
pub fn open_database(folder: &Path, settings: DatabaseSettings) -> Result<Database, fjall::Error> {
    if let Err(error) = clean::take_note(folder) {
        tracing::warn!(%error, "the note of the last clean stop can't be used: the journal is read");
    }
    Database::builder(folder)
        .cache_size(settings.cache_bytes)
        .max_journaling_size(settings.journal_bytes.max(SMALLEST_JOURNAL_BYTES))
        .worker_threads(settings.worker_threads.max(1))
        .max_cached_files(Some(OPEN_FILES))
        // Compressed, it holds several times the records, and a start after a kill reads them all.
        .journal_compression(CompressionType::None)
        .open()
}
