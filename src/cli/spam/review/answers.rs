//! What a person has said, a JSON object a line: which mail, what it is, and the hashes of its tokens. No text of the
//! mail, so that it may be kept and given away.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, bail};
use processors::spam::{Kind, MAX_TOKENS};
use serde::{Deserialize, Serialize};

use super::candidates::Candidate;

/// Bytes of a line: a name, and the most hashes.
const MAX_LINE_BYTES: u64 = 256 * 1024;

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    mail: String,
    verdict: Verdict,
    score: f64,
    /// Hexadecimal: JSON's numbers don't hold 64 bits everywhere.
    tokens: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Spam,
    Ham,
}

/// The file, and what stands in it.
pub struct Answers {
    file: File,
    /// Which mail, what it is, and where its line begins.
    said: Vec<(String, Kind, u64)>,
}

impl Answers {
    /// Opens the file, or makes it. A line that a kill has cut off is removed.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let name = || path.display().to_string();
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).with_context(name)?;
        let (mut said, mut end) = (Vec::new(), 0);
        let whole = each_line(&mut file, |line, start| {
            said.push((line.mail, kind_of(line.verdict), start));
            Ok(())
        });
        end += whole.with_context(name)?;
        file.set_len(end).and_then(|()| file.seek(SeekFrom::End(0))).with_context(name)?;
        Ok(Self { file, said })
    }

    pub fn add(&mut self, candidate: &Candidate, kind: Kind) -> io::Result<()> {
        let start = self.file.stream_position()?;
        let verdict = if kind == Kind::Spam { Verdict::Spam } else { Verdict::Ham };
        let tokens = candidate.hashes.iter().map(|hash| format!("{hash:016x}")).collect();
        let line = Line { mail: candidate.name.clone(), verdict, score: candidate.score, tokens };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        self.file.write_all(&bytes)?;
        self.file.sync_data()?;
        self.said.push((line.mail, kind, start));
        Ok(())
    }

    /// Takes the last line back.
    pub fn take_back(&mut self) -> io::Result<()> {
        if let Some((_, _, start)) = self.said.pop() {
            self.file.set_len(start)?;
            self.file.seek(SeekFrom::Start(start))?;
        }
        Ok(())
    }

    pub fn names(&self) -> HashSet<String> {
        self.said.iter().map(|(name, ..)| name.clone()).collect()
    }

    pub fn count(&self, kind: Kind) -> usize {
        self.said.iter().filter(|(_, said, _)| *said == kind).count()
    }
}

/// What stands in such a file: hashes, and what each mail is.
pub fn read(path: &Path) -> anyhow::Result<Vec<(Vec<u64>, Kind)>> {
    let mut all = Vec::new();
    let name = || path.display().to_string();
    let mut file = File::open(path).with_context(name)?;
    each_line(&mut file, |line, _| {
        let hashes: Result<Vec<u64>, _> = line.tokens.iter().map(|token| u64::from_str_radix(token, 16)).collect();
        all.push((hashes.context("a token is no hash")?, kind_of(line.verdict)));
        Ok(())
    })
    .with_context(name)?;
    Ok(all)
}

/// Takes every whole line with its place, and says where the last one ends.
fn each_line(file: &mut File, mut take: impl FnMut(Line, u64) -> anyhow::Result<()>) -> anyhow::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::new(file);
    let (mut start, mut number) = (0, 0);
    loop {
        let mut bytes = Vec::new();
        io::Read::take(&mut reader, MAX_LINE_BYTES + 1).read_until(b'\n', &mut bytes)?;
        if bytes.len() as u64 > MAX_LINE_BYTES {
            bail!("a line is longer than any that a review writes");
        }
        if bytes.last() != Some(&b'\n') {
            return Ok(start);
        }
        number += 1;
        let line: Line =
            serde_json::from_slice(&bytes).with_context(|| format!("line {number} is none that a review writes"))?;
        if line.tokens.len() > MAX_TOKENS {
            bail!("line {number} has more than the {MAX_TOKENS} tokens of a mail");
        }
        take(line, start)?;
        start += bytes.len() as u64;
    }
}

const fn kind_of(verdict: Verdict) -> Kind {
    match verdict {
        Verdict::Spam => Kind::Spam,
        Verdict::Ham => Kind::Ham,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(name: &str) -> Candidate {
        Candidate { name: name.to_owned(), hashes: vec![1, u64::MAX], ..Candidate::default() }
    }

    #[test]
    fn what_was_said_is_read_again_and_the_last_can_be_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reviewed.jsonl");
        let mut answers = Answers::open(&path).unwrap();
        answers.add(&candidate("a"), Kind::Spam).unwrap();
        answers.add(&candidate("b"), Kind::Spam).unwrap();
        answers.take_back().unwrap();
        answers.add(&candidate("c"), Kind::Ham).unwrap();
        drop(answers);
        assert_eq!(read(&path).unwrap(), [(vec![1, u64::MAX], Kind::Spam), (vec![1, u64::MAX], Kind::Ham)]);
        let again = Answers::open(&path).unwrap();
        assert_eq!((again.count(Kind::Spam), again.count(Kind::Ham)), (1, 1));
        assert!(again.names().contains("c") && !again.names().contains("b"));
    }

    #[test]
    fn a_line_that_a_kill_has_cut_off_is_removed_and_another_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reviewed.jsonl");
        Answers::open(&path).unwrap().add(&candidate("a"), Kind::Spam).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], b"{\"mail\":\"b"].concat()).unwrap();
        assert_eq!(Answers::open(&path).unwrap().count(Kind::Spam), 1);
        assert_eq!(std::fs::read(&path).unwrap(), whole);
        std::fs::write(&path, "Dear diary,\nno JSON\n").unwrap();
        assert!(Answers::open(&path).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"Dear diary,\nno JSON\n");
    }
}
