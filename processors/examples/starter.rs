//! Makes the model that ships in the program (`make starter-model`): `starter CORPUS FILE`, where CORPUS is the unpacked
//! SpamAssassin public corpus, with folders whose names begin with `spam` and folders with `ham` in theirs. The file is
//! the same byte for byte, whoever makes it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a program for whoever makes a release"
)]

use std::fs;
use std::path::{Path, PathBuf};

use processors::spam::{Counts, Kind, hashes_to_train, read};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (corpus, file) = (arguments.next(), arguments.next());
    let (corpus, file) = corpus.zip(file).expect("the folder of the corpus, and the file to write");
    let mut counts = Counts::default();
    for folder in sorted(Path::new(&corpus)) {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let kind = match name {
            name if name.starts_with("spam") => Kind::Spam,
            name if name.contains("ham") => Kind::Ham,
            _ => continue,
        };
        for mail in sorted(&folder) {
            counts.train(&hashes_to_train(&read(fs::read(&mail).unwrap())), kind);
        }
    }
    fs::write(&file, counts.to_file()).unwrap();
    let (spam, ham) = (counts.spam_messages(), counts.ham_messages());
    println!("{file}: {spam} spam, {ham} ham, {} tokens, {} bytes", counts.tokens(), counts.to_file().len());
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}
