//! A folder with a log that can be stopped, killed and found again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use fjall::Database;
use schemas::record::Partition;
use tempfile::TempDir;

use crate::embedded::{DatabaseSettings, EmbeddedLog, EmbeddedSettings, open_database};
use crate::{Log, contract};

/// Small, so that tests reach the limit, and larger than a segment.
pub const MAX_RECORD_BYTES: usize = 100_000;

pub struct FolderBench {
    pub settings: EmbeddedSettings,
    folder: Mutex<TempDir>,
}

impl FolderBench {
    pub fn new(partitions: Partition) -> Self {
        let settings = EmbeddedSettings {
            partitions,
            // A few records a segment: every test crosses from one to the next.
            segment_bytes: 400,
            max_record_bytes: MAX_RECORD_BYTES,
            reserve_bytes: 0,
            ..EmbeddedSettings::default()
        };
        Self { settings, folder: Mutex::new(tempfile::tempdir().unwrap()) }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.lock().unwrap().path().to_owned()
    }

    pub fn segments_path(&self, partition: Partition) -> PathBuf {
        self.path().join("log/mail.raw").join(partition.to_string())
    }

    pub fn database(&self) -> Database {
        open_database(&self.path().join("db"), DatabaseSettings::default()).unwrap()
    }

    pub fn open_log(&self) -> Arc<EmbeddedLog> {
        EmbeddedLog::open(self.database(), &self.path().join("log"), self.settings.clone()).unwrap()
    }

    /// Goes on in a copy of what is on the disk at this moment, as after `kill -9`.
    pub fn move_to_copy(&self) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(&self.path(), copy.path());
        std::mem::replace(&mut *self.folder.lock().unwrap(), copy)
    }
}

#[async_trait]
impl contract::Bench for FolderBench {
    fn partitions(&self) -> Partition {
        self.settings.partitions
    }

    fn max_record_bytes(&self) -> usize {
        MAX_RECORD_BYTES
    }

    async fn open(&self) -> Arc<dyn Log> {
        self.open_log()
    }

    async fn stop(&self, log: Arc<dyn Log>) {
        drop(log);
    }

    async fn kill(&self, log: Arc<dyn Log>) {
        let left = self.move_to_copy();
        drop((log, left));
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
