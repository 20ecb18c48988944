//! A stream of mail in which a person corrects what is scored wrongly, or what is scored between 0.2 and 0.8: how often
//! the score is right, and how much has to be corrected.
//!
//! `cargo run --release -p processors --example spam_stream -- MODEL errors|unsure SPAM_FOLDER HAM_FOLDER`, where MODEL is
//! a file of `postlog spam train`, `starter` or `empty`. The mail comes in the order of a hash of its path.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a measurement may fail")]

use std::fs;
use std::path::{Path, PathBuf};

use processors::spam::{Counts, Kind, MODEL_NAME, Model, hashes_of, judge, read};

fn mails(folder: &Path, kind: Kind, into: &mut Vec<(u64, PathBuf, Kind)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            mails(&path, kind, into);
        } else {
            // FNV-1a: the same order everywhere.
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let hash = name
                .bytes()
                .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
            into.push((hash, path, kind));
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut counts = match arguments[0].as_str() {
        "empty" => Counts::default(),
        "starter" => Counts::starter().as_ref().clone(),
        file => Counts::from_file(&fs::read(file).unwrap()).unwrap(),
    };
    let first = counts.to_event(MODEL_NAME, 0, 0);
    let all_errors = arguments[1] == "errors";
    let mut stream = Vec::new();
    mails(Path::new(&arguments[2]), Kind::Spam, &mut stream);
    mails(Path::new(&arguments[3]), Kind::Ham, &mut stream);
    stream.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    let mut model = Model::new(&first).unwrap();
    let (mut right, mut learned) = (0, Vec::new());
    for (index, (_, path, kind)) in stream.iter().enumerate() {
        let parsed = read(fs::read(path).unwrap());
        let score = judge(&parsed, &model).score;
        let is_right = (score > 0.5) == (*kind == Kind::Spam);
        right += usize::from(is_right);
        let is_corrected = if all_errors { !is_right } else { !is_right || (0.2..=0.8).contains(&score) };
        if is_corrected {
            let hashes = hashes_of(&parsed);
            counts.learn(&hashes, *kind);
            learned.push((hashes, *kind));
            model = Model::new(&counts.to_event(MODEL_NAME, 0, 0)).unwrap();
        }
        if (index + 1) % 1000 == 0 || index + 1 == stream.len() {
            let (share, corrected) = (right as f64 / (index + 1) as f64, learned.len() as f64 / (index + 1) as f64);
            println!("{} mails: {share:.4} right, {:.4} corrected", index + 1, corrected);
        }
    }
    for (hashes, kind) in learned.iter().rev() {
        counts.unlearn(hashes, *kind);
    }
    println!("taken back: {}", if counts.to_event(MODEL_NAME, 0, 0) == first { "the first model" } else { "another" });
}
