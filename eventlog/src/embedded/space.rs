//! Whether the disk has room: asked before each group, so that the engine seldom meets a full disk in the middle of a
//! write.

use std::path::{Path, PathBuf};

use crate::{LogError, Result, metric};

#[derive(Debug)]
pub(super) struct Space {
    folder: PathBuf,
    reserve_bytes: u64,
}

impl Space {
    pub fn new(folder: &Path, reserve_bytes: u64) -> Self {
        Self { folder: folder.to_owned(), reserve_bytes }
    }

    /// For mail: with these bytes written, the whole reserve has to be left.
    pub fn for_mail(&self, size_bytes: u64) -> Result<()> {
        self.check(size_bytes, self.reserve_bytes).inspect_err(|_| {
            metrics::counter!(metric::REFUSED_FULL).increment(1);
        })
    }

    /// For what people and processes tell of mail and accounts: small, and what makes room again is among it.
    pub fn for_event(&self, size_bytes: u64) -> Result<()> {
        self.check(size_bytes, self.reserve_bytes / 4).inspect_err(|_| {
            metrics::counter!(metric::REFUSED_FULL).increment(1);
        })
    }

    /// Whether the reserve is free.
    pub fn room(&self) -> Result<()> {
        self.check(0, self.reserve_bytes)
    }

    /// For what follows from what was accepted: half of the reserve is its own.
    pub fn for_commit(&self, size_bytes: u64) -> Result<()> {
        self.check(size_bytes, self.reserve_bytes / 2)
    }

    fn check(&self, size_bytes: u64, reserve_bytes: u64) -> Result<()> {
        // A file system that can't say how full it is will answer to the write itself.
        let Ok(found) = rustix::fs::statvfs(&self.folder) else { return Ok(()) };
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        if free >= reserve_bytes.saturating_add(size_bytes) {
            return Ok(());
        }
        Err(LogError::Full(format!("{free} bytes are free, and {reserve_bytes} are kept in reserve")))
    }
}
