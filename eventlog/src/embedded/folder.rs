//! The data folder: one process at a time, and a format that this program knows.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The format that this program writes. A folder with a larger number is left alone.
pub const FORMAT: u32 = 1;

const FORMAT_FILE: &str = "format";
const LOCK_FILE: &str = "lock";
/// The folder is its owner's alone, and with it everything inside.
const PRIVATE_MODE: u32 = 0o700;
const OTHERS_BITS: u32 = 0o077;
/// A folder that many share by design, such as /tmp, is not made private.
const STICKY_BIT: u32 = 0o1000;
/// More than any number that stands in these files.
const MAX_TEXT_BYTES: u64 = 64;

/// Why a folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("the data folder {folder} is in use by another process ({pid}): stop it, or choose another folder")]
    InUse { folder: PathBuf, pid: String },
    #[error(
        "the data folder {folder} was written by a newer version of this program (format {found}, this program knows \
         up to {FORMAT}): it is left untouched"
    )]
    Newer { folder: PathBuf, found: u32 },
    #[error("the data folder {folder} names its format {found:?}, which is no number: it is left untouched")]
    Unreadable { folder: PathBuf, found: String },
    #[error("the data folder {folder} can't be used: {cause}")]
    Io { folder: PathBuf, cause: std::io::Error },
}

/// A data folder that this process holds, until it is dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Takes the folder, and makes it where there is none.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FolderError> {
        let path = path.as_ref();
        let fault = |cause| FolderError::Io { folder: path.to_owned(), cause };
        // Before anything is written: a newer program's folder is not even locked.
        check_format(path)?;
        DirBuilder::new().recursive(true).mode(PRIVATE_MODE).create(path).map_err(fault)?;
        let lock = take_lock(path)?;
        // Once more, now that nobody else can write it.
        if !check_format(path)? {
            write_format(path).map_err(fault)?;
        }
        tighten(path);
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A folder that others may enter is closed to them. Where the owner is somebody else (a mounted volume), that is said
/// and left as it is.
fn tighten(path: &Path) {
    let Ok(mode) = std::fs::metadata(path).map(|found| found.permissions().mode()) else { return };
    if mode & OTHERS_BITS == 0 || mode & STICKY_BIT != 0 {
        return;
    }
    if let Err(error) = std::fs::set_permissions(path, Permissions::from_mode(mode & !OTHERS_BITS)) {
        tracing::warn!(path = %path.display(), %error, "the data folder can be entered by others, and can't be closed");
    }
}

/// Whether the folder names a format; an error when it is not one that this program knows.
fn check_format(path: &Path) -> Result<bool, FolderError> {
    let folder = || path.to_owned();
    let mut text = String::new();
    match File::open(path.join(FORMAT_FILE)) {
        Ok(file) => {
            let read = file.take(MAX_TEXT_BYTES).read_to_string(&mut text);
            read.map_err(|cause| FolderError::Io { folder: folder(), cause })?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(cause) => return Err(FolderError::Io { folder: folder(), cause }),
    }
    match text.trim().parse::<u32>() {
        Ok(found) if found > FORMAT => Err(FolderError::Newer { folder: folder(), found }),
        Ok(_) => Ok(true),
        Err(_) => Err(FolderError::Unreadable { folder: folder(), found: text }),
    }
}

fn write_format(path: &Path) -> std::io::Result<()> {
    let draft = path.join("format.new");
    let mut file = File::create(&draft)?;
    writeln!(file, "{FORMAT}")?;
    file.sync_all()?;
    std::fs::rename(draft, path.join(FORMAT_FILE))?;
    File::open(path)?.sync_all()
}

/// Locks the folder for this process; the lock file says which process that is.
fn take_lock(path: &Path) -> Result<File, FolderError> {
    let fault = |cause| FolderError::Io { folder: path.to_owned(), cause };
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path.join(LOCK_FILE));
    let mut lock = options.map_err(fault)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let read = lock.take(MAX_TEXT_BYTES).read_to_string(&mut pid);
            let pid = if read.is_ok() && !pid.trim().is_empty() {
                format!("pid {}", pid.trim())
            } else {
                "pid unknown".into()
            };
            return Err(FolderError::InUse { folder: path.to_owned(), pid });
        }
        Err(TryLockError::Error(cause)) => return Err(fault(cause)),
    }
    lock.set_len(0).map_err(fault)?;
    lock.seek(SeekFrom::Start(0)).map_err(fault)?;
    writeln!(lock, "{}", std::process::id()).map_err(fault)?;
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_with_folder_and_pid() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataFolder::open(folder.path()).unwrap();
        let text = DataFolder::open(folder.path()).unwrap_err().to_string();
        assert!(text.contains(&folder.path().display().to_string()), "{text}");
        assert!(text.contains(&std::process::id().to_string()), "{text}");
        drop(first);
        DataFolder::open(folder.path()).unwrap();
    }

    #[test]
    fn the_folder_is_private_whether_it_is_made_or_found() {
        let parent = tempfile::tempdir().unwrap();
        let found = parent.path().join("found");
        std::fs::create_dir(&found).unwrap();
        std::fs::set_permissions(&found, Permissions::from_mode(0o755)).unwrap();
        for path in [found, parent.path().join("made")] {
            drop(DataFolder::open(&path).unwrap());
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700, "{}", path.display());
        }
    }

    #[test]
    fn a_newer_format_is_refused_and_left_untouched() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("format"), format!("{}\n", FORMAT + 1)).unwrap();
        let refused = DataFolder::open(folder.path()).unwrap_err();
        assert!(matches!(refused, FolderError::Newer { .. }), "{refused}");
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["format"]);
    }

    #[test]
    fn a_format_that_is_no_number_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("format"), "elephant").unwrap();
        assert!(matches!(DataFolder::open(folder.path()), Err(FolderError::Unreadable { .. })));
    }
}
