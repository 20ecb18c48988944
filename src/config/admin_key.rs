//! The first account's key, as far as it can be wrong before the first start. The key itself is not kept here.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::Fault;
use crate::assemble::ADMIN_KEY;

const SHORTEST_KEY: usize = 16;
const LONGEST_KEY: usize = 256;
/// Of the file's first line; a longer one is no key.
const MAX_LINE_BYTES: u64 = 4096;

/// What is wrong with the key in the environment, or else with the file: only one of them is taken.
pub fn fault(environment: &BTreeMap<String, String>, file: Option<&str>) -> Option<Fault> {
    let (key, cause) = match (environment.get(ADMIN_KEY), file) {
        (Some(text), _) => (ADMIN_KEY, wrong(text)?.to_owned()),
        (None, Some(path)) => ("admin_key_file", wrong_file(path)?),
        (None, None) => return None,
    };
    Some(Fault { key: key.to_owned(), source: None, cause })
}

fn wrong_file(path: &str) -> Option<String> {
    if path.trim().is_empty() {
        return Some("it names no file".to_owned());
    }
    match first_line(Path::new(path)) {
        Ok(line) if line.trim().is_empty() => Some(format!("{path}: its first line is empty")),
        Ok(line) => wrong(&line).map(|cause| format!("{path}: {cause}")),
        Err(error) => Some(format!("{path} can't be read: {error}")),
    }
}

fn first_line(path: &Path) -> std::io::Result<String> {
    let mut line = String::new();
    BufReader::new(std::fs::File::open(path)?.take(MAX_LINE_BYTES)).read_line(&mut line)?;
    Ok(line)
}

fn wrong(text: &str) -> Option<&'static str> {
    let key = text.trim();
    let fits = (SHORTEST_KEY..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    (!fits).then_some("an API key has 16 to 256 characters, without spaces")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_16_to_256_characters_without_spaces_is_right() {
        assert_eq!(wrong(&"k".repeat(SHORTEST_KEY)), None);
        assert_eq!(wrong(&"k".repeat(LONGEST_KEY)), None);
        assert!(wrong(&"k".repeat(SHORTEST_KEY - 1)).is_some());
        assert!(wrong(&"k".repeat(LONGEST_KEY + 1)).is_some());
        assert!(wrong("sixteen characters").is_some(), "spaces");
    }

    #[test]
    fn the_file_is_not_looked_at_when_the_environment_gives_the_key() {
        let given = |key: &str| BTreeMap::from([(ADMIN_KEY.to_owned(), key.to_owned())]);
        assert_eq!(fault(&given("k_0123456789abcdef"), Some("/nowhere")), None);
        assert_eq!(fault(&given("short"), None).unwrap().key, ADMIN_KEY);
        assert_eq!(fault(&BTreeMap::new(), Some("/nowhere")).unwrap().key, "admin_key_file");
        assert_eq!(fault(&BTreeMap::new(), None), None);
    }
}
