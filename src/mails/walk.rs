//! Which files a path names: the path itself, or in a folder every mail and mbox, in order of their names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::read;

/// Folders inside folders.
const MAX_DEPTH: usize = 64;

/// A file of mail, or a path that could not be looked at.
#[derive(Debug)]
pub enum Found {
    File { path: PathBuf, size_bytes: u64 },
    Fault { path: PathBuf, error: io::Error },
}

/// Everything that the path names. A file that is named itself is taken whatever its name is; links are followed for
/// files, and never for folders.
pub fn walk(path: &Path) -> Vec<Found> {
    walk_for(path, is_mail)
}

/// The same, and in a folder also files of other names that begin as mail does: corpora have such.
pub fn walk_corpus(path: &Path) -> Vec<Found> {
    walk_for(path, |path| is_mail(path) || begins_as_mail(path))
}

fn walk_for(path: &Path, is_wanted: fn(&Path) -> bool) -> Vec<Found> {
    let mut found = Vec::new();
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => walk_folder(path, 0, is_wanted, &mut found),
        Ok(metadata) => found.push(Found::File { path: path.to_owned(), size_bytes: metadata.len() }),
        Err(error) => found.push(Found::Fault { path: path.to_owned(), error }),
    }
    found
}

fn walk_folder(folder: &Path, depth: usize, is_wanted: fn(&Path) -> bool, found: &mut Vec<Found>) {
    let fault = |error| Found::Fault { path: folder.to_owned(), error };
    if depth > MAX_DEPTH {
        return found.push(fault(io::Error::other(format!("it lies deeper than {MAX_DEPTH} folders"))));
    }
    let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => return found.push(fault(error)),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk_folder(&path, depth + 1, is_wanted, found);
        } else if is_wanted(&path) {
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() => found.push(Found::File { path, size_bytes: metadata.len() }),
                Ok(_) => {}
                Err(error) => found.push(Found::Fault { path, error }),
            }
        }
    }
}

/// In a folder other things lie beside mail, so there only these names count; and the messages of a Maildir, which have
/// no extension but lie in `cur` or `new`.
fn is_mail(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let in_maildir = path.parent().and_then(Path::file_name).is_some_and(|folder| folder == "cur" || folder == "new");
    ["eml", "mbox", "mbx"].iter().any(|known| extension.eq_ignore_ascii_case(known)) || in_maildir
}

/// What can't be looked at is told when it is read.
fn begins_as_mail(path: &Path) -> bool {
    let is_file = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    is_file && read::begins_as_mail_at(path).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let name = |found: &Found| match found {
            Found::File { path, .. } => path.file_name().unwrap().to_string_lossy().into_owned(),
            Found::Fault { error, .. } => format!("fault: {error}"),
        };
        walk(path).iter().map(name).collect()
    }

    #[test]
    fn a_folder_is_walked_in_order_and_other_files_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.eml", "a.EML", "notes.txt", "deep/er/c.mbox", "Maildir/cur/1700.host:2,S"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        assert_eq!(names(folder.path()), ["1700.host:2,S", "a.EML", "b.eml", "c.mbox"]);
    }

    #[test]
    fn a_file_that_is_named_is_taken_whatever_its_name_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mail.txt");
        fs::write(&path, "x").unwrap();
        assert_eq!(names(&path), ["mail.txt"]);
    }

    #[test]
    fn in_a_corpus_what_begins_as_mail_is_mail_whatever_its_name_is() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("0001.ea7e79d3"), "Subject: x\n\n").unwrap();
        fs::write(folder.path().join("0002"), "From a@x Mon Nov 24 10:00:00 2025\nSubject: y\n\n").unwrap();
        fs::write(folder.path().join("cmds"), "mv 1 2\n").unwrap();
        let all: Vec<Found> = walk_corpus(folder.path());
        assert_eq!((all.len(), names(folder.path()).len()), (2, 0));
    }

    #[test]
    fn a_path_that_is_not_there_is_a_fault_and_not_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert!(names(&folder.path().join("none"))[0].starts_with("fault: "));
    }

    #[test]
    fn a_link_to_a_folder_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.eml"), "x").unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("loop.eml")).unwrap();
        assert_eq!(names(folder.path()), ["a.eml"]);
    }
}
